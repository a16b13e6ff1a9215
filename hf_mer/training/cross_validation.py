"""What every system does with the folds of a corpus, whatever it is that runs in one."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_mer.data.checks import check_labels
from hf_mer.data.folds import Fold, find_fold, split_hash
from hf_mer.data.protocols import make_folds
from hf_mer.metrics import aggregate
from hf_mer.training import evaluation
from hf_mer.training.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.corpus import load_rows
from hf_mer.training.files import write_json
from hf_mer.training.settings import claim_folder
from hf_mer.training.stages import Stages


class CrossValidation(ABC):
    """Runs one system over the folds of a corpus; finished folds are kept.

    Everything lies in `output_dir`: `<fold>/results.json`, `<fold>/predictions.csv`, `<fold>/model`, and
    `results.json` with means over folds.

    Args:
        data_arguments: The corpus and its folds.
        training_arguments: The training.
        modalities: What the system sees of a row.
    """

    def __init__(
        self, data_arguments: DataArguments, training_arguments: MerTrainingArguments, modalities: Sequence[str]
    ):
        self.data_arguments, self.args, self.modalities = data_arguments, training_arguments, list(modalities)
        self.output_dir = Path(str(training_arguments.output_dir))
        self.is_main = training_arguments.process_index == 0

    @abstractmethod
    def settings(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """What decides a fold's result, by group; results of other settings are not taken for its own."""

    @abstractmethod
    def _run_fold(self, rows: Dataset, fold: Fold, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
        """Trains, tests and writes; the folder is this run's. Gives what is in `results.json`, see `_report`."""

    def load(self) -> Dataset:
        """The corpus, checked; it serves every experiment of the same data settings and modalities.

        Raises:
            CorpusError: If the corpus is not what it should be.
        """
        with self.args.main_process_first(desc="loading the corpus"):
            return load_rows(self.data_arguments, self.modalities)

    def folds(self, rows: Dataset) -> list[Fold]:
        """All folds of the protocol, checked.

        Raises:
            CorpusError: If the rows lack what the protocol needs, folds share what they must not, or a class has too
                few training rows.
        """
        folds = make_folds(
            rows,
            self.data_arguments.protocol,
            validation=self.data_arguments.validation,
            group_column=self.data_arguments.group_column,
            num_groups=self.data_arguments.num_groups,
            test_session=self.data_arguments.test_session,
            seed=self.args.seed,
        )
        for fold in folds:
            check_labels(rows, fold.train, f"the training part of fold {fold.name}")
        return folds

    def chosen(self, folds: Sequence[Fold]) -> list[Fold]:
        """The folds that `data_arguments.folds` names, in its order; all if it names none.

        Raises:
            ValueError: If there is no such fold.
        """
        if not self.data_arguments.folds:
            return list(folds)
        names = {fold.name for fold in folds}
        return [
            find_fold(folds, wanted if wanted in names or not wanted.isdigit() else int(wanted))
            for wanted in self.data_arguments.folds
        ]

    def run(self, rows: Dataset | None = None) -> dict[str, Any]:
        """Runs the folds that were asked for.

        Args:
            rows: Of `load`, where they are there already.

        Returns:
            `folds` (what is in every fold's `results.json`) and `summary` (mean, deviation and number of WA, UA and
            WF1).
        """
        rows = self.load() if rows is None else rows
        folds = self.folds(rows)
        results = [self.run_fold(rows, fold) for fold in self.chosen(folds)]
        summary = aggregate([result["test"]["scores"] for result in results])
        report = {"folds": results, "summary": summary, "split_hash": split_hash(rows, folds)}
        if self.is_main:
            write_json(self.output_dir / "results.json", report)
            print(evaluation.results_table(results, summary, rows.features["label"].names))
        return report

    def run_fold(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """Training, one test, files; or what an earlier run left of them.

        Returns:
            What is in the fold's `results.json`. `stages` has, for `features`, `label_store`, `training` and `test`,
            `seconds`, whether what it makes was `reused`, and `seconds_when_made`, what it took to make; the last is
            absent where nobody knows (training that went on from a checkpoint).
        """
        folder, settings = self.output_dir / fold.name, self.settings(rows, fold)
        with self.args.main_process_first(desc="folder of the fold"):
            finished = claim_folder(folder, settings, self.args.overwrite, self.is_main)
        if finished is not None:
            return finished
        evaluation.reset_peak_memory()
        return self._run_fold(rows, fold, folder, settings)

    def _report(
        self,
        fold: Fold,
        settings: dict[str, Any],
        parameters: dict[str, int],
        test: dict[str, Any],
        history: list[dict[str, Any]],
        started: float,
        stages: Stages,
    ) -> dict[str, Any]:
        """What is written of a fold; `started` is of `time.perf_counter`."""
        return {
            "fold": fold.name,
            "rows": {name: len(indices) for name, indices in fold.parts.items()},
            "settings": settings,
            "parameters": parameters,
            "test": test,
            "history": history,
            "minutes": round((time.perf_counter() - started) / 60, 2),
            "stages": stages.to_dict(),
            "peak_memory_mib": evaluation.peak_memory_mib(),
            "environment": evaluation.environment(self.args.world_size),
        }
