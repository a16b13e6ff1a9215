import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from model_tester import tone

from hf_mer.models import audio_files_mer
from hf_mer.models.audio_mer import AudioError, AudioInfo, load_audio, probe_audio

SPEECH = tone(0.2)


def file_bytes(samples, rate=16000, kind="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind)
    return buffer.getvalue()


def write_mp4(path, channels=2, rate=44100, seconds=0.5):
    """A film with a grey picture and a tone, as MELD's files are."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout={1: "mono", 2: "stereo", 6: "5.1"}[channels])
        for _ in range(int(seconds * 10)):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, dtype=np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
        samples = np.zeros((channels, int(seconds * rate)), dtype=np.float32)
        samples[2 if channels == 6 else 0] = tone(seconds, rate, 300.0)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=audio.layout.name)
        frame.sample_rate = rate
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
    return path


def pitch_of(samples, rate=16000):
    return float(np.fft.rfftfreq(len(samples), 1 / rate)[np.abs(np.fft.rfft(samples)).argmax()])


class TestSources:
    @pytest.mark.parametrize("kind", ["WAV", "FLAC"])
    def test_files_and_bytes(self, tmp_path, kind):
        path = tmp_path / f"a.{kind.lower()}"
        path.write_bytes(file_bytes(SPEECH, kind=kind))
        for source in (str(path), path, path.read_bytes(), bytearray(path.read_bytes()), {"path": str(path)}):
            samples = load_audio(source)
            assert samples.dtype == np.float32
            np.testing.assert_allclose(samples, SPEECH, atol=1e-4)
        np.testing.assert_allclose(load_audio({"path": "gone.wav", "bytes": path.read_bytes()}), SPEECH, atol=1e-4)

    def test_arrays(self):
        for source in (
            SPEECH,
            SPEECH.astype(np.float64),
            torch.from_numpy(SPEECH),
            SPEECH.tolist(),
            SPEECH[None],
            SPEECH[:, None],
        ):
            np.testing.assert_allclose(load_audio(source), SPEECH, atol=1e-6)
        for key in ("array", "raw"):
            np.testing.assert_allclose(load_audio({key: SPEECH, "sampling_rate": 16000}), SPEECH)

    def test_a_tensor_that_requires_grad_or_is_bfloat16(self):
        np.testing.assert_allclose(load_audio(torch.from_numpy(SPEECH).requires_grad_()), SPEECH)
        np.testing.assert_allclose(load_audio(torch.from_numpy(SPEECH).bfloat16()), SPEECH, atol=5e-3)

    @pytest.mark.parametrize("dtype", [np.int16, np.int32])
    def test_integer_samples_are_scaled(self, dtype):
        samples = np.array([0, np.iinfo(dtype).max // 2, np.iinfo(dtype).min], dtype=dtype)
        np.testing.assert_allclose(load_audio(samples), [0.0, 0.5, -1.0], atol=1e-4)

    def test_unsigned_bytes_are_centred(self):
        np.testing.assert_allclose(load_audio(np.array([128, 255, 0], dtype=np.uint8)), [0.0, 1.0, -1.0], atol=1e-2)

    def test_decoder_object_of_datasets(self):
        class Decoder:
            def get_all_samples(self):
                return type("Samples", (), {"data": torch.from_numpy(SPEECH)[None], "sample_rate": 16000})

        np.testing.assert_allclose(load_audio(Decoder()), SPEECH)


class TestChannelsAndRates:
    def test_stereo_is_averaged(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", np.stack([SPEECH, np.zeros_like(SPEECH)], axis=1), 16000, subtype="FLOAT")
        np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), SPEECH / 2, atol=1e-6)

    def test_a_stereo_file_of_one_sample_keeps_its_channels_apart(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", np.array([[0.2, 0.4]]), 16000, subtype="FLOAT")
        np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), [0.3], atol=1e-6)

    def test_of_six_channels_the_centre(self, tmp_path):
        samples = np.random.default_rng(0).normal(size=(len(SPEECH), 6)) * 0.1
        samples[:, 2] = SPEECH
        soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
        np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), SPEECH, atol=1e-6)

    @pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
    def test_other_rates(self, tmp_path, rate):
        soundfile.write(tmp_path / "a.wav", tone(0.5, rate, 440.0), rate)
        for samples in (load_audio(tmp_path / "a.wav"), load_audio(tone(0.5, rate, 440.0), source_rate=rate)):
            assert len(samples) == pytest.approx(8000, abs=2)
            assert pitch_of(samples) == pytest.approx(440.0, abs=2)

    def test_cut(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", tone(0.5, 8000), 8000)
        assert len(load_audio(tmp_path / "a.wav", max_seconds=0.2)) == 3200


class TestFilms:
    @pytest.mark.parametrize("channels", [1, 2])
    def test_sound_of_mp4(self, tmp_path, channels):
        path = write_mp4(tmp_path / "a.mp4", channels)
        for source in (path, path.read_bytes()):
            samples = load_audio(source)
            assert len(samples) == pytest.approx(8000, abs=800)
            assert pitch_of(samples) == pytest.approx(300.0, abs=4)
        info = probe_audio(path)
        assert (info.sampling_rate, info.channels) == (44100, channels)
        assert info.duration == pytest.approx(0.5, abs=0.05)

    def test_surround_film_keeps_its_centre(self, tmp_path):
        samples = load_audio(write_mp4(tmp_path / "a.mp4", 6, rate=48000))
        assert np.abs(samples).max() == pytest.approx(0.5, abs=0.1)
        assert pitch_of(samples) == pytest.approx(300.0, abs=4)

    def test_silent_film(self, write_video):
        for function in (load_audio, probe_audio):
            with pytest.raises(AudioError, match=r"a\.mp4: has no audio stream \(picture only\)"):
                function(write_video("a.mp4", sound=False))

    def test_span_of_a_film(self, write_video):
        path = write_video("a.mp4", seconds=2.0)
        whole = load_audio(path)
        for span, expected in (
            ((0.5, 0.75), whole[8000:12000]),
            ((1.0, None), whole[16000:]),
            ((None, 0.5), whole[:8000]),
            ((-1.0, 90.0), whole),
        ):
            video = {"path": path, "start": span[0], "end": span[1], "side": "left"}
            np.testing.assert_array_equal(load_audio(video), expected)
        for first, last in ((3.0, 4.0), (1.0, 1.0), (-2.0, -1.0)):
            with pytest.raises(AudioError, match=f"the span from {first:g} to {last:g} s lies outside the"):
                load_audio({"path": path, "start": first, "end": last})

    def test_a_truncated_film_gives_what_it_has(self, write_video, caplog):
        path = Path(write_video("a.mp4", seconds=4.0, options={"movflags": "faststart"}))
        content = path.read_bytes()
        path.write_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
        samples = load_audio(path)
        assert 8000 < len(samples) < 60000
        assert pitch_of(samples) == pytest.approx(220.0, abs=4)


class TestRefusals:
    def test_missing_and_empty_files(self, tmp_path):
        (tmp_path / "zero.wav").write_bytes(b"")
        soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
        for function in (load_audio, probe_audio):
            with pytest.raises(AudioError, match=r"gone\.wav: no such audio file"):
                function(tmp_path / "gone.wav")
            with pytest.raises(AudioError, match=r"zero\.wav: the file is empty \(0 bytes\)"):
                function(tmp_path / "zero.wav")
        with pytest.raises(AudioError, match=r"none\.wav: the audio is empty"):
            load_audio(tmp_path / "none.wav")

    def test_a_text_file_named_wav(self, tmp_path):
        (tmp_path / "notes.wav").write_text("not a recording\n" * 20)
        for function in (load_audio, probe_audio):
            with pytest.raises(AudioError, match=r"notes\.wav: cannot be read as audio"):
                function(tmp_path / "notes.wav")

    def test_a_file_cut_in_its_header(self, tmp_path):
        (tmp_path / "cut.wav").write_bytes(file_bytes(SPEECH)[:20])
        with pytest.raises(AudioError, match=r"cut\.wav"):
            load_audio(tmp_path / "cut.wav")

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_samples_that_are_not_finite(self, bad):
        samples = SPEECH.copy()
        samples[3:5] = bad
        with pytest.raises(AudioError, match="2 of 3200 samples are NaN or infinite"):
            load_audio({"array": samples, "path": "a.wav"})

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (None, "no audio"),
            (b"", "empty"),
            (np.zeros(0), "empty"),
            (np.zeros((2, 2, 2)), "one or two dimensions"),
            ({"text": "hello"}, "needs 'array', 'raw', 'bytes' or 'path'"),
            ({"array": None, "path": None}, "needs 'array'"),
            (3.5, "one or two dimensions"),
            (["a", "b"], "numbers"),
        ],
    )
    def test_what_is_not_audio(self, source, message):
        with pytest.raises(AudioError, match=message):
            load_audio(source)

    def test_rate_that_is_none(self):
        with pytest.raises(AudioError, match="sampling rate"):
            load_audio(SPEECH, source_rate=-8000)

    def test_without_libraries(self, monkeypatch, tmp_path):
        monkeypatch.setattr(audio_files_mer, "soundfile", None)
        monkeypatch.setattr(audio_files_mer, "av", None)
        (tmp_path / "a.wav").write_bytes(file_bytes(SPEECH))
        with pytest.raises(ImportError, match="pip install soundfile"):
            load_audio(tmp_path / "a.wav")

    def test_pyav_alone_reads_wav(self, monkeypatch, tmp_path):
        monkeypatch.setattr(audio_files_mer, "soundfile", None)
        (tmp_path / "a.wav").write_bytes(file_bytes(SPEECH))
        np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), SPEECH, atol=1e-4)


def test_probe(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((4000, 2)), 8000)
    assert probe_audio(tmp_path / "a.wav") == AudioInfo(0.5, 8000, 2)


class TestOnlyWhatIsNeeded:
    @pytest.mark.parametrize("max_seconds", [None, 0.1, 0.33, 5.0])
    @pytest.mark.parametrize("span", [{}, {"start": 0.21}, {"end": 0.7}, {"start": 0.21, "end": 0.437}])
    def test_the_same_samples(self, write_wav, write_video, max_seconds, span):
        for path in (write_wav(seconds=1.0, rate=22050), write_video(seconds=1.0)):
            whole = load_audio(path, sampling_rate=22050 if path.endswith("wav") else 16000)
            rate = 22050 if path.endswith("wav") else 16000
            part = whole[round(span.get("start", 0.0) * rate) : round(span.get("end", 9.0) * rate)]
            part = part if max_seconds is None else part[: int(max_seconds * rate)]
            np.testing.assert_array_equal(load_audio({"path": path, **span}, rate, max_seconds=max_seconds), part)

    def test_the_rest_of_a_long_file_is_not_decoded(self, write_wav, monkeypatch):
        read = []
        plain = soundfile.SoundFile.read
        monkeypatch.setattr(
            soundfile.SoundFile, "read", lambda self, frames=-1, **k: read.append(frames) or plain(self, frames, **k)
        )
        load_audio(write_wav(seconds=2.0), max_seconds=0.5)
        assert read == [8001]
