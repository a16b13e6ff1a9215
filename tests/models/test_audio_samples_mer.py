"""The scale of numbers, the channel that is heard, and silence: what is guessed is said."""

import numpy as np
import pytest
import soundfile
import torch
from model_tester import tone

from hf_mer.models.audio_blocks_mer import audio_blocks
from hf_mer.models.audio_mer import AudioError, load_audio
from hf_mer.models.audio_samples_mer import is_silent
from hf_mer.models.notes_mer import collected_notes

SPEECH = tone(0.3)
SIXTEEN = (SPEECH * 32767).astype(np.int16)


def heard(source, **settings):
    with collected_notes() as notes:
        samples = load_audio(source, **settings)
    with collected_notes() as again:
        np.testing.assert_allclose(np.concatenate(list(audio_blocks(source))), samples, atol=1e-6)
    assert set(again) <= set(notes)
    return samples, " ".join(notes)


@pytest.mark.parametrize(
    "samples",
    [
        SIXTEEN.astype(np.int64),
        SIXTEEN.tolist(),
        [SIXTEEN.tolist()] * 2,
        torch.from_numpy(SIXTEEN).long(),
        SIXTEEN.astype(np.float32),
        SIXTEEN.astype(np.float64) * 0.99,
    ],
)
def test_sixteen_bits_in_wider_numbers(samples):
    loaded, told = heard(samples)
    np.testing.assert_allclose(loaded, SPEECH, atol=0.01)
    assert "read as 16-bit samples" in told


@pytest.mark.parametrize(
    "samples", [SPEECH, SIXTEEN, SIXTEEN.astype(np.int32) << 16, (SIXTEEN.astype(int) + 32768).astype(np.uint16)]
)
def test_what_is_clear_needs_no_word(samples):
    loaded, told = heard(samples)
    np.testing.assert_allclose(loaded, SPEECH, atol=1e-3)
    assert told == ""


def test_sixteen_bits_in_int32_are_full_scale_as_soundfile_has_it():
    loaded, told = heard(SIXTEEN.astype(np.int32))
    assert is_silent(loaded)
    assert "int32 samples with a peak of" in told


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (SIXTEEN.astype(np.int64) * 1000, r"int64 samples with a peak of \d+ is not known; give float"),
        (SIXTEEN.astype(np.float64) * 1000, r"float64 samples with a peak of .* is not known"),
        (SIXTEEN.view(np.uint16), "are not centred on 32768"),
        (SPEECH > 0, "numbers .* not of bool"),
        (SPEECH.astype(np.complex64), "numbers .* not of complex64"),
        ([[0.1, 0.2], [0.1]], "differ in length"),
        (np.zeros((100, 128)), "100 channels are not sound"),
    ],
)
def test_what_cannot_be_told_is_refused(samples, message):
    with pytest.raises(AudioError, match=message):
        load_audio(samples)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(
    ("peak", "subtype", "message"),
    [
        (1e38, "FLOAT", r"reach 1e\+38, but full scale is 1: "),
        (3e38, "FLOAT", r"reach 3e\+38"),
        (1e300, "DOUBLE", "samples are NaN or infinite"),
        (20.0, "FLOAT", "reach 20, .* divide them by their full scale, such as 32768"),
        (np.nan, "FLOAT", "1 of 4800 samples are NaN or infinite"),
        (-np.inf, "DOUBLE", "1 of 4800 samples are NaN or infinite"),
    ],
)
def test_files_of_floats_that_are_no_sound(tmp_path, peak, subtype, message, rate):
    samples = SPEECH.astype(np.float64)
    samples[100] = peak
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype=subtype)
    with np.errstate(all="raise", invalid="ignore"), pytest.raises(AudioError, match=f"a.wav: .*{message}"):
        load_audio(tmp_path / "a.wav")


def test_a_little_beyond_full_scale_is_said_of_files_and_arrays(tmp_path):
    loud = 3 * SPEECH / np.abs(SPEECH).max()
    soundfile.write(tmp_path / "a.wav", loud, 16000, subtype="FLOAT")
    for source in (loud, tmp_path / "a.wav"):
        samples, told = heard(source)
        np.testing.assert_allclose(samples, loud, atol=1e-6)
        assert "go beyond full scale, 1; they are used as they are" in told


class TestChannels:
    @pytest.mark.parametrize("factor", [-1.0, -0.9])
    def test_opposite_phase(self, tmp_path, factor):
        both = np.stack([SPEECH, factor * SPEECH], axis=1)
        soundfile.write(tmp_path / "a.wav", both, 16000, subtype="FLOAT")
        for source in (both, both.T, tmp_path / "a.wav"):
            loaded, told = heard(source)
            np.testing.assert_allclose(loaded, SPEECH, atol=1e-6)
            assert "cancel each other out" in told

    def test_other_stereo_is_averaged(self):
        noise = np.random.default_rng(0).normal(size=(4800, 2)).astype(np.float32) * 0.1
        for both in (noise, np.stack([SPEECH, 0 * SPEECH], axis=1), np.stack([SPEECH, -0.3 * SPEECH], axis=1)):
            loaded, told = heard(both)
            np.testing.assert_allclose(loaded, both.mean(axis=1), atol=1e-6)
            assert told == ""

    def test_an_empty_centre(self):
        surround = np.zeros((len(SPEECH), 6), np.float32)
        surround[:, 0] = SPEECH
        loaded, told = heard(surround)
        assert not is_silent(loaded)
        assert "centre of six channels is silent" in told


@pytest.mark.parametrize("samples", [0 * SPEECH, 0 * SPEECH + 0.3, 1e-4 * SPEECH])
def test_silence_is_said(samples):
    with collected_notes() as notes:
        load_audio({"array": samples, "path": "quiet.wav"})
    assert notes[0].startswith("quiet.wav: the 0.3 s of sound that are used are silent")
