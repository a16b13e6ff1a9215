"""Systems without a neural network, over the folds and into the files of those that have one."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hf_mer.data.protocols.folds import Fold, select_fold
from hf_mer.data.schema import column
from hf_mer.files import write_atomically, write_json
from hf_mer.training import evaluation
from hf_mer.training.baselines.log_mel import PENALTIES, LogMelClassifier, LogMelStatistics, choose_penalty
from hf_mer.training.building import model_folder
from hf_mer.training.calibrating import test_calibration
from hf_mer.training.cross_validation import CrossValidation
from hf_mer.training.features import cache_features
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.deciding import corpus_settings
from hf_mer.training.stages import Stages

logger = logging.getLogger(__name__)


@dataclass
class MajorityClassifier:
    """Says the most frequent class of the training part, whatever it is asked; what any system must beat.

    Attributes:
        labels: Class names.
        counts: Training rows of each class.
    """

    labels: list[str]
    counts: list[int]

    @property
    def parameters(self) -> dict[str, int]:
        """Numbers in it."""
        return {"all": len(self.counts), "trained": len(self.counts)}

    def logits(self, num_rows: int) -> np.ndarray:
        """Logarithms of the classes' shares in training. Shape `(num_rows, C)`."""
        return np.tile(np.log(np.array(self.counts) / sum(self.counts)), (num_rows, 1))

    def predict(self, sources: Sequence[Any]) -> np.ndarray:
        """The classes' shares in training, for anything. Shape `(N, C)`."""
        return np.exp(self.logits(len(sources)))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes `config.json`."""
        write_json(
            Path(folder) / "config.json", {"baseline": "majority", "labels": self.labels, "counts": self.counts}
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "MajorityClassifier":
        """Reads what `save_pretrained` wrote."""
        content = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        return cls(content["labels"], content["counts"])


def load_baseline(folder: str | Path) -> MajorityClassifier | LogMelClassifier:
    """The trained baseline of a fold's `model` folder.

    Raises:
        ValueError: If another model lies there.
    """
    kinds: dict[str | None, Any] = {"majority": MajorityClassifier, "log_mel_statistics": LogMelClassifier}
    kind = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")).get("baseline")
    if kind not in kinds:
        raise ValueError(f"{folder} holds no baseline; the others load with AutoModel.from_pretrained")
    return kinds[kind].from_pretrained(folder)


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
            model.update(json.loads(self.extractor.to_json_string()), penalties=list(PENALTIES))
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
        with stages.measure("training"):
            classifier, selection = self._fit(parts, labels)
        with stages.measure("test"):
            test = parts["test"]
            logits = classifier.logits(len(test) if isinstance(classifier, MajorityClassifier) else _features(test))
            tested = evaluation.test_results(
                rows, fold, test, logits, labels, self.args.bootstrap_resamples, self.args.seed
            )
        results = self._report(fold, settings, classifier.parameters, tested, [], started, stages)
        measured = test_calibration(np.array(column(test, "label")), logits, np.ones(len(test)))
        results["calibration"] = {"source": None, "temperatures": {}, "test": measured}
        if selection is not None:
            results["selection"] = selection
        if self.is_main:
            evaluation.write_predictions(folder / "predictions.csv", test, logits, labels)
            write_atomically(model_folder(folder), classifier.save_pretrained)
            if self.args.figures:
                self._draw(folder, results)
            write_json(folder / "results.json", results)
        return results

    def _fit(self, parts: dict[str, Dataset], labels: list[str]) -> tuple[Any, dict[str, Any] | None]:
        """The classifier, and how its penalty was chosen, if it has one."""
        targets = np.array(column(parts["train"], "label"))
        if self.system == "majority":
            return MajorityClassifier(labels, np.bincount(targets, minlength=len(labels)).tolist()), None
        features, validation = _features(parts["train"]), parts.get("validation")
        selection = choose_penalty(
            features,
            targets,
            len(labels),
            str(self.args.metric_for_best_model),
            None if validation is None else (_features(validation), np.array(column(validation, "label"))),
            column(parts["train"], "speaker"),
            self.args.seed,
        )
        return LogMelClassifier.fit(self.extractor, labels, features, targets, selection["C"]), selection

    def _draw(self, folder: Path, results: dict[str, Any]) -> None:
        """Draws the confusion matrix; a fold is not lost to a figure that fails."""
        from hf_mer.plots import confusion_matrix
        from hf_mer.training.fold_figures import save_figure

        confusion = results["test"]["confusion"]
        try:
            figure = confusion_matrix(np.array(confusion["matrix"]), confusion["labels"])
            save_figure(figure, folder / "figures" / "confusion_matrix.png")
        except Exception:
            logger.exception("the figure of fold %s could not be drawn", results["fold"])


def _features(rows: Dataset) -> np.ndarray:
    """Statistics of rows, `(N, F)`, as float64."""
    return np.stack([row["features"] for row in rows.select_columns(["features"])]).astype(np.float64)
