from pathlib import Path

import numpy as np
import pytest
import soundfile
from model_tester import tone

from hf_mer.models import audio_files_mer
from hf_mer.models.audio_blocks_mer import audio_blocks
from hf_mer.models.audio_mer import AudioError, load_audio


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Many borders in short recordings."""
    monkeypatch.setattr(audio_files_mer, "PIECE_SECONDS", 0.07)


def together(source, **settings):
    blocks = list(audio_blocks(source, **settings))
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    return np.concatenate(blocks), len(blocks)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.05, 0.5, 0.777])
def test_blocks_are_the_resampled_whole(write_wav, rate, seconds):
    path = write_wav(rate=rate, seconds=seconds)
    joined, count = together(path)
    expected = load_audio(path)
    assert len(joined) == len(expected)
    np.testing.assert_allclose(joined, expected, atol=1e-6)
    assert count > 3 or seconds == 0.05


def test_a_border_without_context_would_be_seen(write_wav):
    """The check above can fail: resampled block by block without context, the signal is another one."""
    samples, _ = soundfile.read(write_wav(rate=44100, seconds=0.5), dtype="float32")
    apart = [load_audio(samples[i : i + 4410], source_rate=44100) for i in range(0, len(samples), 4410)]
    assert np.abs(np.concatenate(apart) - load_audio(samples, source_rate=44100)).max() > 1e-3


@pytest.mark.parametrize("channels", [2, 6])
def test_channels(tmp_path, channels):
    samples = np.random.default_rng(0).normal(size=(16000, channels)).clip(-1, 1) * 0.3
    soundfile.write(tmp_path / "many.wav", samples, 22050)
    np.testing.assert_allclose(together(tmp_path / "many.wav")[0], load_audio(tmp_path / "many.wav"), atol=1e-6)


def test_every_kind_of_source(write_wav, write_video, tmp_path):
    path, film = write_wav(rate=22050), write_video(seconds=1.0)
    samples = tone(0.4, 22050)
    soundfile.write(tmp_path / "speech.flac", samples, 22050)
    array = {"array": samples, "sampling_rate": 22050}
    for source in (path, Path(path), Path(path).read_bytes(), {"path": path, "bytes": None}, array, film,
                   {"bytes": Path(film).read_bytes(), "path": "film"}, str(tmp_path / "speech.flac"),
                   {"path": film, "start": 0.2, "end": 0.55}, {"path": path, "start": 0.31},
                   {"path": path, "start": None, "end": 9.0}):  # fmt: skip
        joined, _ = together(source)
        expected = load_audio(source)
        assert len(joined) == len(expected), source
        np.testing.assert_allclose(joined, expected, atol=1e-6)
    np.testing.assert_allclose(
        together(samples, source_rate=22050)[0], load_audio(samples, source_rate=22050), atol=1e-6
    )


def test_a_film_that_breaks_off_gives_what_comes_before(write_video, tmp_path, caplog):
    options = {"movflags": "frag_keyframe+empty_moov"}
    content = Path(write_video(seconds=3.0, options=options)).read_bytes()
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content[: int(len(content) * 0.6)])
    expected = load_audio(str(damaged))
    joined, _ = together(str(damaged))
    np.testing.assert_allclose(joined, expected, atol=1e-6)


def test_nothing_is_read_before_it_is_asked_for(write_wav):
    blocks = audio_blocks(write_wav(seconds=2.0))
    assert len(next(blocks)) < 0.2 * 16000


def test_bad_sources(tmp_path, write_video):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no sound in here")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), 16000)
    broken = tone(0.4)
    broken[-10] = np.nan
    mute = write_video("mute.mp4", sound=False)
    for source, message in (
        (str(tmp_path / "gone.wav"), "gone.wav: no such audio file"),
        (str(tmp_path / "empty.wav"), r"empty.wav: the file is empty \(0 bytes\)"),
        (str(tmp_path / "text.wav"), "text.wav: cannot be read as audio"),
        (str(tmp_path / "none.wav"), "none.wav: the audio is empty"),
        (mute, r"mute.mp4: has no audio stream \(picture only\)"),
        (broken, "1 of .* samples of the block from .* s on are NaN or infinite"),
        ({"array": tone(), "start": 3.0}, "span from 3 to the end lies outside the .* s of sound"),
        ({"array": tone(), "sampling_rate": -1}, "a sampling rate of -1 Hz"),
        ({"name": "x"}, "audio dictionary needs 'array'"),
        (None, "no audio was given"),
        (b"", "the audio is empty"),
    ):
        with pytest.raises(AudioError, match=message):
            list(audio_blocks(source))
