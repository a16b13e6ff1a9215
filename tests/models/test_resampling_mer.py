import json

import numpy as np
import pytest
import soundfile
import torch
from model_tester import tiny_tokenizer, tone, wave_feature_extractor
from torchaudio.functional import resample as of_torchaudio

from hf_mer.models import MerProcessor, audio_files_mer
from hf_mer.models.audio_blocks_mer import audio_blocks
from hf_mer.models.audio_mer import AudioError, load_audio, probe_audio
from hf_mer.models.resampling_mer import HIGHEST_RATE, LOWEST_RATE, plausible_rate, resample

ODD = [8001, 11027, 22051, 44101, 47999, 767_999]
COMMON = [
    5512, 8000, 11025, 12000, 18900, 22050, 24000, 32000, 37800, 44100, 47952, 48000, 64000, 88200, 96000, 176_400,
    192_000, 352_800, 384_000, 705_600, 768_000,
]  # fmt: skip


def sine(rate, frequency, seconds=1.0):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def signal_to_noise(samples, rate, frequency):
    """In dB, without the ends, where a filter looks beyond the sound."""
    inner = slice(rate // 20, -rate // 20)
    wanted = sine(rate, frequency, 2 * len(samples) / rate)[: len(samples)][inner]
    return 10 * np.log10(np.square(wanted).mean() / np.square(samples[inner] - wanted).mean())


class TestResample:
    @pytest.mark.parametrize("rate", COMMON)
    def test_common_rates_are_torchaudios_to_the_bit(self, rate):
        samples = np.random.default_rng(0).normal(size=rate // 2).astype(np.float32)
        np.testing.assert_array_equal(
            resample(samples, rate, 16000), of_torchaudio(torch.tensor(samples), rate, 16000)
        )

    @pytest.mark.parametrize(("rate", "wanted"), [(401, 200), (200, 401), (301, 203)])
    def test_the_filters_are_torchaudios(self, monkeypatch, rate, wanted):
        """To the rounding of its 32 bits, where it can still be asked."""
        monkeypatch.setattr("hf_mer.models.resampling_mer._LARGEST_KERNEL", 0)
        monkeypatch.setattr("hf_mer.models.resampling_mer._LARGEST_BLOCK", 1000)
        for size in (1, 5, rate, 3 * rate + 17):
            samples = np.random.default_rng(0).normal(size=size)
            expected = of_torchaudio(torch.tensor(samples), rate, wanted)
            np.testing.assert_allclose(resample(samples, rate, wanted), expected, atol=2e-6)

    @pytest.mark.parametrize("rate", ODD)
    def test_odd_rates_are_as_good_as_their_neighbours(self, little_memory, rate):
        """Pitch, length and noise: the nearby ratio of 441 to 160 would leave 440 Hz at 44101 Hz with 29 dB."""
        for frequency, least in ((100, 65), (440, 69), (1000, 63), (3000, 35 if rate < 9000 else 55)):
            with little_memory():
                samples = resample(sine(rate, frequency), rate, 16000)
            assert len(samples) == 16000
            assert samples.dtype == np.float32
            assert signal_to_noise(samples, 16000, frequency) > least

    @pytest.mark.parametrize(("rate", "wanted"), [(44_101, 48_000), (767_999, 1000), (1001, 767_999)])
    def test_any_two_rates_take_little_memory(self, little_memory, rate, wanted):
        with little_memory():
            samples = resample(sine(rate, 100), rate, wanted)
        assert len(samples) == wanted
        assert signal_to_noise(samples, wanted, 100) > 45

    @pytest.mark.parametrize("rate", ODD)
    def test_blocks_are_the_whole(self, little_memory, monkeypatch, tmp_path, rate):
        monkeypatch.setattr(audio_files_mer, "PIECE_SECONDS", 0.07)
        soundfile.write(tmp_path / "odd.wav", tone(2.3, rate), rate)
        with little_memory():
            blocks, whole = list(audio_blocks(tmp_path / "odd.wav")), load_audio(tmp_path / "odd.wav")
        assert len(blocks) > 1
        np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


class TestPlausibleRates:
    @pytest.mark.parametrize("rate", [LOWEST_RATE, 8000.0, np.int64(8000), torch.tensor(8000), HIGHEST_RATE])
    def test_whole_numbers(self, rate):
        assert plausible_rate(rate, "a") == int(rate)
        assert isinstance(plausible_rate(rate, "a"), int)
        assert len(load_audio({"array": tone(), "sampling_rate": rate}, int(rate))) == len(tone())

    @pytest.mark.parametrize(
        "rate", [0, -8000, 999, 768_001, 10**30, 8000.5, float("nan"), float("inf"), True, "8000", [8000]]
    )
    def test_others(self, rate):
        said = r"a sampling rate of .* Hz is not valid; it must be a whole number from 1000 to 768000 Hz"
        for given in (
            lambda: load_audio({"array": tone(), "sampling_rate": rate, "path": "a.wav"}),
            lambda: load_audio(tone(), source_rate=rate),
            lambda: load_audio(tone(), rate, source_rate=8000),
            lambda: next(audio_blocks(tone(), rate, source_rate=8000)),
        ):
            with pytest.raises(AudioError, match=said):
                given()

    @pytest.mark.parametrize("without", ["av", "soundfile"])
    @pytest.mark.parametrize("rate", [500, 999_983])
    def test_files(self, monkeypatch, tmp_path, without, rate):
        monkeypatch.setattr(audio_files_mer, without, None)
        path = tmp_path / "odd.wav"
        soundfile.write(path, np.zeros(100), rate)
        for read in (probe_audio, load_audio, lambda file: next(audio_blocks(file))):
            with pytest.raises(AudioError, match=rf"odd\.wav: a sampling rate of {rate} Hz is not valid"):
                read(path)

    @pytest.mark.parametrize("rate", [999_983, 0, "16000", None])
    def test_processors(self, tmp_path, rate):
        processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer())
        processor.save_pretrained(tmp_path)
        file = tmp_path / "processor_config.json"
        config = json.loads(file.read_text())
        config["feature_extractor"]["sampling_rate"] = rate
        file.write_text(json.dumps(config))
        with pytest.raises(ValueError, match=r"processor_config\.json: feature_extractor\.sampling_rate="):
            MerProcessor.from_pretrained(tmp_path)
