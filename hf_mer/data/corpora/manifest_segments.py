"""Segments of a table's rows: which part of its recording a row is about, and whether it lies inside the file."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hf_mer.data.corpora.manifest_files import VIDEO_SUFFIXES
from hf_mer.data.schema import CorpusError

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""Seconds by which a segment may pass the end of its file: annotations are rounded."""


def set_segments(
    entries: Sequence[dict[str, Any]],
    names: Mapping[str, str],
    columns: Mapping[str, str | None],
    source: str,
    problems: list[str],
) -> None:
    """Fills `audio_start` and `audio_end` of one table's rows, and the span of their videos.

    Columns of these names (`offset` is one, with `duration` for its length) are segments. `start` and `end` may also
    be places in a dialogue: they count as a segment only if nobody says what they are and every row fits inside its
    file. Where sound and picture are of one file, what is said of one is said of both.

    Args:
        entries: The rows of one table, before sound and picture are filled from each other; changed.
        names: Columns that are there, by names of the schema.
        columns: What the user says of them.
        source: Name of the table.
        problems: Segments outside their file are added here, where it is clear that they are segments.

    Raises:
        CorpusError: If it is not clear what `start` and `end`, or `offset`, are.
    """
    if {"audio_start", "audio_end"} & set(names):
        problems += _named(entries, names, columns, source)
    elif not {"start", "end"} & set(columns):
        _fitting(entries, names, source)
    for entry in entries:
        _share_span(entry)


def _share_span(entry: dict[str, Any]) -> None:
    """The span of the sound becomes that of the picture, or the other way round, where both are of one file."""
    video = entry["video"]
    if video is None or video["path"] != entry["audio"]:
        return
    if _is_whole(video):
        entry["video"] = {**video, "start": entry["audio_start"], "end": entry["audio_end"]}
    elif entry["audio_start"] is None and entry["audio_end"] is None:
        entry["audio_start"], entry["audio_end"] = video["start"], video["end"]


def _named(
    entries: Sequence[dict[str, Any]], names: Mapping[str, str], columns: Mapping[str, str | None], source: str
) -> list[str]:
    """Segments by columns that are called so; what lies outside its file."""
    with_length = "audio_start" in names and "audio_end" not in names and "duration" in names
    if with_length:
        _add_lengths(entries)
    told: list[str] = []
    _check_segments(entries, "audio_start", "audio_end", told)
    if told and "audio_start" not in columns and names.get("audio_start", "").strip().lower() == "offset":
        raise _unclear(source, told, names["audio_start"], None)
    if with_length and any(entry["audio_end"] is not None for entry in entries):
        logger.info("%s: rows are segments that start at %r and last %r", source, names["audio_start"],
                    names["duration"])  # fmt: skip
    return told


def _fitting(entries: Sequence[dict[str, Any]], names: Mapping[str, str], source: str) -> None:
    """Segments by `start` and `end`, where these lie inside the files."""
    found = {name: names[name] for name in ("start", "end") if name in names}
    timed = [entry for entry in entries if _recording(entry) and any(entry[name] is not None for name in found)]
    if not timed:
        return
    told = [
        f"{entry['where']}: sound and picture are two files, and it is not said of which this is the span"
        for entry in timed
        if entry["audio"] is not None
        and entry["video"] is not None
        and entry["video"]["path"] != entry["audio"]
        and _is_whole(entry["video"])
    ]
    if not told and len(found) == 2:
        _check_segments(timed, "start", "end", told)
    elif not told:
        told = [
            f"{source}: there is a column {name!r}, but none for the other end of the segment"
            for name in found.values()
        ]
    if told:
        raise _unclear(source, told, found.get("start"), found.get("end"), _kinds(timed))
    for entry in timed:
        if entry["audio"] is not None:
            entry["audio_start"], entry["audio_end"] = entry["start"], entry["end"]
        else:
            entry["video"] = {**entry["video"], "start": entry["start"], "end": entry["end"]}
        entry["start"] = entry["end"] = None
    logger.info(
        "%s: %r and %r lie inside the files and are read as segments of them (%d rows); columns={'start': %r, "
        "'end': %r} reads them as times in a dialogue",
        *(source, found["start"], found["end"], len(timed), found["start"], found["end"]),
    )


def _recording(entry: Mapping[str, Any]) -> str | None:
    """The file that `start` and `end` may be of: the sound, else a video without a span of its own."""
    if entry["audio"] is not None or entry["video"] is None:
        return entry["audio"]
    return entry["video"]["path"] if _is_whole(entry["video"]) else None


def _is_whole(video: Mapping[str, Any]) -> bool:
    return video["start"] is None and video["end"] is None


def _kinds(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """`audio`, `video` or both, whatever the rows have."""
    return [name for name in ("audio", "video") if any(entry[name] is not None for entry in entries)]


def _add_lengths(entries: Sequence[dict[str, Any]]) -> None:
    """Ends out of lengths. A length alone only describes its row."""
    for entry in entries:
        if entry["audio_start"] is not None and entry["duration"] is not None:
            entry["audio_end"] = entry["audio_start"] + entry["duration"]


def _unclear(
    source: str, told: Sequence[str], start: str | None, end: str | None, kinds: Sequence[str] = ("audio",)
) -> CorpusError:
    given = [(name, own) for name, own in (("start", start), ("end", end)) if own is not None]
    segment = {f"{kind}_{name}": own for kind in kinds for name, own in given}
    place = dict(given)
    columns = " and ".join(repr(own) for _, own in given)
    return CorpusError.from_problems(
        f"{source}: {columns} could be segments of the files or times in a dialogue",
        told,
        hint=f"Pass columns={segment} for segments in seconds, or columns={place} for times in a dialogue, which "
        "do not cut the files (on the command line: --columns, as JSON)",
    )


def _check_segments(entries: Sequence[dict[str, Any]], first: str, last: str, problems: list[str]) -> None:
    """Adds what lies outside its file, with the unit that would fit."""
    length_of = cache(_length)
    outside: list[tuple[dict[str, Any], str]] = []
    for entry in entries:
        start, end = entry[first], entry[last]
        if start is None and end is None:
            continue
        file = _recording(entry) if first == "start" else entry["audio"]
        if file is None:
            problems.append(f"{entry['where']}: a segment of a recording, but no recording")
            continue
        length = length_of(file)
        if length is None:  # no such file, or none that can be read: told elsewhere
            continue
        span = f"from {start or 0.0:.10g} to {'the end' if end is None else f'{end:.10g}'} s"
        if end is not None and (start or 0.0) >= end:
            problems.append(f"{entry['where']}: the segment {span} is empty")
        elif (start or 0.0) < 0 or (start or 0.0) >= length[0] or (end or 0.0) > length[0] + TOLERANCE:
            outside.append((entry, f"the segment {span} is not inside {file}, {length[0]:.10g} s long"))
    unit = _unit([entry for entry, _ in outside], first, last, length_of) if outside else ""
    problems += [f"{entry['where']}: {told}{unit}" for entry, told in outside]


def _unit(
    outside: Sequence[dict[str, Any]], first: str, last: str, length_of: Callable[[str], tuple[float, int] | None]
) -> str:
    """The unit in which all of these would fit inside their files."""
    for unit in ("milliseconds", "samples"):
        fits = []
        for entry in outside:
            length, rate = length_of(_recording(entry) or "") or (0.0, 1)
            start, end = ((entry[name] or 0.0) / (1000 if unit == "milliseconds" else rate) for name in (first, last))
            fits.append(0 <= start < length and end <= length + TOLERANCE)
        if all(fits):
            return f" (are these {unit}? They must be seconds)"
    return ""


def _length(path: str) -> tuple[float, int] | None:
    """Seconds and rate (1 of a film without sound) of a file; None if it cannot be read."""
    from hf_mer.models.audio_mer import AudioError, probe_audio
    from hf_mer.models.video_mer import VideoError, probe_video

    if not Path(path).is_file():
        return None
    with contextlib.suppress(AudioError):
        info = probe_audio(path)
        return info.duration, info.sampling_rate
    with contextlib.suppress(VideoError):
        return (probe_video(path).seconds, 1) if Path(path).suffix.lower() in VIDEO_SUFFIXES else None
    return None
