"""What a user must know about an answer: said in the log, or collected by whoever gives the answer."""

import contextlib
import logging
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class Note(str):
    """A sentence about an answer.

    Attributes:
        kind: What it is about, for those who count: `truncated`, `gaps`, `opposed`, or empty.
    """

    kind: str = ""


_collected: ContextVar[list[Note] | None] = ContextVar("_collected", default=None)


def note(message: str, kind: str = "") -> None:
    """Says something that an answer rests on: to `collected_notes` where there is one, else to the log."""
    told = Note(message)
    told.kind = kind
    notes = _collected.get()
    if notes is None:
        logger.warning("%s", told)
    elif told not in notes:
        notes.append(told)


def say(notes: Iterable[str]) -> None:
    """Puts collected notes into the log."""
    for message in notes:
        logger.warning("%s", message)


@contextlib.contextmanager
def collected_notes() -> Iterator[list[Note]]:
    """A list of what is noted inside; nothing of it goes into the log."""
    notes: list[Note] = []
    token = _collected.set(notes)
    try:
        yield notes
    finally:
        _collected.reset(token)


def noting(items: Iterable[Item], notes: list[str]) -> Iterator[Item]:
    """The items of a generator; what is noted while it works goes into a list, and not while it waits."""
    iterator = iter(items)
    end: Any = object()
    while True:
        with collected_notes() as new:
            item = next(iterator, end)
        notes.extend(message for message in new if message not in notes)
        if item is end:
            return
        yield item
