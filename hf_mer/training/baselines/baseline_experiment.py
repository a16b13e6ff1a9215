"""Systems without a neural network, over the folds and into the files of those that have one."""

import json
import logging
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hf_mer.data.protocols.folds import Fold, select_fold
from hf_mer.data.schema import column
from hf_mer.files import write_atomically, write_json
from hf_mer.training.baselines import classifiers
from hf_mer.training.baselines.log_mel import LogMelStatistics
from hf_mer.training.building import model_folder
from hf_mer.training.calibrating import test_calibration
from hf_mer.training.cross_validation import CrossValidation
from hf_mer.training.features import cache_features
from hf_mer.training.results import divergence_from_raters, test_results, write_predictions
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.deciding import corpus_settings
from hf_mer.training.stages import Stages

logger = logging.getLogger(__name__)


class BaselineExperiment(CrossValidation):
    """Runs a baseline over the folds of a corpus, and writes what an `Experiment` writes.

    `majority` counts classes. `log_mel_statistics` is a logistic regression on statistics of log-mel frames, whose
    penalty is chosen by the validation part, or within the training part where there is none; `results.json` says
    under `selection` how. As with any other system the validation part is not learned from, and the test part is
    looked at once. Probabilities are as they are: baselines have no temperature.

    Of the training's settings, baselines read `output_dir`, `seed`, `metric_for_best_model`, `bootstrap_resamples`,
    `figures` and `overwrite`.

    Args:
        system: `majority` or `log_mel_statistics`.
        data_arguments: The corpus and its folds.
        training_arguments: The training.

    Attributes:
        MODALITIES: What decides which rows a baseline is tested on. The majority is of the rows that a system of text
            and speech has.

    Raises:
        ValueError: If there is no such baseline, or it is not to be trained.
    """

    MODALITIES: ClassVar[dict[str, list[str]]] = {"majority": ["text", "speech"], "log_mel_statistics": ["speech"]}

    def __init__(self, system: str, data_arguments: DataArguments, training_arguments: MerTrainingArguments):
        if system not in self.MODALITIES:
            raise ValueError(f"system: '{system}' is not one of {', '.join(self.MODALITIES)}")
        if not training_arguments.do_train:
            raise ValueError("do_train=false: a baseline is always trained; leave the setting out")
        super().__init__(data_arguments, training_arguments, self.MODALITIES[system])
        self.system = system
        self.extractor = LogMelStatistics(max_audio_seconds=data_arguments.max_audio_seconds)

    def settings(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """What decides a fold's result; the number of processes does not."""
        model: dict[str, Any] = {"type": self.system}
        if self.system == "log_mel_statistics":
            model.update(json.loads(self.extractor.to_json_string()), penalties=list(classifiers.PENALTIES))
        settings = {
            "model": model,
            "label_store": {},
            "training": {name: getattr(self.args, name) for name in ("seed", "metric_for_best_model")},
            "processes": 1,
            **corpus_settings(rows, fold, self.data_arguments, self.modalities),
        }
        return json.loads(json.dumps(settings, default=str))

    def _run_fold(self, rows: Dataset, fold: Fold, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
        started, stages = time.perf_counter(), Stages()
        labels = list(rows.features["label"].names)
        if self.system == "log_mel_statistics":
            with stages.measure("features") as stage, self.args.main_process_first(desc="features"):
                rows = cache_features(rows, self.extractor, self.data_arguments.num_proc, stage)
        parts = dict(select_fold(rows, fold))
        features = {name: self._features(part) for name, part in parts.items()}
        with stages.measure("training"):
            classifier, selection = self._fit(parts, features, len(labels))
        with stages.measure("test"):
            test, logits = parts["test"], classifiers.logits(classifier, features["test"])
            tested = test_results(rows, fold, test, logits, labels, self.args.bootstrap_resamples, self.args.seed)
            tested.update(divergence_from_raters(test, logits))
        results = self._report(fold, settings, classifiers.parameters(classifier), tested, [], started, stages)
        measured = test_calibration(np.array(column(test, "label")), logits, np.ones(len(test)))
        results["calibration"] = {"source": None, "temperatures": {}, "test": measured}
        if selection is not None:
            results["selection"] = selection
        if self.is_main:
            write_predictions(folder / "predictions.csv", test, logits, labels)
            write_atomically(model_folder(folder), lambda path: self._save(path, classifier, parts["train"], labels))
            if self.args.figures:
                self._draw(folder, results)
            write_json(folder / "results.json", results)
        return results

    def _features(self, rows: Dataset) -> np.ndarray:
        """Statistics of rows, `(N, F)`, as float64; nothing for the majority, which looks at nothing."""
        if self.system == "majority":
            return np.zeros((len(rows), 1))
        return np.stack([row["features"] for row in rows.select_columns(["features"])]).astype(np.float64)

    def _fit(
        self, parts: dict[str, Dataset], features: dict[str, np.ndarray], num_labels: int
    ) -> tuple[Any, dict[str, Any] | None]:
        """The classifier, and how its penalty was chosen, if it has one."""
        targets = {name: np.array(column(part, "label")) for name, part in parts.items()}
        if self.system == "majority":
            return classifiers.fit_majority(targets["train"]), None
        validation = (features["validation"], targets["validation"]) if "validation" in parts else None
        return classifiers.fit_linear(
            (features["train"], targets["train"]),
            validation,
            column(parts["train"], "speaker"),
            num_labels,
            str(self.args.metric_for_best_model),
            self.args.seed,
        )

    def _save(self, folder: Path, classifier: Any, train: Dataset, labels: list[str]) -> None:
        if self.system == "majority":
            classifiers.save_majority(folder, labels, np.array(column(train, "label")))
        else:
            classifiers.save_linear(folder, labels, classifier, self.extractor)

    def _draw(self, folder: Path, results: dict[str, Any]) -> None:
        """Draws the confusion matrix; a fold is not lost to a figure that fails."""
        from hf_mer.training.result_figures import confusion_figure

        try:
            confusion_figure(results).save(folder / "figures", formats=("png",))
        except Exception:
            logger.exception("the figure of fold %s could not be drawn", results["fold"])
