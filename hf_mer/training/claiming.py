"""Whose a fold's folder is: finished results are found, other settings refused, and one run works at a time."""

import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_mer.files import remove_leftovers, write_json
from hf_mer.locks import exclusive, remove_dead_lock
from hf_mer.training.settings.deciding import differences

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoldFolder:
    """The folder of a fold, and what decides what may lie in it.

    Attributes:
        path: The folder.
        settings: What decides the result, by group, as JSON has it.
        usual: Of `differences`, for what an earlier run did not write down.
        results: Name of the file that is written last.
        what: What a finished folder holds, for messages.
        begun: What lies in `checkpoints` once a training has begun; before, nothing there is of any use.
    """

    path: Path
    settings: dict[str, Any]
    usual: Mapping[str, Any]
    results: str = "results.json"
    what: str = "results"
    begun: str = "[tc]*"  # `trained`, or `checkpoint-1`

    def claim(self, overwrite: bool, held: ExitStack) -> dict[str, Any] | None:
        """Makes the folder this run's, and its alone until `held` is left.

        Returns:
            The results where the fold is finished, whose folder is nobody's.

        Raises:
            BusyError: If another run is at work there.
            ValueError: If something of other settings lies there.
        """
        finished = None if overwrite else self.finished()
        if finished is None:
            held.enter_context(exclusive(self.path))
            if overwrite:
                self._clear()
            finished = self.finished()  # another run may have been at its end just now
        if finished is None:
            self._begin()
        else:  # a run may have been killed between its results and this
            shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
            remove_dead_lock(self.path)
        return finished

    def finished(self) -> dict[str, Any] | None:
        """The results that lie here; None if the fold is not finished.

        Raises:
            ValueError: If something finished or half-finished of other settings lies here.
        """
        path, claimed = self.path / self.results, self.path / "settings.json"
        if path.exists():
            results = _read(path)
            self._compare(results["settings"], self.what)
            logger.info("fold %s is finished: %s", self.path.name, path)
            return results
        if claimed.exists() and self._has_begun():
            self._compare(_read(claimed), "a half-finished run")
        return None

    def _compare(self, theirs: Mapping[str, Any], what: str) -> None:
        differing = differences(theirs, self.settings, self.usual)
        if differing:
            raise ValueError(
                f"{self.path} contains {what} with other settings ({', '.join(differing[:5])}); choose another "
                "output_dir, or --overwrite true"
            )

    def _has_begun(self) -> bool:
        return any((self.path / "checkpoints").glob(self.begun))

    def _clear(self) -> None:
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
        (self.path / self.results).unlink(missing_ok=True)

    def _begin(self) -> None:
        """Writes down whose the folder is, and removes what a killed run left half-written."""
        checkpoints = self.path / "checkpoints"
        if checkpoints.exists() and not self._has_begun():
            shutil.rmtree(checkpoints)
        self.path.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.path)
        remove_leftovers(checkpoints)
        write_json(self.path / "settings.json", self.settings)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
