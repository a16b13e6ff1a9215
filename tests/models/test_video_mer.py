"""Frames are found by their time, in every container, and every kind of bad clip has one clear message."""

import logging
import struct
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media_files import shown

from hf_mer.models import video_mer
from hf_mer.models.video_mer import VideoError, VideoInfo, load_video, media_kinds, probe_video

MIDDLES = [2, 7, 12, 17, 22, 27, 32, 37]  # of eight equal parts of 40 frames


def cut(path, share):
    """The first part of a file, as after a download that broke off."""
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(len(content) * share)])
    return path


class TestSampling:
    @pytest.mark.parametrize(
        ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mov", "libx264"), ("a.avi", "mpeg4")]
    )
    def test_the_middles_of_equal_parts(self, write_video, name, codec):
        frames = load_video(write_video(name, codec=codec, sound=codec != "mpeg4"))
        assert frames.shape == (8, 48, 64, 3)
        assert frames.dtype == np.uint8
        assert shown(frames) == MIDDLES

    def test_paths_bytes_and_rows(self, write_video):
        path = write_video()
        content = Path(path).read_bytes()
        row = {"path": path, "start": None, "end": None, "side": None}
        for source in (Path(path), content, bytearray(content), row, {"path": "gone.mp4", "bytes": content}):
            assert shown(load_video(source)) == MIDDLES

    def test_a_short_clip_gives_each_frame_once(self, write_video):
        assert shown(load_video(write_video(seconds=0.2))) == [0, 1, 2, 3, 4]
        assert shown(load_video(write_video(seconds=0.04))) == [0]
        assert shown(load_video(write_video(seconds=0.2), 2)) == [1, 3]

    def test_a_variable_frame_rate_is_sampled_by_time(self, write_video):
        """Frame 3 is on the screen for 0.88 of some 2 seconds, so that half of the moments show it."""
        stamps = [0, 40, 80, 120, 1000, 1040, 1500, 1960]
        assert shown(load_video(write_video(stamps=stamps, sound=False), 8)) == [3, 5, 6, 7]
        assert shown(load_video(write_video(stamps=stamps, sound=False), start=0.0, end=0.16, num_frames=4)) == [
            0,
            1,
            2,
            3,
        ]

    def test_spans(self, write_video):
        path = write_video()
        assert shown(load_video(path, 4, start=0.4, end=0.56)) == [10, 11, 12, 13]
        assert shown(load_video({"path": path, "start": 0.4, "end": 0.56}, 4)) == [10, 11, 12, 13]
        assert shown(load_video({"path": path, "start": 0.4, "end": 0.56}, 4, start=0.48)) == [12, 13]
        assert shown(load_video(path, 2, start=1.2)) == [32, 37]
        assert shown(load_video(path, 2, end=0.4)) == [2, 7]

    @pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")])
    def test_spans_late_in_a_long_file(self, write_video, name, codec):
        path = write_video(name, codec=codec, seconds=12, sound=False)
        for first in (3.0, 5.32, 10.0):
            expected = [round(first * 25) % 40 + i for i in range(5)]
            assert [i % 40 for i in shown(load_video(path, 5, start=first, end=first + 0.2))] == [
                i % 40 for i in expected
            ]

    def test_what_reaches_beyond_the_clip_is_cut_off(self, write_video):
        path = write_video()
        assert shown(load_video(path, 2, start=1.2, end=9.0)) == shown(load_video(path, 2, start=1.2))
        assert shown(load_video(path, 2, start=-5.0, end=0.4)) == shown(load_video(path, 2, end=0.4))

    def test_runaway_clips_are_capped(self, write_video):
        assert shown(load_video(write_video(), 4, max_seconds=0.4)) == [1, 3, 6, 8]
        assert shown(load_video(write_video(), 4, start=0.4, max_seconds=0.16)) == [10, 11, 12, 13]

    def test_memory_does_not_grow_with_the_clip(self, write_video):
        peaks = []
        for seconds in (2, 20):
            path = write_video(seconds=seconds, size=(320, 240), sound=False)
            tracemalloc.start()
            load_video(path, 4)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < peaks[0] * 1.2

    def test_arrays(self):
        frames = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
        assert [int(frame.mean()) for frame in load_video(frames, 5)] == [1, 3, 5, 7, 9]
        assert len(load_video(torch.from_numpy(frames), 20)) == 10
        assert len(load_video({"array": frames}, 3)) == 3
        for bad in (frames[0], frames.astype(np.float32), frames.transpose(0, 3, 1, 2), [1, 2]):
            with pytest.raises(VideoError, match=r"must be \(F, H, W, 3\) of uint8"):
                load_video(bad)
        with pytest.raises(VideoError, match="is empty"):
            load_video(frames[:0])
        with pytest.raises(VideoError, match="has no times"):
            load_video(frames, start=1.0)


class TestPicture:
    def test_halves_of_a_split_screen(self, write_video):
        path = write_video(split=True)
        whole, left, right = load_video(path), load_video(path, side="left"), load_video(path, side="right")
        assert left.shape == right.shape == (8, 48, 32, 3)
        np.testing.assert_array_equal(np.concatenate([left, right], axis=2), whole)
        assert shown(left) == MIDDLES
        assert shown(load_video({"path": path, "side": "right"})) == [i - 3 for i in MIDDLES]
        with pytest.raises(VideoError, match="side is 'middle'; it must be 'left' or 'right'"):
            load_video(path, side="middle")

    def test_the_middle_column_of_an_odd_width_belongs_to_nobody(self):
        frames = np.arange(5, dtype=np.uint8)[None, None, :, None] * np.ones((1, 2, 1, 3), np.uint8)
        assert load_video(frames, side="left")[0, 0, :, 0].tolist() == [0, 1]
        assert load_video(frames, side="right")[0, 0, :, 0].tolist() == [3, 4]

    def test_telephones_store_pictures_rotated(self, write_video):
        path = write_video(split=True, sound=False)
        content = Path(path).read_bytes()
        matrix = content.index(b"tkhd") + 4 + 40
        one = 1 << 16
        quarter = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)  # to be turned clockwise by a player
        Path(path).write_bytes(content[:matrix] + quarter + content[matrix + 36 :])
        frames = load_video(path)
        assert frames.shape == (8, 64, 48, 3)
        assert frames[:, :32].mean() - frames[:, 32:].mean() > 10  # the darker right half is now below


class TestProbe:
    def test_what_a_clip_holds(self, write_video):
        assert probe_video(write_video()) == VideoInfo(pytest.approx(1.6), pytest.approx(1.6), 40, 64, 48, 0.0)
        info = probe_video(write_video(), start=0.4, end=0.8)
        assert (info.frames, info.seconds) == (10, pytest.approx(0.4))
        assert info.duration == pytest.approx(1.6)

    @pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4")])
    def test_of_a_long_film_only_the_span_is_read(self, write_video, name, codec, monkeypatch):
        path = write_video(name, seconds=20, codec=codec, sound=False)
        lengths = []
        original = video_mer._packet_times
        monkeypatch.setattr(video_mer, "_packet_times", lambda *given: lengths.append(original(*given)) or lengths[-1])
        info = probe_video(path, start=10.0, end=10.4)
        assert (info.frames, info.seconds, info.duration) == (10, pytest.approx(0.4), pytest.approx(20))
        assert 10 <= len(lengths[0]) < 60
        lengths.clear()
        load_video(path, start=10.0, end=10.4)
        assert not lengths

    def test_kinds(self, write_video, write_wav, tmp_path):
        assert media_kinds(write_video("both.mp4")) == {"speech", "video"}
        assert media_kinds(write_video("mute.mp4", sound=False)) == {"video"}
        assert media_kinds(write_video("blind.mp4", codec=None)) == {"speech"}
        assert media_kinds(write_wav()) == {"speech"}
        assert media_kinds(Path(write_video()).read_bytes()) == {"speech", "video"}
        assert media_kinds({"path": write_video(), "start": 0.0}) == {"speech", "video"}
        (tmp_path / "text.txt").write_text("no media")
        for unknown in (str(tmp_path / "text.txt"), "gone.mp4", np.zeros(3), {"array": np.zeros(3)}, None):
            assert media_kinds(unknown) is None

    def test_a_cover_picture_is_no_video(self, tmp_path):
        path = tmp_path / "song.mp3"
        with av.open(str(path), "w") as container:
            sound = container.add_stream("mp3", rate=16000, layout="mono")
            cover = container.add_stream("png")
            cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
            cover.disposition = av.stream.Disposition.attached_pic
            container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
            container.mux(cover.encode())
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            frame.sample_rate = 16000
            container.mux(sound.encode(frame))
            container.mux(sound.encode())
        with av.open(str(path)) as container:
            assert container.streams.video
        assert media_kinds(path) == {"speech"}
        with pytest.raises(VideoError, match=r"song.mp3: has no video stream \(sound only\)"):
            load_video(path)


class TestBadClips:
    @pytest.mark.parametrize("read", [load_video, probe_video])
    def test_one_message_each(self, read, write_video, tmp_path):
        empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
        empty.write_bytes(b"")
        text.write_text("this is no clip")
        cases = [
            ("gone.mp4", "gone.mp4: no such video file"),
            (empty, r"empty.mp4: the file is empty \(0 bytes\)"),
            (b"", r"the video is empty \(0 bytes\)"),
            (text, r"text.mp4: cannot be read as video \(.*\); is the file complete\?"),
            (cut(write_video("half.mp4"), 0.5), r"half.mp4: cannot be read as video"),
            (write_video("blind.mp4", codec=None), r"blind.mp4: has no video stream \(sound only\)"),
            (write_video("none.avi", codec="mpeg4", seconds=0, sound=False), "none.avi: no frame can be decoded"),
            ({"start": 1.0}, "a video dictionary needs 'array', 'bytes' or 'path'; it has"),
        ]
        for source, message in cases:
            with pytest.raises(VideoError, match=message):
                read(source)

    def test_nothing(self):
        with pytest.raises(VideoError, match="no video was given"):
            load_video(None)
        with pytest.raises(ValueError, match="num_frames=0 must be at least 1"):
            load_video("a.mp4", 0)

    @pytest.mark.parametrize("read", [load_video, probe_video])
    @pytest.mark.parametrize("span", [(1.7, 2.0), (3.0, None), (-2.0, -1.0), (None, -1.0), (None, 0.0)])
    def test_spans_outside(self, read, write_video, span):
        with pytest.raises(VideoError, match="lies outside the clip, whose picture goes from 0 to 1.6 s"):
            read(write_video(), start=span[0], end=span[1])

    @pytest.mark.parametrize("span", [(1.0, 1.0), (1.0, 0.5), (float("nan"), 1.0), (0.0, float("inf"))])
    def test_impossible_spans(self, write_video, span):
        with pytest.raises(VideoError, match=f"a span from {span[0]:g} to {span[1]:g} s is not valid"):
            load_video(write_video(), start=span[0], end=span[1])

    def test_a_truncated_file_gives_what_it_has(self, write_video, caplog):
        path = write_video("whole.mp4", seconds=4, sound=False, options={"movflags": "faststart"})
        header = Path(path).read_bytes().index(b"mdat")
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: (header + len(content)) // 2])
        info = probe_video(path)
        assert info.missing > 0.5
        assert 10 < info.frames < 100
        with caplog.at_level(logging.WARNING, logger="hf_mer"):
            frames = load_video(path)
        assert len(frames) == 8
        assert all(index < info.frames for index in shown(frames))
        assert "s too soon" in caplog.text

    def test_spans_behind_the_end_of_a_file_whose_header_promises_more(self, write_video, caplog):
        path = Path(write_video(seconds=8.0, options={"movflags": "faststart"}))
        path.write_bytes(path.read_bytes()[: int(0.4 * path.stat().st_size)])
        for read in (load_video, probe_video):
            with pytest.raises(VideoError, match=r"the picture ends after [23]\.\d+ s, before the span from"):
                read({"path": str(path), "start": 6.0, "end": 7.0})
        assert len(load_video({"path": str(path), "start": 0.5, "end": 1.0})) > 1
        assert not caplog.text

    def test_damage_in_the_middle_is_left_out(self, write_video, caplog):
        path = write_video("damaged.mp4", seconds=4, size=(320, 240), sound=False, options={"movflags": "faststart"})
        content = bytearray(Path(path).read_bytes())
        middle = (content.index(b"mdat") + len(content)) // 2
        content[middle : middle + 1000] = b"\xff" * 1000
        with caplog.at_level(logging.WARNING, logger="hf_mer"):
            frames = load_video(bytes(content))
        assert len(frames) >= 6
        assert "damaged packets left out" in caplog.text

    def test_without_pyav(self, monkeypatch):
        monkeypatch.setattr("hf_mer.models.video_mer.av", None)
        with pytest.raises(ImportError, match="pip install av"):
            load_video("a.mp4")
        assert media_kinds("a.mp4") is None
