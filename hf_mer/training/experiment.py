"""A whole experiment: corpus, folds, and in every fold settings that are chosen from a grid, if there is one."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.protocols.nested import nested_folds
from hf_mer.data.schema import column
from hf_mer.training.fold_training import FoldTraining
from hf_mer.training.selection import Settings, grid_candidates, reading_settings, select_candidate


class Experiment(FoldTraining):
    """Runs one system over the folds of a corpus; finished folds are kept, a half-finished one goes on.

    Everything lies in `output_dir`: `<fold>/model` (model, processor, label store), `<fold>/results.json`,
    `<fold>/predictions.csv`, `<fold>/figures`, and `results.json` with means over folds.

    Probabilities are calibrated where there is a validation part, see `calibrate`; the temperatures are in the
    checkpoint's configuration, in `calibration` of the fold's results, and in the probabilities of `predictions.csv`.

    Args:
        model_arguments: The system.
        data_arguments: The corpus and its folds.
        store_arguments: The label embeddings, of a system that has any.
        training_arguments: The training.

    Raises:
        ValueError: If the settings cannot go together.
    """

    has_grid = True

    def run_fold(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """Label store, training, one test, files; or what an earlier run left of them.

        With a grid, settings are chosen first: every candidate is run on inner folds of the fold's training rows, in
        `<fold>/nested/<candidate>/<inner fold>`, and the one with the best mean score is run on the fold itself;
        `nested` in its results says which, and what all of them reached.

        Returns:
            As `CrossValidation.run_fold`.
        """
        if not self.candidates:
            return super().run_fold(rows, fold)
        results = self.output_dir / fold.name / "results.json"
        if results.exists() and not self.args.overwrite:  # found, or refused if it comes of other settings
            choice = json.loads(results.read_text(encoding="utf-8")).get("nested", {}).get("choice")
            chosen = self._with(self.candidates[choice]) if choice in self.candidates else self._with(self.arguments)
            return chosen.run_fold(self._rows_for(chosen, rows), fold)
        nested = self._choose(rows, fold, results.parent / "nested")
        chosen = self._with(self.candidates[nested["choice"]])
        chosen.nested = nested
        return chosen.run_fold(self._rows_for(chosen, rows), fold)

    def _choose(self, rows: Dataset, fold: Fold, folder: Path) -> dict[str, Any]:
        data = self.data_arguments
        inner_folds = nested_folds(
            rows,
            fold,
            data.protocol,
            at_most=self.args.grid_folds,
            group_column=data.group_column,
            num_groups=data.num_groups,
        )

        def run_inner(name: str, inner: Fold) -> dict[str, Any]:
            experiment = self._with(self.candidates[name].of_fold(fold.name), folder / name)
            return experiment.run_fold(self._rows_for(experiment, rows), inner)

        grid: Any = self.args.grid
        return select_candidate(
            grid_candidates(grid), inner_folds, run_inner, metric=str(self.args.metric_for_best_model)
        )

    def _with(self, settings: Settings, inner_folder: Path | None = None) -> "Experiment":
        """This experiment with a candidate's settings; in a folder of its own, and without a model, to be compared."""
        made = copy.copy(self)
        made.model_arguments, made.data_arguments, made.store_arguments, made.args = settings
        made.modalities, made.candidates = list(settings.model.modalities), {}
        if inner_folder is not None:
            made.args = copy.copy(settings.training)
            made.args.grid, made.args.figures = None, False
            made.output_dir, made.keep_model = inner_folder, False
            if settings.data.word_error_parts == "test":  # only the outer test part has errors
                made.data_arguments = replace(settings.data, word_error_rate=None)
        return made

    def _rows_for(self, other: "Experiment", rows: Dataset) -> Dataset:
        """The rows as a candidate reads them: the same ones, or they could not be compared."""
        if reading_settings(other.arguments) == reading_settings(self.arguments):
            return rows
        theirs = other.load()
        if column(theirs, "id") != column(rows, "id"):
            raise ValueError(
                f"grid: other rows are left out with {reading_settings(other.arguments)}; nothing to compare"
            )
        return theirs
