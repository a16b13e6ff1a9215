"""Utterances in batches of like length, results in the order of the utterances."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from transformers.utils.logging import tqdm

from .dialogue_mer import is_dialogue
from .utterances_mer import Utterance

LOOK_AHEAD = 16  # batches that are sorted by length together
LOOK_AHEAD_BYTES = 2**28  # of loaded utterances, beyond which no more are waited for


def in_batches(
    utterances: Iterable[Utterance],
    complete: Callable[[list[Utterance]], None],
    run: Callable[[list[Utterance]], list[Any]],
    batch_size: int,
    look_ahead: int = LOOK_AHEAD,
    progress: Any = None,
) -> Iterator[tuple[Utterance, Any]]:
    """Runs utterances in batches of like length.

    Some batches' worth of utterances are loaded, sorted by length, run, the longest first, and given in their order;
    then the next. A batch of one looks at nothing ahead.

    Args:
        utterances: Loaded, in order.
        complete: Adds what is missing (recognised words, histories) to utterances, which come in order.
        run: Gives one result per utterance of a batch.
        batch_size: Largest batch.
        look_ahead: Batches that are sorted together.
        progress: A bar of tqdm, moved on by every utterance.

    Yields:
        Utterances with their results; None for a place holder and for what nothing can be said about.
    """
    size = batch_size * (look_ahead if batch_size > 1 else 1)
    for waiting in _chunks(utterances, size):
        complete([utterance for utterance in waiting if not utterance.is_empty])
        results: list[Any] = [None] * len(waiting)
        order = [index for index, utterance in enumerate(waiting) if utterance.is_usable]
        order.sort(key=lambda index: waiting[index].length, reverse=True)
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            for index, result in zip(batch, run([waiting[index] for index in batch]), strict=True):
                results[index] = result
            if progress is not None:
                progress.update(len(batch))
        for utterance in waiting:
            utterance.features = utterance.pixels = utterance.samples = utterance.sound = None
        yield from zip(waiting, results, strict=True)


def _chunks(utterances: Iterable[Utterance], size: int) -> Iterator[list[Utterance]]:
    waiting: list[Utterance] = []
    held = 0
    for utterance in utterances:
        waiting.append(utterance)
        held += utterance.num_bytes
        if len(waiting) == size or held > LOOK_AHEAD_BYTES:
            yield waiting
            waiting, held = [], 0
    if waiting:
        yield waiting


def progress_bar(inputs: Any, unit: str) -> Any:
    """A bar that counts utterances or windows; how many there will be is known of utterances in a list or dataset."""
    counted = unit == "utterances" and hasattr(inputs, "__len__")
    total = sum(map(_count, inputs)) if counted and isinstance(inputs, list) else len(inputs) if counted else None
    return tqdm(total=total, unit=f" {unit}", desc="Recognising emotions")


def _count(item: Any) -> int:
    return len(item["dialogue"]) if is_dialogue(item) else 1


class Results:
    """Results in the order of the inputs, computed as they are asked for.

    Iterating again computes again, for inputs that can be iterated again. The length is that of the inputs.
    """

    def __init__(self, start: Callable[[], Iterator[Any]], size: int | None):
        self._start = start
        self._size = size
        self._running: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        self._running = self._start()
        return self._running

    def __next__(self) -> Any:
        if self._running is None:
            self._running = self._start()
        return next(self._running)

    def __len__(self) -> int:
        if self._size is None:
            raise TypeError("inputs without a length give results without one")
        return self._size
