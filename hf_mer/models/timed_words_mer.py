"""Words with the times at which they are said: from a speech recogniser, or given with a recording."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .words_mer import visible

_ADVICE = "[{'text': ..., 'timestamp': (start, end)}, ...], as speech recognition with return_timestamps gives them"


_FRAME = 0.01  # seconds
_SILENT_SHARE = 0.01  # of the loudest frame's amplitude: 40 dB below


class TimedWord(NamedTuple):
    """A word, or a segment of several where nothing finer is known.

    Attributes:
        text: As it is written, punctuation and all.
        start: Seconds.
        end: Seconds; infinite where it is not known.
    """

    text: str
    start: float
    end: float


def timed_words(chunks: Any) -> list[TimedWord]:
    """Words with their times, out of the chunks of a speech recogniser; an open end is where the next one begins.

    Args:
        chunks: `[{"text", "timestamp": (start, end)}, ...]`, or a dictionary that has them under `chunks`.

    Raises:
        ValueError: If they are anything else.
    """
    if isinstance(chunks, Mapping) and "chunks" in chunks:
        chunks = chunks["chunks"]
    if isinstance(chunks, str):
        raise ValueError(f"text of a long recording needs times, to be cut with it: {_ADVICE}")
    if not isinstance(chunks, (list, tuple)):
        given = repr(chunks) if len(repr(chunks)) <= 60 else f"{repr(chunks)[:60]}..."
        raise ValueError(f"text must be a string or {_ADVICE}, got {given}")
    timed = []
    for index, chunk in enumerate(chunks):
        try:
            text, (start, end) = chunk["text"], chunk["timestamp"]
            timed.append(TimedWord(str(text), float(start or 0.0), math.inf if end is None else float(end)))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"text: item {index} is {chunk!r}; it must be like {_ADVICE}") from error
    starts = [*(word.start for word in timed[1:]), math.inf]
    return [
        word._replace(end=after) if word.end == math.inf and after >= word.start else word
        for word, after in zip(timed, starts, strict=True)
    ]


def within(words: Iterable[tuple[str, float, float]], start: float, end: float) -> list[TimedWord]:
    """Words of a span of time.

    A word belongs to a span that has at least half of it; one that is longer than the span, if it fills at least half
    of the span. So a word belongs to one of two neighbouring windows, at most by a tie to both, and a sentence longer
    than a window to all that lie mostly inside it. A word without an end belongs where it begins.

    Args:
        words: Words, begin and end in seconds.
        start: Seconds.
        end: Seconds.
    """
    chosen = []
    for text, first, last in words:
        shared = min(last, end) - max(first, start)
        shorter = min(last - first, end - start)
        begins = start <= first < end
        if begins if last == math.inf else shared >= 0.5 * shorter and (shared > 0 or begins):
            chosen.append(TimedWord(text, first, last))
    return chosen


def joined(words: Iterable[tuple[str, float, float]]) -> str:
    """The words as one text."""
    return " ".join(text.strip() for text, *_ in words if text.strip())


def clipped(words: Iterable[TimedWord], seconds: float) -> list[TimedWord]:
    """Words none of whose times is beyond a recording of so many seconds."""
    return [word._replace(start=min(word.start, seconds), end=min(word.end, seconds)) for word in words]


def tightened(words: Iterable[TimedWord], samples: np.ndarray, sampling_rate: int) -> list[TimedWord]:
    """Words without the silence before and after them, which recognisers count to the nearest word.

    Frames of 10 ms are silence where their level is 40 dB below that of the loudest frame of the recording; in a noisy
    recording that is none. A word that is all silence keeps its times.

    Args:
        words: Times from the beginning of the recording.
        samples: Shape `(N,)`.
        sampling_rate: Hz.
    """
    size = max(1, round(_FRAME * sampling_rate))
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    levels = np.sqrt((frames**2).mean(axis=1))  # (frames,)
    sounding = np.flatnonzero(levels > levels.max(initial=0.0) * _SILENT_SHARE)
    tight = []
    for word in words:
        inside = sounding[((sounding + 1) * _FRAME > word.start) & (sounding * _FRAME < word.end)]
        if len(inside):
            start, end = float(inside[0] * _FRAME), float((inside[-1] + 1) * _FRAME)
            word = word._replace(start=max(word.start, start), end=min(word.end, end))
        tight.append(word)
    return tight


def shifted(words: Iterable[TimedWord], seconds: float) -> list[TimedWord]:
    """Words that are said so many seconds later."""
    return [word._replace(start=word.start + seconds, end=word.end + seconds) for word in words]


def as_entries(words: Iterable[TimedWord]) -> list[dict[str, Any]]:
    """Words as results have them: `word`, `start` and `end` in seconds (`end` is None where it is not known)."""
    return [
        {"word": word.text.strip(), "start": word.start, "end": None if word.end == math.inf else word.end}
        for word in words
        if word.text.strip()
    ]


def times_of(shown: Sequence[str], words: Iterable[TimedWord] | None) -> list[tuple[float, float]] | None:
    """Start and end in seconds of words as they are shown, from the words of which they are made.

    Both are compared letter by letter without white space: where the recogniser splits a word is its own affair.

    Args:
        shown: In their order; fewer than were said where the text was cut.
        words: With their times.

    Returns:
        One pair for each; None where they are not the same words, or the times are those of several words together.
    """
    timed = list(words or ())
    said = [(letter, place) for place, word in enumerate(timed) for letter in _letters(word.text)]
    times, position, last_place = [], 0, -1
    for word in shown:
        letters = _letters(word)
        found = said[position : position + len(letters)]
        if not letters or [letter for letter, _ in found] != letters or found[0][1] == last_place:
            return None
        first, last = timed[found[0][1]], timed[found[-1][1]]
        if last.end == math.inf:
            return None
        times.append((first.start, last.end))
        position, last_place = position + len(letters), found[-1][1]
    if position < len(said) and said[position][1] == last_place:
        return None  # the last word shown is only a part of what the times are of
    return times


def with_times(words: list[dict[str, Any]], timed: Iterable[TimedWord] | None) -> list[dict[str, Any]]:
    """Words of an explanation, those of the current utterance with `start` and `end` where `times_of` knows them."""
    current = [word["word"] for word in words if word["current"]]
    known = times_of(current, timed)
    times = iter([{"start": start, "end": end} for start, end in known] if known else [{}] * len(current))
    return [{**word, **next(times)} if word["current"] else word for word in words]


def timeline_words(timeline: Sequence[Mapping[str, Any]]) -> list[TimedWord]:
    """The words of a whole time line, each once, though windows that overlap hear it more than once.

    Of the segment that two windows share the first half is the earlier one's and the second the later one's. A word
    belongs to the window that has its middle; what a window repeats of the one before is left out.

    Args:
        timeline: Windows as the pipeline gives them: `start`, `end`, and `timed_words` where they are known.

    Returns:
        The words in their order, seconds of the recording; one whose end is not known ends where it begins.
    """
    kept = list[TimedWord]()
    for index, window in enumerate(timeline):
        left, right = -math.inf, math.inf
        if index:
            left = (window["start"] + max(window["start"], timeline[index - 1]["end"])) / 2
        if index + 1 < len(timeline):
            right = (window["end"] + min(window["end"], timeline[index + 1]["start"])) / 2
        for entry in window.get("timed_words") or ():
            end = entry["start"] if entry["end"] is None else entry["end"]
            word = TimedWord(entry["word"], entry["start"], end)
            repeats = any(word.text == before.text and word.start < before.end for before in kept[-3:])
            if left <= (word.start + word.end) / 2 < right and not repeats:
                kept.append(word)
    return kept


def _letters(text: str) -> list[str]:
    return [letter for letter in visible(text) if not letter.isspace()]
