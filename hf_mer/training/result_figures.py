"""The figures of a fold that its results are enough for, without the corpus or the model."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_mer.files import Drawn
from hf_mer.models import LabelEmbeddingStore
from hf_mer.plots import (
    confusion_matrix,
    history_series,
    label_keywords_and_key_frames,
    layer_weights,
    training_curves,
)
from hf_mer.plots.reliability import reliability_diagram
from hf_mer.training.label_store.overlap import overlap_summary

_RESULTS, _STORE = "results.json", "label_store.json"


def find_folds(path: Path) -> list[Path]:
    """Folders of folds: the given one, that of a model in it, or all below that have results or a label store.

    Raises:
        ValueError: If there are none.
    """
    if path.is_file() and path.name == _RESULTS:
        path = path.parent
    if path.name == "model" and (path.parent / _RESULTS).is_file():
        path = path.parent
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder or {_RESULTS}")
    if _has_something(path):
        return [path]
    found = sorted({file.parent for file in path.rglob(_RESULTS) if _has_something(file.parent)})
    if not found:
        raise ValueError(f"{path}: no {_RESULTS} of a fold and no {_STORE} in it or below it")
    return found


def draw_fold(folder: Path, kinds: Sequence[str]) -> Iterator[Drawn]:
    """The figures of a fold that its files are enough for.

    Args:
        folder: Of the fold, or of a model.
        kinds: Any of `confusion`, `curves`, `keywords`, `layers`.

    Raises:
        ValueError: If a file is damaged.
    """
    results = _read(folder / _RESULTS) if (folder / _RESULTS).is_file() else {}
    if "confusion" in kinds and (results.get("test") or {}).get("confusion"):
        yield confusion_figure(results)
    if "curves" in kinds and (drawn := curves_figure(results)) is not None:
        yield drawn
    if "layers" in kinds and (drawn := layers_figure(results)) is not None:
        yield drawn
    store = next((place for place in (folder, folder / "model") if (place / _STORE).is_file()), None)
    if "keywords" in kinds and store is not None:
        labels = LabelEmbeddingStore.from_pretrained(store)
        if any((labels.keywords or {}).values()):
            rows = [(label, word, score) for label, pairs in labels.keywords.items() for word, score in pairs]
            figure = label_keywords_and_key_frames(labels.keywords, note=overlap_summary(labels))
            yield Drawn("label_keywords", figure, ("class", "word", "score"), rows)


def confusion_figure(results: Mapping[str, Any]) -> Drawn:
    """The confusion matrix of a fold's results."""
    confusion = results["test"]["confusion"]
    matrix, labels = np.array(confusion["matrix"]), confusion["labels"]
    rows = [(label, *counts) for label, counts in zip(labels, matrix.tolist(), strict=True)]
    return Drawn("confusion_matrix", confusion_matrix(matrix, labels), ("class", *labels), rows)


def curves_figure(results: Mapping[str, Any]) -> Drawn | None:
    """Losses and scores over the epochs; None where nothing was logged."""
    history = results.get("history") or []
    series = history_series(history)
    if not series:
        return None
    metric = (results.get("settings", {}).get("training") or {}).get("metric_for_best_model", "ua")
    rows = [(name, epoch, value) for name, own in series.items() for epoch, value in own.tolist()]
    figure = training_curves(history, best=f"eval_{metric}")
    return Drawn("training_curves", figure, ("name", "epoch", "value"), rows)


def reliability_figure(results: Mapping[str, Any]) -> Drawn | None:
    """Confidence against accuracy on the test part; None where calibration was not measured."""
    calibration = results.get("calibration", {})
    tested = calibration.get("test")
    if not tested:
        return None
    panels = {"before": ("Before scaling", tested["ece"])}
    if calibration["temperatures"]:
        panels["after"] = ("Calibrated", tested["ece_calibrated"])
    bins = {title: (tested["reliability"][name], error) for name, (title, error) in panels.items()}
    rows = [
        (title, index / len(one["counts"]), *(one[name][index] for name in ("counts", "confidence", "accuracy")))
        for title, (one, _) in bins.items()
        for index in range(len(one["counts"]))
    ]
    columns = ("panel", "from", "utterances", "confidence", "accuracy")
    return Drawn("reliability", reliability_diagram(bins), columns, rows)


def layers_figure(results: Mapping[str, Any]) -> Drawn | None:
    """What every layer counts for where layers are mixed; None where none are."""
    weights = results.get("layer_weights")
    if not weights:
        return None
    rows = [(modality, layer, share) for modality, own in weights.items() for layer, share in enumerate(own)]
    return Drawn("layer_weights", layer_weights(weights), ("modality", "layer", "weight"), rows)


def _has_something(folder: Path) -> bool:
    if any((place / _STORE).is_file() for place in (folder, folder / "model")):
        return True
    return (folder / _RESULTS).is_file() and "fold" in _read(folder / _RESULTS)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return content if isinstance(content, dict) else {}
