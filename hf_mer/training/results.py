"""Scores of a fold's test part, and everything a results file says about them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.protocols.folds import repeated_texts
from hf_mer.data.schema import CorpusError, column
from hf_mer.files import markdown_table, read_csv, write_csv
from hf_mer.metrics.scores import (
    SCORE_NAMES,
    bootstrap_intervals,
    confusion,
    emotion_scores,
    per_class_scores,
    scores_by,
)
from hf_mer.training.group_scores import group_scores


def test_results(
    rows: Dataset, fold: Any, test: Dataset, logits: np.ndarray, labels: list[str], resamples: int, seed: int
) -> dict[str, Any]:
    """Everything that is reported of a test part.

    Args:
        rows: All rows, for texts that also occur in training.
        fold: The fold.
        test: Test rows in the order of the logits.
        logits: Shape `(N, C)`.
        labels: Class names.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    truth = np.array(column(test, "label"))
    predictions = logits.argmax(axis=1)
    intervals = bootstrap_intervals(truth, predictions, len(labels), num_resamples=resamples, seed=seed)
    per_class = per_class_scores(truth, predictions, len(labels))
    results: dict[str, Any] = {
        "scores": emotion_scores(truth, predictions, len(labels)),
        "intervals_95": {name: list(interval) for name, interval in intervals.items()},
        "confusion": {"labels": labels, "matrix": confusion(truth, predictions, len(labels)).tolist()},
        "per_class": {
            label: {name: _number(values[i]) for name, values in per_class.items()} for i, label in enumerate(labels)
        },
    }
    parts = column(test, "part")
    if any(parts):
        results["scores_by_part"] = scores_by(parts, truth, predictions, len(labels))
    if groups := group_scores(test, truth, predictions, len(labels)):
        results["by_group"] = groups
    if any(column(test, "text")):
        ids = column(rows, "id")
        repeated = dict(zip([ids[i] for i in fold.test], repeated_texts(rows, fold), strict=True))
        names = ["text also in training" if repeated[row_id] else "text only in test" for row_id in column(test, "id")]
        results["scores_by_text"] = scores_by(names, truth, predictions, len(labels))
        results["counts_by_text"] = {name: names.count(name) for name in sorted(set(names))}
    return results


def write_predictions(path: str | Path, test: Dataset, logits: np.ndarray, labels: list[str]) -> None:
    """One line per test utterance: id, true and predicted class, and every class' probability.

    Args:
        path: The file.
        test: Test rows in the order of the logits.
        logits: Divided by their temperatures where the system has any, so that probabilities are the calibrated ones.
            Shape `(N, C)`.
        labels: Class names.
    """
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)

    lines = [
        [row_id, labels[label], labels[int(row.argmax())], *(f"{value:.8f}" for value in row)]
        for row_id, label, row in zip(column(test, "id"), column(test, "label"), probabilities, strict=True)
    ]
    write_csv(path, ["id", "label", "prediction", *labels], lines)


def rows_of_predictions(rows: Dataset, predictions: Path, hint: str = "") -> list[int]:
    """Indices of the rows that a file of `write_predictions` names, in the order of the corpus.

    Args:
        rows: The corpus.
        predictions: The file.
        hint: What to do where rows are missing.

    Raises:
        CorpusError: If the corpus lacks some of them.
    """
    header, *lines = read_csv(predictions)
    tested = {cells[header.index("id")] for cells in lines}
    ids = column(rows, "id")
    missing = sorted(tested - set(ids))
    if missing:
        raise CorpusError(
            f"{len(missing)} of the {len(tested)} test rows of the checkpoint ({predictions}) are not in this corpus, "
            f"such as '{missing[0]}'{hint and '; '}{hint}"
        )
    return [index for index, row_id in enumerate(ids) if row_id in tested]


def results_table(folds: Sequence[dict[str, Any]], summary: dict[str, Any]) -> str:
    """Scores of every fold and their mean, as a Markdown table."""
    rows = []
    for fold in folds:
        scores, intervals = fold["test"]["scores"], fold["test"]["intervals_95"]
        cells = [f"{scores[name]:.3f} [{intervals[name][0]:.3f}, {intervals[name][1]:.3f}]" for name in SCORE_NAMES]
        rows.append([fold["fold"], fold["rows"]["test"], *cells])
    if len(folds) > 1:
        cells = [f"{summary[name]['mean']:.3f} ± {summary[name]['std']:.3f}" for name in SCORE_NAMES]
        rows.append(["mean ± deviation", None, *cells])
    return markdown_table(["fold", "utterances", *map(str.upper, SCORE_NAMES)], rows)


def _number(value: Any) -> float | int | None:
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and np.isnan(number) else number
