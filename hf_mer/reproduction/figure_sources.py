"""What the figures of a table are drawn from: its finished runs, their models, and the corpora they were tested on."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from hf_mer.reproduction.representations import load_model, rows_of_run
from hf_mer.reproduction.row_settings import for_seed
from hf_mer.reproduction.table import Row, RowRuns, Run, TableRuns
from hf_mer.training.corpus import read_rows
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.roles import Role, values_with

logger = logging.getLogger(__name__)

_PANEL_LETTERS = 26


class NothingToDrawError(ValueError):
    """There is nothing that a figure could show, or not one thing."""


def full_title(row: Row) -> str:
    """A row's name and title; one of them where they are the same."""
    return row.name if row.title == row.name else f"{row.name}  {row.title}"


def panel_title(row: Row) -> str:
    """What stands above a row's panel: name and title if they fit, else the name."""
    title = full_title(row)
    return title if len(title) <= _PANEL_LETTERS else row.name


@dataclass
class Source:
    """Runs and corpora of a table.

    Attributes:
        runs: The finished runs.
        data_dirs: Root of the corpus by the name of the row, or under `""` for every other row.
        device: Where models run; the accelerator at hand if None.
    """

    runs: TableRuns
    data_dirs: Mapping[str, str | Path] = field(default_factory=dict)
    device: torch.device | str | None = None
    _read: dict[str, Dataset] = field(default_factory=dict, repr=False)

    def data_dir(self, row: Row) -> str | Path | None:
        """Root of a row's corpus."""
        return self.data_dirs.get(row.name, self.data_dirs.get(""))

    def rows(self, figure: Mapping[str, Any]) -> list[RowRuns]:
        """The rows of a figure that have finished runs, in its order or the table's; what is missing is logged.

        Raises:
            NothingToDrawError: If none has.
        """
        by_name = {row.row.name: row for row in self.runs.rows}
        names = figure.get("rows") or list(by_name)
        found = [by_name[name] for name in names if name in by_name and by_name[name].runs]
        missing = [name for name in names if name not in by_name or not by_name[name].runs]
        unfinished = [
            f"{row.row.name} ({len(row.runs)} of {row.expected})" for row in found if len(row.runs) < row.expected
        ]
        for what, some in (("no finished run of", missing), ("some runs are missing of", unfinished)):
            if some:
                logger.warning("%s, figure %s: %s %s", self.runs.table.name, figure["kind"], what, ", ".join(some))
        if not found:
            raise NothingToDrawError(f"no finished run of {', '.join(names)}")
        return found

    def test_rows(self, row: Row, run: Run) -> Dataset:
        """The rows that a run was tested on; a corpus is read once.

        Raises:
            NothingToDrawError: If nobody said where the corpus lies.
        """
        data_dir = self.data_dir(row)
        if data_dir is None:
            raise NothingToDrawError(f"row {row.name}: the folder of its corpus is not known (data_dirs)")

        def read(arguments: DataArguments) -> Dataset:
            key = repr(values_with(Role.LOADS, arguments))
            if key not in self._read:
                self._read[key] = read_rows(arguments)
            return self._read[key]

        return rows_of_run(run, for_seed(str(data_dir), run.seed), read)

    def model(self, run: Run) -> tuple[Any, Any]:
        """Model and processor of a run."""
        return load_model(run, self.device)

    def same_part(self, figure: Mapping[str, Any]) -> list[tuple[RowRuns, Run]]:
        """One run of every row, all of the seed and fold that most rows have, so that they have the same test rows.

        Rows without it are named in the log.
        """
        rows = self.rows(figure)
        counts = Counter((run.seed, run.fold) for row in rows for run in row.runs)
        seed, fold = min(counts, key=lambda key: (-counts[key], key))
        found = [(row, run) for row in rows for run in row.runs if (run.seed, run.fold) == (seed, fold)]
        missing = [row.row.name for row in rows if row.row.name not in {item.row.name for item, _ in found}]
        if missing:
            logger.warning(
                "%s, figure %s: %s left out, without a run of seed %d and fold %s",
                self.runs.table.name, figure["kind"], ", ".join(missing), seed, fold,
            )  # fmt: skip
        return found
