"""The sound of a row: its recording, or the segment of the recording that the row is about."""

from collections.abc import Mapping
from typing import Any

from .sources_mer import is_bytes, is_file

SEGMENT = ("audio_start", "audio_end")
"""Columns of a row that say which part of its recording belongs to it, seconds; empty ones mean the file's border.

`start` and `end` are something else: places in a dialogue or an episode, which never cut.
"""


def audio_of(row: Mapping[str, Any]) -> Any:
    """The sound of a row as `load_audio` takes it; None if it has none.

    Args:
        row: With `audio`, and `audio_start` and `audio_end` (seconds) where it is a part of a recording.

    Raises:
        ValueError: If both the row and its `audio` name a segment.
    """
    audio = row.get("audio")
    # a table read by pandas has NaN, which equals nothing, where a cell is empty
    given = {name: float(row[name]) for name in SEGMENT if row.get(name) is not None and row[name] == row[name]}
    if audio is None or not given:
        return audio
    if isinstance(audio, Mapping):
        if audio.get("start") is not None or audio.get("end") is not None:
            raise ValueError(
                f"{audio.get('path') or 'audio'}: 'audio' has a start or end of its own beside {' and '.join(given)}; "
                "give one or the other"
            )
        source = dict(audio)
    elif is_bytes(audio) or is_file(audio):
        source = {"bytes": audio}
    elif hasattr(audio, "get_all_samples"):  # a decoder object of `datasets` (torchcodec)
        decoded = audio.get_all_samples()
        source = {"array": decoded.data.numpy(), "sampling_rate": int(decoded.sample_rate)}
    else:
        source = {"array" if hasattr(audio, "shape") or isinstance(audio, (list, tuple)) else "path": audio}
    return {**source, "start": given.get("audio_start"), "end": given.get("audio_end")}
