"""Reading pictures from whatever a user has: path, bytes, array or a row of a corpus.

This file travels with a checkpoint. PyAV decodes; its wheels carry all that is needed. Times are seconds from the
beginning of the file, as a player shows them, and every frame is found by its own time stamp, so that a variable frame
rate changes nothing.
"""

import io
import logging
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .notes_mer import note
from .packets_mer import decoded_frames
from .sources_mer import as_source, border, shown_name

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

SIDES = ("left", "right")
_SEEK_FROM = 2.0  # seconds into the file from where jumping is quicker than decoding
_TOLERANCE = 0.5  # seconds by which headers are off without anything missing
_BEYOND = 0.1  # seconds by which a clip is longer than what is seen, that are worth a word


class VideoError(ValueError):
    """Video that cannot be used; the message names the source and says why."""


@dataclass(frozen=True)
class VideoInfo:
    """What a clip holds.

    Attributes:
        duration: Seconds of picture in the whole file.
        seconds: Seconds of the span that was looked at.
        frames: Frames in that span.
        width: Pixels.
        height: Pixels.
        missing: Seconds that the header promises and the file lacks: it is truncated.
    """

    duration: float
    seconds: float
    frames: int
    width: int
    height: int
    missing: float


@dataclass(frozen=True)
class _Clip:
    """Where a source's bytes are, what part of it is wanted, and its name for messages."""

    file: str | bytes
    name: str
    start: float | None
    end: float | None


def load_video(
    source: Any,
    num_frames: int = 8,
    *,
    side: str | None = None,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Loads frames that lie evenly over a clip.

    The span is cut into `num_frames` equal parts, and the frame that is on the screen in the middle of each is taken.
    A frame is never given twice: a clip with fewer frames than asked for gives those that it has. Only these are
    kept in memory, however long the clip. A file that ends too soon gives what there is, with a warning, and pictures
    that are stored rotated (telephones) are set upright.

    Args:
        source: Path, bytes of a file in whatever form, open binary file, array or tensor of frames `(F, H, W, 3)`
            (uint8), or a dictionary with `path`, `bytes` or `array`, and `start`, `end`, `side` where the keywords do
            not say (`video` of a corpus row).
        num_frames: How many, at most.
        side: `left` or `right` half of a split screen; whole frames if None.
        start: Seconds at which the span begins; the beginning if None.
        end: Seconds at which it ends; the end if None. What reaches beyond the clip is cut off.
        max_seconds: The span is cut at its end after so many seconds, which is noted; not at all if None.

    Returns:
        Frames in order of time. Shape `(F, H, W, 3)`, uint8, `1 <= F <= num_frames`.

    Raises:
        VideoError: If the source is missing or unreadable, has no video stream or no frames, or the span lies outside.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames={num_frames} must be at least 1")
    source = as_source(source, VideoError)
    if isinstance(source, Mapping):
        side = side if side is not None else source.get("side")
        if source.get("array") is not None:
            source = source["array"]
    if side is not None and side not in SIDES:
        raise VideoError(f"side is {side!r}; it must be {' or '.join(map(repr, SIDES))}, or None for whole frames")
    if isinstance(source, (str, os.PathLike, bytes, Mapping)):
        frames = _load_file(_clip(source, start, end), num_frames, max_seconds)
    else:
        if start is not None or end is not None:
            raise VideoError("an array of frames has no times; leave start and end out, and cut the array")
        frames = _sample_array(source, num_frames)
    half = frames.shape[2] // 2
    if side is not None and half:
        frames = frames[:, :, :half] if side == "left" else frames[:, :, -half:]
    return np.ascontiguousarray(frames)


def probe_video(source: Any, *, start: float | None = None, end: float | None = None) -> VideoInfo:
    """Looks at a clip without decoding it all: its packets are counted and its first picture is decoded.

    Args:
        source: As `load_video` takes it, but no array.
        start: Seconds, as there.
        end: Seconds, as there.

    Raises:
        VideoError: Where `load_video` would raise it.
    """
    clip = _clip(source, start, end)
    with _open(clip) as container:
        stream = _picture_stream(container, clip.name)
        begin, finish = promised = _header_extent(container, stream)
        if clip.end is not None and clip.end <= finish:  # a part of a long video: the rest of it is not read
            times = _packet_times(container, stream, (max(begin, clip.start or 0.0), clip.end))
        else:
            times = _packet_times(container, stream)
            begin, finish = _measured_extent(times) or promised
    first, last = _cut(clip, begin, finish)
    frames = _frames_at(clip, [first])
    if not frames:
        raise VideoError(f"{clip.name}: no frame can be decoded; the video stream is empty or damaged")
    height, width = frames[0].shape[:2]
    inside = sum(first <= time < last for time in times)
    return VideoInfo(finish - begin, last - first, max(1, inside), width, height, _missing(promised[1], finish))


def media_kinds(source: Any) -> set[str] | None:
    """What a file holds: `speech` (sound), `video` (a moving picture), both or neither.

    Args:
        source: Path, bytes in whatever form, open binary file, or a dictionary with one of them.

    Returns:
        None where that cannot be said: an array, a file that is missing or no media file, or PyAV is not installed.
    """
    try:
        source = as_source(source, VideoError)
        if isinstance(source, Mapping):
            source = source["bytes"] if source.get("bytes") is not None else source.get("path")
        if av is None or not isinstance(source, (str, os.PathLike, bytes)):
            return None
        with _open(_clip(source, None, None)) as container:
            kinds = {"speech"} if container.streams.audio else set()
            return kinds | ({"video"} if _moving(container) else set())
    except VideoError:
        return None


def _clip(source: Any, start: float | None, end: float | None) -> _Clip:
    name = shown_name(source, "")
    source = as_source(source, VideoError)
    if isinstance(source, Mapping):
        name = name or shown_name(source, "video")
        start = start if start is not None else border(source, "start", VideoError)
        end = end if end is not None else border(source, "end", VideoError)
        if source.get("bytes") is not None:
            return _Clip(source["bytes"], name, start, end)
        if source.get("path") is None:
            keys = sorted(str(key) for key in source)
            raise VideoError(f"a video dictionary needs 'array', 'bytes' or 'path'; it has {keys}")
        source = source["path"]
    if isinstance(source, bytes):
        return _Clip(source, name or "video bytes", start, end)
    if not isinstance(source, (str, os.PathLike)):
        raise VideoError(f"a video must be a path, bytes, a file or a dictionary, not {type(source).__name__}")
    return _Clip(os.fspath(source), name or "video", start, end)


def _load_file(clip: _Clip, num_frames: int, max_seconds: float | None) -> np.ndarray:
    first, last = _span(clip, max_seconds)
    frames = _frames_at(clip, [first + (part + 0.5) * (last - first) / num_frames for part in range(num_frames)])
    if not frames:
        raise VideoError(f"{clip.name}: no frame can be decoded; the video stream is empty or damaged")
    return np.stack(frames)


def _sample_array(values: Any, num_frames: int) -> np.ndarray:
    if values is None:
        raise VideoError("no video was given")
    try:
        frames = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    except (TypeError, ValueError) as error:
        raise VideoError(
            f"an array of frames must be (F, H, W, 3) of uint8; this is {type(values).__name__}"
        ) from error
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise VideoError(
            f"an array of frames must be (F, H, W, 3) of uint8, not {frames.shape} of {frames.dtype}; "
            "otherwise give a path, bytes or a dictionary"
        )
    if frames.size == 0:
        raise VideoError(f"the array of frames is empty (shape {frames.shape})")
    parts = min(num_frames, len(frames))
    return frames[((np.arange(parts) + 0.5) * len(frames) / parts).astype(int)]


def _open(clip: _Clip) -> Any:
    if av is None:
        raise ImportError("Reading video needs PyAV: `pip install av`")
    if isinstance(clip.file, str):
        if not os.path.isfile(clip.file):
            raise VideoError(f"{clip.name}: no such video file")
        if os.path.getsize(clip.file) == 0:
            raise VideoError(f"{clip.name}: the file is empty (0 bytes)")
    elif not clip.file:
        raise VideoError(f"{clip.name}: the video is empty (0 bytes)")
    try:
        return av.open(io.BytesIO(clip.file) if isinstance(clip.file, bytes) else clip.file)
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"{clip.name}: cannot be read as video ({reason}); is the file complete?") from error


def _moving(container: Any) -> list[Any]:
    """Video streams, without the cover pictures of sound files."""
    return [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]


def _picture_stream(container: Any, name: str) -> Any:
    streams = _moving(container)
    if not streams:
        raise VideoError(f"{name}: has no video stream{' (sound only)' if container.streams.audio else ''}")
    return streams[0]


def _origin(container: Any) -> float:
    return (container.start_time or 0) / av.time_base


def _span(clip: _Clip, max_seconds: float | None) -> tuple[float, float]:
    """The wanted part of a clip, as far as there is picture, in seconds.

    Headers can be wrong (files cut off, variable frame rates): where the end of the picture matters, packets are read.
    A span inside a long file needs no such pass.
    """
    with _open(clip) as container:
        stream = _picture_stream(container, clip.name)
        begin, finish = promised = _header_extent(container, stream)
        if clip.end is None or clip.end > finish:
            begin, finish = _measured_extent(_packet_times(container, stream)) or promised
            if missing := _missing(promised[1], finish):
                note(f"{clip.name}: the picture ends after {finish:.2f} s, {missing:.2f} s too soon")
    first, last = _cut(clip, begin, finish)
    if max_seconds is None or last - first <= max_seconds:
        return first, last
    if last - first - max_seconds > _BEYOND:
        note(
            f"{clip.name}: seen the first {max_seconds:.1f} s of {last - first:.1f} s; cut it into windows to see all "
            "of it (window_seconds, --window)"
        )
    return first, first + max_seconds


def _header_extent(container: Any, stream: Any) -> tuple[float, float]:
    """When the picture begins and ends by the header of the file, in seconds of the file; the end is 0 if unsaid."""
    origin = _origin(container)
    first = float(stream.start_time * stream.time_base) - origin if stream.start_time is not None else 0.0
    return first, first + float((stream.duration or 0) * stream.time_base)


def _measured_extent(times: list[float]) -> tuple[float, float] | None:
    """The same by the times of all frames, the last one lasting as long as the others; None without any."""
    if not times:
        return None
    first, last = min(times), max(times)
    return first, last + ((last - first) / (len(times) - 1) if last > first else 0.04)


def _missing(promised: float, measured: float) -> float:
    """Seconds by which a file ends too soon; 0 where that is within what headers are off."""
    return promised - measured if promised - measured > _TOLERANCE else 0.0


def _packet_times(container: Any, stream: Any, span: tuple[float, float] | None = None) -> list[float]:
    """Times of all frames, or of those around a span, in the order of the file, without decoding.

    They end where the file is damaged.
    """
    origin, times = _origin(container), []
    if span is not None:
        _jump(container, stream, span[0])
    try:
        for packet in container.demux(stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None and packet.size:
                times.append(float(stamp * packet.time_base) - origin)
                if span is not None and times[-1] > span[1] + 1.0:  # frames are out of order by less than that
                    break
    except av.FFmpegError as error:
        logger.debug("packets end early: %s", error)
    return times


def _cut(clip: _Clip, begin: float, finish: float) -> tuple[float, float]:
    """The span of a clip whose picture goes from `begin` to `finish`, seconds."""
    first, last = (clip.start if clip.start is not None else begin), (clip.end if clip.end is not None else finish)
    if not (math.isfinite(first) and math.isfinite(last)) or (clip.start is not None and first >= last == clip.end):
        raise VideoError(f"{clip.name}: a span from {first:g} to {last:g} s is not valid")
    if first >= finish > begin or last <= begin < finish:
        raise VideoError(
            f"{clip.name}: the span from {first:g} to {last:g} s lies outside the clip, whose picture goes from "
            f"{begin:g} to {finish:g} s"
        )
    return max(first, begin), min(last, finish)


def _frames_at(clip: _Clip, times: list[float]) -> list[np.ndarray]:
    """The frames on the screen at the given times, which rise; each once. Shapes `(H, W, 3)`."""
    for jump in (True, False):
        with _open(clip) as container:
            stream = _picture_stream(container, clip.name)
            if jump and not _jump(container, stream, times[0]):
                continue
            frames = _pick(container, stream, times, clip.name, jumped=jump)
            if frames is not None:
                return frames
    return []


def _jump(container: Any, stream: Any, time: float) -> bool:
    """Goes to the key frame before a time, where that is worth it and the file lets one."""
    if time < _SEEK_FROM:
        return False
    try:
        container.seek(int((time + _origin(container)) / stream.time_base), stream=stream)
    except av.FFmpegError:
        return False
    return True


def _pick(container: Any, stream: Any, times: list[float], name: str, jumped: bool) -> list[np.ndarray] | None:
    """Decodes until the last time is met; None if a jump landed behind the first one.

    Raises:
        VideoError: If the picture ends before the first one, as in a file that was cut off behind its header.
    """
    chosen: list[np.ndarray] = []
    shown, kept, index, until = None, None, 0, 0.0
    problems: list[str] = []
    for stamp, frame in _timed_frames(container, stream, problems):
        if jumped and shown is None and (stamp is None or stamp > times[0]):
            return None
        time = until if stamp is None else stamp
        while shown is not None and index < len(times) and times[index] < time:
            if kept is not shown:
                chosen.append(_to_array(shown, chosen))
            kept = shown
            index += 1
        if index == len(times):
            break
        shown, until = frame, time + _duration(frame, stream)
    if shown is None and jumped:
        return None
    if shown is not None and index < len(times) and times[-1] > until + _TOLERANCE:  # less than the header says
        told = f"{name}: the picture ends after {until:.2f} s"
        if times[0] > until + _TOLERANCE:
            raise VideoError(f"{told}, before the span from {times[0]:.2f} s")
        note(f"{told}, before the end of the span")
    if shown is not None and kept is not shown and index < len(times):
        chosen.append(_to_array(shown, chosen))
    if problems and chosen:
        note(f"{name}: {len(problems)} damaged packets left out ({problems[0]}); {len(chosen)} frames are used")
    return chosen


def _timed_frames(container: Any, stream: Any, problems: list[str]) -> Iterator[tuple[float | None, Any]]:
    """Frames with their times in order; what cannot be decoded is left out and named in `problems`."""
    origin = _origin(container)
    for frame in decoded_frames(container, stream, problems):
        stamp = frame.pts if frame.pts is not None else frame.dts
        yield None if stamp is None else float(stamp * stream.time_base) - origin, frame


def _duration(frame: Any, stream: Any) -> float:
    if frame.duration:
        return float(frame.duration * stream.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def _to_array(frame: Any, earlier: list[np.ndarray]) -> np.ndarray:
    """A frame in RGB, upright, of the size of the earlier ones. Shape `(H, W, 3)`."""
    turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
    size = {}
    if earlier:
        height, width = earlier[0].shape[:2]
        size = {"width": height, "height": width} if turns % 2 else {"width": width, "height": height}
    return np.rot90(frame.to_ndarray(format="rgb24", **size), turns)
