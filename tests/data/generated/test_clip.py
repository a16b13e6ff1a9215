"""Clips read back what was written."""

import hashlib

import av
import numpy as np
import pytest

from hf_mer.data.generated.clip import write_clip
from hf_mer.models.audio_mer import load_audio

RATE = 48_000


def tones(*pitches, seconds=0.5):
    times = np.arange(int(seconds * RATE)) / RATE
    return np.stack([0.2 * np.sin(2 * np.pi * pitch * times) for pitch in pitches])


def pitch_of(samples, rate=16_000):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples)


def blocks(frames=5):
    """Frames of one colour each, halves of which differ."""
    colours = np.linspace(30, 220, frames).astype(np.uint8)
    pictures = np.repeat(colours, 32 * 48 * 3).reshape(frames, 32, 48, 3).copy()
    pictures[:, :, 24:, 0] = 255 - pictures[:, :, 24:, 0]
    return pictures


def test_pictures_and_sound_come_back(tmp_path):
    frames = blocks()
    write_clip(tmp_path / "a.mp4", frames, 10, tones(440, 440), RATE, "stereo")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.streams.audio[0].sample_rate == RATE
        found = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames)[:, 4:-4, 4:20].mean() < 8
    samples = load_audio(tmp_path / "a.mp4")
    assert len(samples) == pytest.approx(8000, abs=700)
    assert pitch_of(samples) == pytest.approx(440, abs=3)


def test_speech_of_5_1_is_in_the_centre_channel(tmp_path):
    write_clip(tmp_path / "a.mp4", blocks(), 10, tones(200, 300, 800, 60, 500, 600), RATE, "5.1")
    assert pitch_of(load_audio(tmp_path / "a.mp4")) == pytest.approx(800, abs=3)


def test_the_same_input_gives_the_same_file(tmp_path):
    digests = set()
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, blocks(), 10, tones(440), RATE)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
