"""Long recordings: overlapping windows that are read as a stream, and the time line of emotions made of them."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .audio_blocks_mer import audio_blocks
from .audio_samples_mer import is_silent
from .notes_mer import note, noting, say
from .timed_words_mer import TimedWord, joined, timed_words, within
from .utterances_mer import Utterance, UtteranceLoader, name_of
from .video_mer import media_kinds, probe_video
from .words_mer import turns_with_words


@dataclass(frozen=True)
class Windows:
    """How a recording is cut.

    Window `k` begins at `k * hop` and is `seconds` long; the last one ends with the recording and may be shorter.
    There is no window whose sound the one before has heard already. Only where windows do not overlap can little be
    left for the last one: it is then begun earlier, so that it has `shortest`.

    Attributes:
        seconds: Length of a window.
        hop: From the beginning of one to that of the next; at most `seconds`.
        shortest: What a window must have, seconds.
    """

    seconds: float
    hop: float
    shortest: float

    @classmethod
    def of(cls, processor: Any, seconds: float, hop: float | None) -> "Windows":
        """Checks what was asked for; half a window is the hop by default.

        Raises:
            ValueError: If it is not possible with this processor.
        """
        hop = seconds / 2 if hop is None else hop
        shortest = processor.min_audio_seconds
        if not seconds >= shortest:
            raise ValueError(
                f"window_seconds={seconds} must be at least {shortest}, the processor's min_audio_seconds"
            )
        for name in ("max_audio_seconds", "max_video_seconds"):
            longest = getattr(processor, name)
            if longest is not None and seconds > longest:
                raise ValueError(f"window_seconds={seconds} must be at most {longest}, the processor's {name}")
        if not 1 / processor.sampling_rate <= hop <= seconds:
            raise ValueError(f"hop_seconds={hop} must be above 0 and at most window_seconds={seconds}")
        return cls(seconds, hop, shortest)

    def spans(self, seconds: float) -> Iterator[tuple[float, float, bool]]:
        """Begin, end, and whether it is the last, of all windows over so many seconds."""
        index = 0
        while index * self.hop + self.seconds < seconds:
            yield index * self.hop, index * self.hop + self.seconds, False
            index += 1
        start = index * self.hop
        yield (max(0.0, seconds - self.shortest) if seconds - start < self.shortest else start), seconds, True

    def cut(self, blocks: Iterable[np.ndarray], rate: int) -> Iterator[tuple[int, np.ndarray, bool]]:
        """First sample, samples, and whether it is the last, of all windows over a stream of samples."""
        size, shortest = round(self.seconds * rate), math.ceil(self.shortest * rate)
        stream = iter(blocks)
        held, base, start, index = np.zeros(0, np.float32), 0, 0, 0
        while True:
            while base + len(held) <= start + size and (block := next(stream, None)) is not None:
                held = np.concatenate([held, block])
            finish = base + len(held)
            if finish <= start + size:
                start = max(0, finish - shortest) if finish - start < shortest else start
                yield start, held[start - base :], True
                return
            yield start, held[start - base : start - base + size], False
            index += 1
            start = round(index * self.hop * rate)
            kept = max(base, start - shortest)
            held, base = held[kept - base :].copy(), kept


def window_utterances(
    item: Mapping[str, Any], loader: UtteranceLoader, windows: Windows, sampling_rate: int | None = None
) -> Iterator[Utterance]:
    """The windows of one recording, loaded as they are asked for.

    Sound is decoded block by block and pictures are looked up by time. `text` with times, the chunks that a
    speech-recognition pipeline of transformers gives (`{"text", "timestamp": (start, end)}`), is cut by
    `within`; without it words are recognised per window if a recogniser is there. `history` belongs to every
    window.

    Raises:
        ValueError: If the recording cannot be used, or `text` has no times.
    """
    wants_text = "text" in loader.modalities
    chunks = timed_words(item["text"]) if wants_text and item.get("text") is not None else None
    listens = loader.recognises and chunks is None
    audio, video = loader.sources(item, listens)
    history = turns_with_words(item.get("history")) if wants_text else None
    lacking = False
    offset, notes, number, silent = _start_of(audio if audio is not None else video), list[str](), 0, 0
    for start, end, samples, is_last in noting(
        _spans(audio, video, chunks, loader, windows, item, sampling_rate), notes
    ):
        utterance = Utterance(history=history, start=offset + start, end=offset + end, kind="window", is_last=is_last)
        utterance.recording_notes, number = notes, number + 1
        if chunks is not None:
            utterance.timed_words = within(chunks, utterance.start, utterance.end)
            utterance.text = utterance.heard = joined(utterance.timed_words)
        if samples is not None:
            utterance.features = loader.features_of(samples, name_of(audio))
            utterance.samples = samples if listens else None
            utterance.sound = samples if loader.explains and utterance.features is not None else None
            if is_silent(samples):
                utterance.is_silent, silent = True, silent + 1
                utterance.notes.append(f"the sound from {utterance.start:.2f} to {utterance.end:.2f} s is silent")
        if video is not None:
            (utterance.pixels,) = noting(_pictures(video, (start, end), utterance, loader.processor, lacking), notes)
            lacking = lacking or utterance.pixels is None
            if loader.explains and utterance.pixels is not None:
                utterance.picture_seconds = end - start
        if is_last:
            if silent:
                notes.append(f"{name_of(audio)}: the sound of {silent} of {number} windows is silent")
            say(notes)
        yield utterance


def overall(spans: list[tuple[float, float]], probabilities: list[np.ndarray]) -> np.ndarray:
    """Mean of the windows' probabilities, weighted by their lengths. Shape `(C,)`."""
    weights = np.array([end - start for start, end in spans])
    return np.average(np.stack(probabilities), axis=0, weights=weights)


def without_overlap(
    spans: list[tuple[float, float]], probabilities: list[np.ndarray]
) -> tuple[list[tuple[float, float]], list[np.ndarray]]:
    """A time line in which nothing overlaps.

    Between two neighbouring borders of windows the probabilities are the mean of the windows that lie over both. Then
    neighbours with the same best label become one, with the mean weighted by length.
    """
    borders = sorted({border for span in spans for border in span})
    cells: list[tuple[float, float]] = []
    means: list[np.ndarray] = []
    first = 0
    for start, end in itertools.pairwise(borders):
        while first < len(spans) and spans[first][1] <= start:
            first += 1
        over = []
        for index in range(first, len(spans)):
            if spans[index][0] > start:
                break
            if spans[index][1] >= end:
                over.append(probabilities[index])
        if not over:
            continue  # a window about which nothing could be said
        mean = np.mean(over, axis=0)
        if cells and cells[-1][1] == start and means[-1].argmax() == mean.argmax():
            means[-1] = overall([cells[-1], (start, end)], [means[-1], mean])
            cells[-1] = (cells[-1][0], end)
        else:
            cells.append((start, end))
            means.append(mean)
    return cells, means


def _spans(
    audio: Any,
    video: Any,
    chunks: list[TimedWord] | None,
    loader: UtteranceLoader,
    windows: Windows,
    item: Mapping[str, Any],
    sampling_rate: int | None,
) -> Iterator[tuple[float, float, np.ndarray | None, bool]]:
    """Begin, end, samples and whether it is the last: windows over the sound, else the picture, else the words."""
    silent = audio is not None and media_kinds(audio) == {"video"} and (video is not None or chunks)
    if silent:
        note(f"{name_of(audio)}: has no sound; only the other inputs are used")
    if audio is not None and not silent:
        rate = loader.processor.sampling_rate
        blocks = audio_blocks(
            audio, rate, sampling_rate if item.get("sampling_rate") is None else item["sampling_rate"]
        )
        for first, samples, is_last in windows.cut(blocks, rate):
            yield first / rate, (first + len(samples)) / rate, samples, is_last
        return
    if video is not None:
        seconds = probe_video(video).seconds
    elif chunks:
        seconds = max(windows.shortest, *(start if end == math.inf else end for _, start, end in chunks))
    else:
        raise ValueError(f"a recording has nothing that this model can use; it needs {' or '.join(loader.modalities)}")
    for start, end, is_last in windows.spans(seconds):
        yield start, end, None, is_last


def _pictures(
    video: Any, window: tuple[float, float], utterance: Utterance, processor: Any, quiet: bool
) -> Iterator[np.ndarray | None]:
    """Pixels of a window; None, with a warning unless `quiet`, where the picture has ended before the sound.

    The window is seconds from the beginning of the recording: sound and picture may be of files with other clocks.
    """
    first, last = (_start_of(video) + seconds for seconds in window)
    until = video.get("end") if isinstance(video, Mapping) else None
    within = {"start": first, "end": last if until is None else min(last, until)}
    source = {**video, **within} if isinstance(video, Mapping) else {_kind_of(video): video, **within}
    try:
        if until is not None and first >= until:
            raise ValueError(f"{name_of(video)}: the span of the picture ends at {until:.2f} s")
        pixels = processor.extract_video(source)
    except ValueError:
        if utterance.features is None and utterance.samples is None and not utterance.text:
            raise
        if not quiet:
            span = f"{utterance.start:.2f} to {utterance.end:.2f} s"
            note(f"{name_of(video)}: no picture from {span}, and maybe later; only the other inputs are used")
        pixels = None
    yield pixels


def _kind_of(video: Any) -> str:
    if isinstance(video, bytes):
        return "bytes"
    if hasattr(video, "shape"):
        raise ValueError("an array of frames has no times, which windows need; give a video as a path or bytes")
    return "path"


def _start_of(source: Any) -> float:
    return max(0.0, source.get("start") or 0.0) if isinstance(source, Mapping) else 0.0
