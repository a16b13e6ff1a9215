"""The places of an utterance that can be left out one by one: its words, segments of its sound, frames of its picture.

A place is removed so that the model meets what it knows. Words leave the text, which is tokenized without them. A
segment of sound becomes noise as faint as the recording's quietest parts, before features are computed; cutting it out
would bring together what was never said together, and finds the salient segments of a generated corpus less often. A
frame of a clip is missing, as in a clip with fewer frames. When all places of a modality are gone, the
modality is missing.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .coalitions_mer import Variant
from .timed_words_mer import TimedWord, with_times

SEGMENT_SECONDS = 0.3
"""Length of a segment of sound where no words are timed, and of the shortest pause that is a segment of its own."""
_FAINT = 0.01  # of the recording's mean amplitude, 40 dB below, which the noise is never above
_FAINTEST = 1e-5  # of full scale
_LEVEL_SECONDS = 0.025
_QUIET = 10  # percentile of the levels that counts as the background


@dataclass(frozen=True)
class Places:
    """The places of one modality of an utterance.

    Attributes:
        player: Of `PLAYERS`.
        entries: What a result says of every place.
        left: From the places that are left, `(P,)`, True at least once, to the field of `Variant` that changes.
    """

    player: str
    entries: list[dict[str, Any]]
    left: Callable[[np.ndarray], dict[str, Any]]

    def __len__(self) -> int:
        return len(self.entries)

    def grouped(self, count: int) -> "Places":
        """Neighbours joined until there are so many places."""
        groups = np.array_split(np.arange(len(self)), count)
        group_of = np.repeat(np.arange(count), [len(group) for group in groups])
        entries = [_joined([self.entries[place] for place in group]) for group in groups]
        return Places(self.player, entries, lambda chosen: self.left(chosen[group_of]))


def places_of(whole: Variant, utterance: Any, processor: Any, wanted: Iterable[str]) -> list[Places]:
    """The places of every player that is wanted and there.

    Args:
        whole: Of the utterance.
        utterance: An `Utterance` with its `sound`.
        processor: Of the model.
        wanted: Of `PLAYERS`.
    """
    found = {}
    if "text" in whole.modalities:
        timed = with_times(_read(processor, whole.text, whole.history), utterance.timed_words)
        found["text"] = _words("text", [word for word in timed if word["current"]])
        # beside a long text less of it is read, or nothing; it counts all the same, as the text may be left out
        earlier = _read(processor, None, whole.history) if whole.history else []
        found["history"] = _words("history", [word for word in earlier if not word["current"]])
    if whole.features is not None and utterance.sound is not None:
        found["speech"] = _segments(utterance, processor)
    if whole.pixels is not None:
        found["video"] = _frames(whole.pixels, utterance)
    return [places for name, places in found.items() if name in set(wanted) & set(whole.players) and len(places)]


def _read(processor: Any, text: str | None, history: list[str] | None) -> list[dict[str, Any]]:
    """The words of which the model reads tokens."""
    words = processor.collate([None], [text], [history], return_words=True)["words"][0]
    return [{"word": word, "current": current} for word, _, current in words]


def segment_spans(seconds: float, words: Sequence[TimedWord] | None) -> list[tuple[float, float, str | None]]:
    """Begin, end and word of the segments of a sound, which together cover it.

    A segment is a word where every word has its time, and a pause between words that is `SEGMENT_SECONDS` long or more
    is one of its own; a shorter pause belongs to the words around it, one half to each. Else segments are of equal
    length, about `SEGMENT_SECONDS`.

    Args:
        seconds: Length of the sound.
        words: With their times, seconds from its beginning.
    """
    told = [] if words is None else _one_after_the_other(words, seconds)
    if not told or any(math.isinf(word.end) or len(word.text.split()) > 1 for word in words or ()):
        borders = np.linspace(0, seconds, max(1, round(seconds / SEGMENT_SECONDS)) + 1).tolist()
        return [(start, end, None) for start, end in itertools.pairwise(borders)]
    spans: list[tuple[float, float, str | None]] = []
    before = 0.0
    for start, end, word in told:
        if start - before >= SEGMENT_SECONDS:
            spans.append((before, start, None))
        elif spans:
            start = (before + start) / 2
            spans[-1] = (spans[-1][0], start, spans[-1][2])
        else:
            start = 0.0
        spans.append((start, end, word))
        before = end
    if seconds - before >= SEGMENT_SECONDS:
        return [*spans, (before, seconds, None)]
    return [*spans[:-1], (spans[-1][0], seconds, spans[-1][2])]


def _one_after_the_other(words: Sequence[TimedWord], seconds: float) -> list[tuple[float, float, str]]:
    """Begin, end and text of words, none of which begins before the one before has ended; without those of no time."""
    told: list[tuple[float, float, str]] = []
    for text, start, end in sorted(words, key=lambda word: word.start):
        start, end = max(start, told[-1][1] if told else 0.0), min(end, seconds)
        if end > start:
            told.append((start, end, text.strip()))
    return told


def faint_noise(samples: np.ndarray, sampling_rate: int, seed: int = 0) -> np.ndarray:
    """White noise at the level of the quietest tenth of a recording, at least 40 dB below its mean. Shape `(N,)`.

    Much quieter noise is itself a cue, of a low voice, and finds fewer salient segments of a generated corpus; so do
    features that are normalised by the whole recording's statistics in the place of their own.

    Args:
        samples: Shape `(N,)`.
        sampling_rate: Hz.
        seed: The same noise comes again.
    """
    size = max(1, min(len(samples), round(_LEVEL_SECONDS * sampling_rate)))
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    levels = np.sqrt((frames**2).mean(axis=1))  # (frames,)
    overall = float(np.sqrt((levels**2).mean()))
    level = max(_FAINTEST, min(float(np.percentile(levels, _QUIET)), _FAINT * overall))
    return np.random.default_rng(seed).normal(scale=level, size=len(samples)).astype(np.float32)


def _words(player: str, entries: list[dict[str, Any]]) -> Places:
    words = [entry["word"] for entry in entries]

    def left(chosen: np.ndarray) -> dict[str, Any]:
        text = " ".join(word for word, stays in zip(words, chosen, strict=True) if stays)
        return {"text": text} if player == "text" else {"history": [text]}

    return Places(player, entries, left)


def _segments(utterance: Any, processor: Any) -> Places:
    rate, samples = processor.sampling_rate, utterance.sound
    noise = faint_noise(samples, rate)
    timed = [
        word._replace(start=word.start - utterance.start, end=word.end - utterance.start)
        for word in utterance.timed_words or ()
        if word.text.strip()
    ]
    spans = segment_spans(len(samples) / rate, timed)
    borders = [round(end * rate) for _, end, _ in spans[:-1]]
    place_of = np.searchsorted(borders, np.arange(len(samples)), side="right")  # (N,)
    by_word = any(word is not None for _, _, word in spans)
    entries = [
        {"start": utterance.start + start, "end": utterance.start + end, **({"word": word} if by_word else {})}
        for start, end, word in spans
    ]

    def left(chosen: np.ndarray) -> dict[str, Any]:
        return {"features": processor.features_of(np.where(chosen[place_of], samples, noise))}

    return Places("speech", entries, left)


def _frames(pixels: np.ndarray, utterance: Any) -> Places:
    """Every frame stands for an equal part of the clip; times are None where they are not known."""
    borders: list[Any] = [None] * (len(pixels) + 1)
    if utterance.picture_seconds is not None:
        borders = (utterance.start + np.linspace(0, utterance.picture_seconds, len(pixels) + 1)).tolist()
    entries = [{"start": start, "end": end} for start, end in itertools.pairwise(borders)]
    return Places("video", entries, lambda chosen: {"pixels": pixels[chosen]})


def _joined(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """One entry for several that follow each other."""
    first, last = entries[0], entries[-1]
    joined = dict(first)
    if "word" in first:
        joined["word"] = " ".join(entry["word"] for entry in entries if entry["word"]) or None
    if "end" in first and "end" in last:
        joined["end"] = last["end"]
    return joined
