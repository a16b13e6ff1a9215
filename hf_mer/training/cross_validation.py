"""What every system does with the folds of a corpus, whatever it is that runs in one."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_mer.console import readable
from hf_mer.data.checks import check_labels, check_test_labels
from hf_mer.data.mark import generated_language, is_generated
from hf_mer.data.protocols.folds import Fold, check_folds, split_hash
from hf_mer.data.word_errors import with_transcript_errors
from hf_mer.files import write_json
from hf_mer.metrics.scores import SCORE_NAMES, aggregate
from hf_mer.training.claiming import FoldFolder
from hf_mer.training.corpus import chosen_folds, load_rows, protocol_folds
from hf_mer.training.environment import environment, peak_memory_mib, reset_peak_memory
from hf_mer.training.group_scores import GROUPS, groups_table
from hf_mer.training.processes import decided_by_main
from hf_mer.training.results import chance_line, reference_line, results_table
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.roles import defaults
from hf_mer.training.stages import Stages

SUBSETS = {
    "scores_by_part": "summary_by_part",
    "scores_by_text": "summary_by_text",
    "scores_with_one_modality": "summary_with_one_modality",
}
"""What a fold's test results may tell apart, and its name in a report."""


def cross_validate(
    folds: Sequence[Fold],
    run_fold: Callable[[Fold], Mapping[str, Any]],
    rows: Dataset | None = None,
    speaker_independent: bool = True,
) -> dict[str, Any]:
    """Runs folds one after the other and puts their scores together.

    Any system can be run: `run_fold` trains on `rows.select(fold.train)`, may select by `fold.validation`, and scores
    `fold.test` once.

    ```python
    rows = load_corpus("corpus.csv")


    def run_fold(fold):
        labels = np.array(rows["label"])
        majority = np.bincount(labels[fold.train]).argmax()
        scores = emotion_scores(labels[fold.test], np.full(len(fold.test), majority), labels.max() + 1)
        return {"fold": fold.name, "test": {"scores": scores}}


    report = cross_validate(make_folds(rows, "leave_one_speaker_out"), run_fold, rows)
    print(report["summary"]["ua"])
    ```

    Args:
        folds: The folds to run, of `make_folds` or own ones.
        run_fold: From a fold to its results. `results["test"]["scores"]` are its scores; `scores_by_part` (improvised
            and scripted), `scores_by_text` (texts that also occur in training, or not) and
            `scores_with_one_modality` beside them, each by name of the subset, are put together too, and so is
            `by_group` (by column, such as gender, and its value).
        rows: What the indices point to; with it the folds are checked before any is run, and the split gets a hash.
        speaker_independent: Whether no speaker may be in two parts of a fold, for the check.

    Returns:
        `folds` (what `run_fold` gave), `summary` (mean, deviation and number of folds of every score);
        `summary_by_part`, `summary_by_text` and `summary_with_one_modality` where folds have such scores (of every
        subset the same over the folds that have it, and `utterances`, how many they are), `by_group` likewise; with
        rows `split_hash`.

    Raises:
        CorpusError: If the folds leak, see `check_folds`.
        ValueError: If there are no folds, or a fold's results have no scores.
    """
    if rows is not None:
        check_folds(rows, folds, speaker_independent=speaker_independent)
    results = [_with_scores(fold, run_fold(fold)) for fold in folds]
    tests = [result["test"] for result in results]
    report: dict[str, Any] = {"folds": results, "summary": aggregate([test["scores"] for test in tests])}
    for name, summary in SUBSETS.items():
        found = [test[name] for test in tests if test.get(name)]
        if found:
            report[summary] = _aggregate_subsets(found)
    grouped = {name: [test["by_group"][name] for test in tests if name in test.get("by_group", {})] for name in GROUPS}
    if any(grouped.values()):
        report["by_group"] = {name: _aggregate_subsets(found) for name, found in grouped.items() if found}
    if rows is not None:
        report["split_hash"] = split_hash(rows, folds)
    return report


class CrossValidation(ABC):
    """Runs one system over the folds of a corpus; finished folds are kept.

    Everything lies in `output_dir`: `<fold>/results.json`, `<fold>/predictions.csv`, `<fold>/model`, and
    `results.json` with means over folds.

    Args:
        data_arguments: The corpus and its folds.
        training_arguments: The training.
        modalities: What the system sees of a row.

    Attributes:
        has_grid: Whether `training_arguments.grid` is understood.
    """

    has_grid = False

    def __init__(
        self, data_arguments: DataArguments, training_arguments: MerTrainingArguments, modalities: Sequence[str]
    ):
        self.data_arguments, self.args, self.modalities = data_arguments, training_arguments, list(modalities)
        if training_arguments.grid and not self.has_grid:
            raise ValueError("grid: this system has no settings to choose")
        self.output_dir = Path(str(training_arguments.output_dir))
        if (name := readable(self.output_dir)) != str(self.output_dir):  # known now, and not after hours of training
            raise ValueError(
                f"output_dir: '{name}' is not valid UTF-8, so weights cannot be written there; choose another folder"
            )
        self.is_main = training_arguments.process_index == 0

    @property
    def arguments(self) -> tuple[Any, ...]:
        """All settings."""
        return self.data_arguments, self.args

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
            return load_rows(self.data_arguments, self.modalities, self._tested)

    def _tested(self, rows: Dataset) -> set[int]:
        """Which rows are in a test part that is run."""
        return {index for fold in chosen_folds(self.folds(rows), self.data_arguments) for index in fold.test}

    def folds(self, rows: Dataset) -> list[Fold]:
        """All folds of the protocol.

        Raises:
            CorpusError: If the rows lack what the protocol needs, or folds share what they must not.
        """
        return protocol_folds(rows, self.data_arguments, self.args.seed)

    def check(self, rows: Dataset, folds: Sequence[Fold]) -> None:
        """Looks at the classes of folds that are run; others may lack some.

        Raises:
            CorpusError: If a class has too few training rows, or a part has a label that training does not know.
        """
        for fold in folds:
            check_labels(rows, fold.train, f"the training split of fold {fold.name}")
            for name, indices in fold.parts.items():
                if name != "train":
                    check_test_labels(rows, indices, f"the {name} split of fold {fold.name}")

    def run(self, rows: Dataset | None = None) -> dict[str, Any]:
        """Runs the folds that were asked for.

        Args:
            rows: Of `load`, where they are there already.

        Returns:
            What `cross_validate` gives, and `split_hash`; it is written to `results.json`, too.
        """
        rows = self.load() if rows is None else rows
        folds = self.folds(rows)
        chosen = chosen_folds(folds, self.data_arguments)
        self.check(rows, chosen)
        report = cross_validate(chosen, lambda fold: self.run_fold(rows, fold))
        report["split_hash"] = split_hash(rows, folds)  # of the whole protocol, also where some of its folds are run
        if self.is_main:
            write_json(self.output_dir / "results.json", report)
            print(results_table(report["folds"], report["summary"]))
            print(chance_line(len(rows.features["label"].names)))
            if beside := reference_line(report["folds"]):
                print(beside)
            if table := groups_table(report.get("by_group", {})):
                print(f"\n{table}")
        return report

    def run_fold(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """Training, one test, files; or what an earlier run left of them.

        Returns:
            What is in the fold's `results.json`. `stages` has, for `features`, `label_store`, `training` and `test`,
            `seconds`, and whether what it makes was `reused`.
        """
        rows = with_transcript_errors(rows, fold, self.data_arguments, self.args.seed)
        folder = self.output_dir / fold.name

        def claim() -> tuple[dict[str, Any], dict[str, Any] | None]:
            settings = self.settings(rows, fold)
            return settings, FoldFolder(folder, settings, defaults(*self.arguments)).claim(self.args.overwrite, held)

        with contextlib.ExitStack() as held:
            settings, finished = decided_by_main(self.args, claim)
            if finished is not None:
                return finished
            reset_peak_memory()
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
        language = generated_language(self.data_arguments.data_dirs)
        return {
            "fold": fold.name,
            "rows": {name: len(indices) for name, indices in fold.parts.items()},
            "settings": settings,
            "parameters": parameters,
            "test": test,
            "history": history,
            "minutes": round((time.perf_counter() - started) / 60, 2),
            "stages": stages.to_dict(),
            "peak_memory_mib": peak_memory_mib(),
            "environment": environment(self.args.world_size),
            "generated_corpus": any(is_generated(Path(path)) for path in self.data_arguments.data_dirs),
            **({} if language is None else {"corpus_language": language}),
        }


def _with_scores(fold: Fold, results: Mapping[str, Any]) -> dict[str, Any]:
    scores = results.get("test", {}).get("scores")
    if not scores:
        raise ValueError(f"fold {fold.name}: run_fold must give results with test.scores, not {sorted(results)}")
    return dict(results)


def _aggregate_subsets(folds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, Any]]:
    """The scores of every subset over the folds that have it."""
    summary = {}
    for name in sorted({name for fold in folds for name in fold}):
        own = [fold[name] for fold in folds if name in fold]
        scores = aggregate([{score: value for score, value in one.items() if score in SCORE_NAMES} for one in own])
        summary[name] = {**scores, "utterances": int(sum(one.get("n", 0) for one in own))}
    return summary
