"""Long work beside short: one recording at a time, a line of limited length, and an end when its visitor leaves."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hf_mer.app.media import PageError


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask of a page that others use too.

    Attributes:
        minutes: Longest recording of the tab for long ones.
        waiting: Predictions that may wait for their turn, and as many long recordings.
    """

    minutes: float = 120.0
    waiting: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.minutes < float("inf"):
            raise ValueError(f"max_minutes={self.minutes} must be a number above 0")
        if not 1 <= self.waiting <= 1000:
            raise ValueError(f"max_waiting={self.waiting} must be from 1 to 1000")


class Lane:
    """One after the other, in the order of coming.

    Args:
        most: How many may wait.
    """

    def __init__(self, most: int):
        self.most = most
        self._line: list[object] = []
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def place(self) -> Iterator[Callable[[], int]]:
        """A place in the line, given up at the end.

        Yields:
            A function that tells how many are before it; it is its turn at 0.

        Raises:
            PageError: If the line is full.
        """
        mine = object()
        with self._guard:
            if len(self._line) > self.most:
                raise PageError(f"The queue of {self.most} long recordings is full: try again in a few minutes.")
            self._line.append(mine)
        try:
            yield lambda: self._line.index(mine)
        finally:
            self._line.remove(mine)


@dataclass
class Watch:
    """How far the work on a recording is, and whether anybody still waits for it; a bar for the pipeline.

    Attributes:
        longest: Seconds that a recording may have.
        between: Called between two windows, so that others have their turn.
        hop: From the beginning of a window to that of the next, seconds.
        seconds: Reached so far.
        left: Set when the visitor has left; the work ends at its next step.
    """

    longest: float = float("inf")
    between: Callable[[], Any] = lambda: None
    hop: float = 0.0
    seconds: float = 0.0
    left: bool = False

    def check(self, seconds: float) -> None:
        """Ends the work if it is in vain.

        Args:
            seconds: That the recording has at least.

        Raises:
            PageError: If the visitor has left, or the recording is too long.
        """
        if self.left:
            raise PageError("The visitor has left.")
        if seconds > self.longest:
            raise PageError(
                f"The recording is longer than {self.longest / 60:g} minutes, the limit of this page: shorten it."
            )

    def update(self, count: int) -> None:
        """So many windows more; the last of them begins where the recording still goes on."""
        self.check(self.seconds + (count - 1) * self.hop)
        self.seconds += count * self.hop
        self.between()

    def close(self) -> None:
        """The pipeline is done."""
