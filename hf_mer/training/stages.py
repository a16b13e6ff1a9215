"""How long the parts of a fold took, and whether what they make was there already."""

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
        self._reused: list[bool] = []

    def add(self, reused: bool) -> None:
        """Counts something that an earlier fold or run had made (`reused`), or that was made now."""
        self._reused.append(reused)

    def to_dict(self) -> dict[str, Any]:
        """`seconds`, and `reused`: whether nothing had to be made."""
        return {"seconds": round(self.seconds, 3), "reused": bool(self._reused) and all(self._reused)}


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
