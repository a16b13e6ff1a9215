"""When every word of an utterance is said, where the corpus knows: the forced alignment that IEMOCAP's release has.

`Session1/sentences/ForcedAlignment/<dialogue>/<utterance>.wdseg` lies beside `.../wav/<dialogue>/<utterance>.wav`:
after a line of titles, one line per word with its first and last frame of 10 ms, a score, and the word, `CAN'T(2)` for
its second pronunciation. Silence and noise are in `<>` and `++`.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_mer.data.words import spoken_words, word_key

FRAME_SECONDS = 0.01
_LINE = re.compile(r"\s*(\d+)\s+(\d+)\s+-?\d+\s+(\S+)\s*$")
_NO_WORD = re.compile(r"<.*>|\+\+.*\+\+")
_VARIANT = re.compile(r"\(\d+\)$")


def alignment_path(audio: str | os.PathLike) -> Path:
    """Where the alignment of an utterance of IEMOCAP's tree lies, if there is one."""
    path = Path(audio)
    return path.parents[2] / "ForcedAlignment" / path.parent.name / f"{path.stem}.wdseg"


def write_alignment(audio: Path, words: Sequence[str], spans: np.ndarray) -> None:
    """Write the alignment of an utterance.

    Args:
        audio: Its file in IEMOCAP's tree.
        words: In their order.
        spans: Start and end of each word, seconds. Shape `(words, 2)`.
    """
    frames = np.rint(spans / FRAME_SECONDS).astype(int)
    lines = ["\t SFrm  EFrm    SegAScr Word", f"\t{0:5d} {frames[0, 0] - 1:5d} {0:10d} <s>"]
    for word, (start, stop) in zip(words, frames, strict=True):
        lines.append(f"\t{start:5d} {stop - 1:5d} {0:10d} {word.upper()}")
    path = alignment_path(audio)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, " Total score:           0", ""]), encoding="utf-8")


def word_times(audio: Any, words: Sequence[str]) -> np.ndarray | None:
    """Start and end of every word of an utterance in seconds, from the alignment beside its file.

    Args:
        audio: The utterance's file, or a row's `audio`; a part of a recording, or sound in memory, has no alignment.
        words: As they are shown, in their order, punctuation and all; fewer than were said where the text was cut.
            What is not spoken, such as a dash, begins and ends where the word before it ends.

    Returns:
        Shape `(words, 2)`. None where there is no alignment, or where its words are not these.
    """
    if isinstance(audio, Mapping):
        audio = audio.get("path") if audio.get("start") is None and audio.get("end") is None else None
    if (
        not isinstance(audio, (str, os.PathLike))
        or len(Path(audio).parents) < 3
        or not alignment_path(audio).is_file()
    ):
        return None
    said = _read(alignment_path(audio))
    times, place = np.zeros((len(words), 2)), 0
    for index, word in enumerate(words):
        keys = spoken_words(word)
        found = said[place : place + len(keys)]
        if [key for key, _, _ in found] != keys:
            return None
        before = times[index - 1, 1] if index else 0.0
        times[index] = (found[0][1], found[-1][2]) if found else (before, before)
        place += len(keys)
    return times


def _read(path: Path) -> list[tuple[str, float, float]]:
    """Words as they are compared, their starts and their ends."""
    matches = map(_LINE.match, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [
        (word_key(_VARIANT.sub("", match[3])), int(match[1]) * FRAME_SECONDS, (int(match[2]) + 1) * FRAME_SECONDS)
        for match in matches
        if match is not None and not _NO_WORD.fullmatch(match[3])
    ]
