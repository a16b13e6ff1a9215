"""The picture of a manifest's rows: file, span, side, and one video for sound and picture."""

import os
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hf_mer.data.corpora.manifest_files import VIDEO_SUFFIXES

SIDES = ("left", "right")


def read_video(
    cells: Mapping[str, Any], entry: Mapping[str, Any], root: Path, where: str, problems: list[str]
) -> dict[str, Any] | None:
    """The `video` of one row; None if it has none.

    Args:
        cells: Cells of the row by names of the schema.
        entry: The same, read so far: `video_start` and `video_end` in seconds.
        root: What a relative path is relative to.
        where: File and line.
        problems: A missing file, an impossible span or side is added here.
    """
    start, end = entry["video_start"], entry["video_end"]
    side = None if cells["video_side"] is None else str(cells["video_side"]).lower()
    if side is not None and side not in SIDES:
        problems.append(f"{where}: video_side {cells['video_side']!r} is not one of {', '.join(SIDES)}")
    if start is not None and end is not None and start >= end:
        problems.append(f"{where}: the video's span begins at {start:g} s and ends at {end:g} s")
    if cells["video"] is None:
        if start is not None or end is not None or side is not None:
            problems.append(f"{where}: a span or side of a video, but no video")
        return None
    path = existing_file(root, cells["video"], "video", where, problems)
    return {"path": path, "start": start, "end": end, "side": side}


def existing_file(root: Path, cell: Any, kind: str, where: str, problems: list[str]) -> str:
    """The path that a cell names; added to `problems` if there is no such file."""
    from hf_mer.models.words_mer import visible  # here, since torch comes with it

    name = os.path.expanduser(str(cell))
    if (root / name).is_file():
        return str(root / name)
    # not as written, but composed and decomposed, which print alike; without characters that do not show
    plain = visible(name)
    forms = [unicodedata.normalize(form, one) for one in (name, plain) for form in ("NFC", "NFD")]
    path = next((root / form for form in forms if (root / form).is_file()), None)
    if path is None:
        problems.append(f"{where}: no {kind} file {root / name}")
    return str(path or root / name)


def fill_from_film(entry: dict[str, Any], names: Mapping[str, str], without: Collection[str], video_cell: Any) -> None:
    """Sound from the video, or picture from the audio file, where there is no column for it at all.

    What is filled in is of the same span as what is there.

    Args:
        entry: The row; `audio` with its segment, `video` and `audio_file` (which ids are made from) are changed.
        names: Columns that are there, by names of the schema.
        without: Columns that the user does not want.
        video_cell: The video as the manifest names it.
    """
    audio, video = entry["audio"], entry["video"]
    no_sound, no_picture = ({name}.isdisjoint({*names, *without}) for name in ("audio", "video"))
    if video is not None:
        is_span = video["start"] is not None or video["end"] is not None
        if no_sound or not is_span:
            entry["audio_file"] = entry["audio_file"] or str(video_cell)
        if no_sound:
            entry["audio"], entry["audio_start"], entry["audio_end"] = video["path"], video["start"], video["end"]
    if audio is not None and no_picture and Path(audio).suffix.lower() in VIDEO_SUFFIXES:
        entry["video"] = {"path": audio, "start": entry["audio_start"], "end": entry["audio_end"], "side": None}
