"""Scores of a fold's test part, and everything a results file says about them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from scipy.special import softmax

from hf_mer.data.protocols.folds import repeated_texts
from hf_mer.data.schema import CorpusError, column
from hf_mer.files import markdown_table, read_csv, write_csv
from hf_mer.metrics.raters import rater_divergences
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
        names = [
            "text also in training" if repeated[row_id] else "text only in test" if text else "without text"
            for row_id, text in zip(column(test, "id"), column(test, "text"), strict=True)
        ]
        results["scores_by_text"] = scores_by(names, truth, predictions, len(labels))
        results["counts_by_text"] = {name: names.count(name) for name in sorted(set(names))}
    return results


def divergence_from_raters(test: Dataset, logits: np.ndarray) -> dict[str, Any]:
    """How far probabilities lie from the raters' votes: `rater_divergence`, where any row has votes; else nothing.

    Args:
        test: Test rows in the order of the logits; those prepared by an earlier version have no column `votes`.
        logits: As they are given to `write_predictions`. Shape `(N, C)`.

    Returns:
        Of `rater_divergence`, the `mean` over the rows with votes (in bits, see `rater_divergences`), and `n`, how
        many these are.
    """
    votes = column(test, "votes") if "votes" in test.column_names else []
    having = [row for row, shares in enumerate(votes) if shares is not None]
    if not having:
        return {}
    divergences = rater_divergences(softmax(logits[having], axis=1), np.array([votes[row] for row in having]))
    return {"rater_divergence": {"mean": float(divergences.mean()), "n": len(having)}}


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
        CorpusError: If the corpus lacks some of them, or they have other labels: ids that are made up by line are in
            every table.
    """
    header, *lines = read_csv(predictions)
    tested = {cells[header.index("id")]: cells[header.index("label")] for cells in lines}
    ids, names = column(rows, "id"), rows.features["label"].names
    missing = sorted(set(tested) - set(ids))
    if missing:
        raise CorpusError(
            f"{len(missing)} of the {len(tested)} test rows of the checkpoint ({predictions}) are not in this corpus, "
            f"such as '{missing[0]}'{hint and '; '}{hint}"
        )
    found = [index for index, row_id in enumerate(ids) if row_id in tested]
    labels = [names[rows["label"][index]] for index in found]
    others = [(ids[index], label) for index, label in zip(found, labels, strict=True) if label != tested[ids[index]]]
    if others:
        row_id, label = others[0]
        raise CorpusError(
            f"{len(others)} of the {len(tested)} test rows of the checkpoint ({predictions}) have other labels in "
            f"this corpus, such as '{row_id}': {label} instead of {tested[row_id]}{hint and '; '}{hint}"
        )
    return found


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


def chance_line(num_labels: int) -> str:
    """What a system reaches that knows nothing."""
    return f"chance: UA {1 / num_labels:.3f}"


def reference_line(folds: Sequence[Mapping[str, Any]]) -> str | None:
    """The mean over folds in a sentence, None where no fold has a reference."""
    found = [fold["linear_reference"] for fold in folds if "linear_reference" in fold]
    if not found:
        return None
    scores = ", ".join(
        f"{name.upper()} {np.mean([one['scores'][name] for one in found]):.3f}" for name in ("wa", "ua")
    )
    chosen: dict[str, set[int]] = {}
    for one in found:
        for modality, layer in one["layers"].items():  # a fold may lack a modality
            chosen.setdefault(modality, set()).add(layer)
    layers = "; ".join(f"{name} layer {', '.join(map(str, sorted(of)))}" for name, of in chosen.items())
    return f"linear classifier on the same frozen states: {scores} ({layers})"


def _number(value: Any) -> float | int | None:
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and np.isnan(number) else number
