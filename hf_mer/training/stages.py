"""How long the parts of a fold took, and how long what was found had taken when it was made."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STAGES = ("features", "label_store", "training", "test")


class Stage:
    """One part of a fold's work.

    Attributes:
        seconds: Wall-clock time of this run.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._pieces: list[tuple[bool, float | None]] = []

    def add(self, reused: bool, seconds_when_made: float | None) -> None:
        """Counts something that was found or made.

        Args:
            reused: Whether an earlier fold or run had made it.
            seconds_when_made: What it took to make it; None where nobody knows.
        """
        self._pieces.append((reused, seconds_when_made))

    def to_dict(self) -> dict[str, Any]:
        """`seconds`, `reused` (nothing had to be made) and, where all of it is known, `seconds_when_made`."""
        made = [seconds for _, seconds in self._pieces] or [self.seconds]
        known = {} if None in made else {"seconds_when_made": round(sum(filter(None, made)), 3)}
        reused = bool(self._pieces) and all(found for found, _ in self._pieces)
        return {"seconds": round(self.seconds, 3), "reused": reused, **known}


class Stages:
    """The stages of a fold, by name."""

    def __init__(self) -> None:
        self._stages = {name: Stage() for name in STAGES}

    @contextmanager
    def measure(self, name: str) -> Iterator[Stage]:
        """Times what is done within, and gives the stage to note what was found."""
        stage, started = self._stages[name], time.perf_counter()
        try:
            yield stage
        finally:
            stage.seconds += time.perf_counter() - started

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Every stage as `Stage.to_dict` gives it."""
        return {name: stage.to_dict() for name, stage in self._stages.items()}
