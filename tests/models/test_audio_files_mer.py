"""Sound by its time stamps, and files that end before they should."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from model_tester import tone

from hf_mer.models.audio_blocks_mer import audio_blocks
from hf_mer.models.audio_mer import AudioError, load_audio, probe_audio
from hf_mer.models.notes_mer import collected_notes

NOISE = (0.1 * np.random.default_rng(0).normal(size=48000)).astype(np.float32)


def write_film(path, sound_at, seconds=4.0, codec="aac"):
    """A grey film with a tone in frames of 1024 samples, of which frame `k` begins at `sound_at(k)` seconds."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        voice = container.add_stream(codec, rate=16000, layout="mono")
        for _ in range(int(seconds * 10)):
            container.mux(
                picture.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), format="rgb24"))
            )
        container.mux(picture.encode())
        samples = (tone(1.024) * 32767).astype(np.int16)[None]
        for index in range(16):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[:, index * 1024 : (index + 1) * 1024]), format="s16", layout="mono"
            )
            frame.sample_rate, frame.time_base = 16000, Fraction(1, 16000)
            frame.pts = round(sound_at(index) * 16000)
            container.mux(voice.encode(frame))
        container.mux(voice.encode())
    return str(path)


def loud(samples, start, end):
    return float(np.abs(samples[int(start * 16000) : int(end * 16000)]).max()) > 0.1


def noted(source, **settings):
    with collected_notes() as notes:
        samples = load_audio(source, **settings)
    return samples, " ".join(notes)


class TestTimeStamps:
    @pytest.mark.parametrize("kind", ["mp4", "mkv", "mov"])
    def test_sound_that_begins_late(self, tmp_path, kind):
        path = write_film(tmp_path / f"late.{kind}", lambda index: 2.0 + index * 0.064)
        whole, told = noted(path)
        assert not loud(whole, 0.0, 1.9)
        assert loud(whole, 2.05, 2.9)
        assert "there is no sound from 0.00 to" in told
        span = load_audio({"path": path, "start": 2.2, "end": 2.6})
        np.testing.assert_array_equal(span, whole[35200:41600])
        before, told = noted({"path": path, "start": 0.5, "end": 1.5})
        np.testing.assert_array_equal(before, np.zeros(16000))
        assert "silent" in told
        np.testing.assert_array_equal(np.concatenate(list(audio_blocks(path))), whole)

    @pytest.mark.parametrize("kind", ["mp4", "mkv"])
    def test_a_gap_shifts_nothing(self, tmp_path, kind):
        path = write_film(tmp_path / f"gap.{kind}", lambda index: index * 0.064 + (1.0 if index >= 8 else 0.0))
        whole, told = noted(path)
        assert [loud(whole, *span) for span in ((0.1, 0.4), (0.7, 1.3), (1.6, 1.9))] == [True, False, True]
        assert "there is no sound from 0.5" in told

    def test_sound_in_its_place_needs_no_word(self, tmp_path):
        for kind in ("mp4", "mkv"):
            assert noted(write_film(tmp_path / f"plain.{kind}", lambda index: index * 0.064))[1] == ""


class TestAbsurdFiles:
    """Small files that ask for gigabytes."""

    def test_long_gaps(self, little_memory, tmp_path):
        path = write_film(tmp_path / "hours.mkv", lambda index: index * 0.064 + (36_000 if index >= 8 else 0))
        said = r"hours\.mkv: there is no sound from 0\.5\d to 36000\.5\d s: gaps may be at most 3600 s longer"
        for read in (load_audio, lambda file: sum(map(len, audio_blocks(file)))):
            with pytest.raises(AudioError, match=said), little_memory():
                read(path)
        assert len(load_audio(path, max_seconds=30.0)) == 480_000
        assert loud(load_audio({"path": path, "start": 36_000.6, "end": 36_001.0}), 0.0, 0.3)

    @pytest.mark.parametrize("hours", [0.3, 0.4])
    def test_the_sum_of_gaps_counts(self, tmp_path, hours):
        path = write_film(tmp_path / "many.mkv", lambda index: index * 0.064 + 3600 * hours * (index // 5))
        if hours == 0.3:
            assert sum(map(len, audio_blocks(path))) > 0.9 * 3600 * 16000
        else:
            with pytest.raises(AudioError, match="there is no sound from 2880"):
                sum(map(len, audio_blocks(path)))

    @pytest.mark.parametrize(("channels", "rate"), [(255, 96_000), (1024, 768_000)])
    def test_many_channels_at_high_rates(self, little_memory, tmp_path, channels, rate):
        samples = np.repeat(tone(0.01, rate)[:, None], channels, axis=1)
        soundfile.write(tmp_path / "many.wav", samples, rate)
        with little_memory():
            heard = load_audio(tmp_path / "many.wav", rate)
        np.testing.assert_allclose(heard, samples[:, 0], atol=1e-4)

    def test_more_channels_than_can_be(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", NOISE, 16000)
        content = bytearray((tmp_path / "a.wav").read_bytes())
        content[22:24] = b"\xff\xff"
        (tmp_path / "a.wav").write_bytes(content)
        for read in (load_audio, probe_audio):
            with pytest.raises(
                AudioError, match=r"a\.wav: cannot be read as audio \(.*an impossible number of channels"
            ):
                read(tmp_path / "a.wav")

    def test_a_stream_that_changes_its_rate(self, tmp_path):
        """A frame of 4096 samples at 17 Hz is four minutes of sound."""
        sources = [av.open(io.BytesIO(flac_of(rate))) for rate in (16000, 17)]
        with av.open(str(tmp_path / "changes.mkv"), "w") as container:
            stream = container.add_stream_from_template(sources[0].streams.audio[0])
            for number, source in enumerate(sources):
                for index, packet in enumerate(packet for packet in source.demux() if packet.size):
                    packet.stream, packet.time_base = stream, Fraction(1, 1000)
                    packet.pts = packet.dts = 3000 * number + 256 * index
                    container.mux(packet)
        with pytest.raises(AudioError, match=r"changes\.mkv: a sampling rate of 17 Hz is not valid"):
            load_audio(tmp_path / "changes.mkv")


def flac_of(rate):
    sink = io.BytesIO()
    soundfile.write(sink, NOISE, rate, format="FLAC")
    return sink.getvalue()


def content_of(kind):
    buffer = io.BytesIO()
    soundfile.write(buffer, NOISE, 16000, format=kind)
    return buffer.getvalue()


class TestTruncated:
    @pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "FLAC", "OGG", "RF64"])
    def test_less_than_promised(self, tmp_path, kind):
        content = content_of(kind)
        path = tmp_path / f"cut.{kind.lower()}"
        path.write_bytes(content)
        assert noted(path)[1] == ""
        path.write_bytes(content[: len(content) // 2])
        samples, told = noted(path)
        assert 8000 < len(samples) < 32000
        assert f"cut.{kind.lower()}: the " in told
        assert "cut off" in told
        assert kind == "OGG" or "promises 3.00 s" in told
        with collected_notes() as notes:
            blocks = np.concatenate(list(audio_blocks(path)))
        np.testing.assert_array_equal(blocks, samples)
        assert " ".join(notes) == told

    @pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
    def test_sizes_of_streams_promise_nothing(self, size):
        content = bytearray(content_of("WAV"))
        content[40:44] = size.to_bytes(4, "little")
        samples, told = noted(bytes(content))
        assert (len(samples), told) == (48000, "")

    @pytest.mark.parametrize("kind", ["mp4", "mkv"])
    def test_films(self, write_video, kind):
        options = {"movflags": "faststart"} if kind == "mp4" else {}
        path = Path(write_video(f"a.{kind}", seconds=4.0, options=options))
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
        samples, told = noted(path)
        assert 4000 < len(samples) < 60000
        assert "cut off or damaged" in told


class TestCut:
    def test_the_rest_is_named(self, write_wav, write_video):
        for source in (write_wav(seconds=2.0), write_video(seconds=2.0), tone(2.0)):
            told = noted(source, max_seconds=0.5)[1]
            assert "heard the first 0.5 s of 2.0 s" in told
            assert "window_seconds" in told
            assert noted(source, max_seconds=2.05)[1] == ""

    def test_of_a_span(self, write_wav):
        path = write_wav(seconds=2.0)
        assert "heard the first 0.5 s of 1.2 s" in noted({"path": path, "start": 0.2, "end": 1.4}, max_seconds=0.5)[1]
        assert noted({"path": path, "start": 0.2, "end": 0.6}, max_seconds=0.5)[1] == ""
        assert "goes beyond the 2.00 s" in noted({"path": path, "start": 0.2, "end": 4.0})[1]


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_spans_of_long_files_are_jumped_to(tmp_path, kind, monkeypatch):
    long = np.tile(NOISE, 8)
    soundfile.write(tmp_path / "long", long, 16000, format=kind, subtype="PCM_16")
    whole = load_audio(tmp_path / "long")
    read = []
    plain = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda self, frames=-1, **k: read.append(frames) or plain(self, frames, **k)
    )
    span = load_audio({"path": tmp_path / "long", "start": 20.1, "end": 20.5})
    np.testing.assert_array_equal(span, whole[321600:328000])
    assert sum(read) < 16000
