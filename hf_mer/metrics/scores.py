"""Scores of emotion recognition under their right names, with confidence intervals.

| name | formula | also called |
|---|---|---|
| `wa` | utterances recognised / utterances | weighted accuracy, plain accuracy |
| `ua` | mean of the recalls of the classes that occur | unweighted accuracy, balanced accuracy, macro recall |
| `wf1` | sum over classes of `support / utterances * F1` | weighted F1 |

All scores are fractions between 0 and 1. `labels` are the true classes and always come first, `predictions` second.
`hf_mer.metrics.EmotionMetrics` is the same as an `evaluate.Metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import numpy as np

if TYPE_CHECKING:
    from transformers import EvalPrediction

SCORE_NAMES = ("wa", "ua", "wf1")

# Anything that numpy turns into a vector of class ids: a list, an array, a column of a dataset.
ClassIds: TypeAlias = "Sequence[int] | np.ndarray"

# Cells of all resamples held at once by the bootstrap (float64), so that many groups stay within some 64 MB.
_MAX_CELLS = 8_000_000


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def emotion_scores(labels: ClassIds, predictions: ClassIds, num_labels: int) -> dict[str, float]:
    """WA, UA and WF1 of a set of utterances.

    `wa = sum_c n_cc / N`, `ua = mean over {c: n_c > 0} of n_cc / n_c`, `wf1 = sum_c n_c / N * F1_c`, where `n_cc` of
    the `n_c` utterances of class `c` are recognised. A class that is never predicted has F1 0; a class without
    utterances counts in none of the three (its false alarms count as errors of the true classes).

    Args:
        labels: True class of each utterance. Shape `(N,)`.
        predictions: Predicted class of each utterance. Shape `(N,)`.
        num_labels: Number of classes; ids are `0 .. num_labels - 1`.

    Returns:
        `{"wa": ..., "ua": ..., "wf1": ...}`, fractions between 0 and 1.

    Raises:
        ValueError: If there is nothing to score, the lengths differ, or an id is not a class.
    """
    from sklearn.metrics import accuracy_score, f1_score, recall_score  # here, since they take seconds to import

    labels, predictions = checked_ids(labels, predictions, num_labels)
    occurring = np.unique(labels)
    return {
        "wa": float(accuracy_score(labels, predictions)),
        "ua": float(recall_score(labels, predictions, labels=occurring, average="macro", zero_division=0)),
        "wf1": float(f1_score(labels, predictions, labels=occurring, average="weighted", zero_division=0)),
    }


def per_class_scores(labels: ClassIds, predictions: ClassIds, num_labels: int) -> dict[str, np.ndarray]:
    """Recall, precision, F1 and support of each class.

    Args:
        labels: True classes. Shape `(N,)`.
        predictions: Predicted classes. Shape `(N,)`.
        num_labels: Number of classes `C`.

    Returns:
        `recall`, `precision` and `f1`, float64 of shape `(C,)`, and `support`, int64 of shape `(C,)`. Recall and F1
        are NaN for a class without utterances, precision is NaN for a class that was never predicted.

    Raises:
        ValueError: As [`emotion_scores`].
    """
    from sklearn.metrics import precision_recall_fscore_support

    labels, predictions = checked_ids(labels, predictions, num_labels)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=np.arange(num_labels), zero_division=0
    )
    occurs, predicted = support > 0, np.bincount(predictions, minlength=num_labels) > 0
    return {
        "recall": np.where(occurs, recall, np.nan),
        "precision": np.where(predicted, precision, np.nan),
        "f1": np.where(occurs, f1, np.nan),
        "support": support.astype(np.int64),
    }


def confusion(labels: ClassIds, predictions: ClassIds, num_labels: int) -> np.ndarray:
    """Counts of true class (row) by predicted class (column).

    Args:
        labels: True classes. Shape `(N,)`.
        predictions: Predicted classes. Shape `(N,)`.
        num_labels: Number of classes `C`.

    Returns:
        int64 of shape `(C, C)`, which sums to `N`.

    Raises:
        ValueError: As [`emotion_scores`].
    """
    from sklearn.metrics import confusion_matrix

    labels, predictions = checked_ids(labels, predictions, num_labels)
    return confusion_matrix(labels, predictions, labels=np.arange(num_labels)).astype(np.int64)


def scores_by(
    values: Sequence[Hashable], labels: ClassIds, predictions: ClassIds, num_labels: int
) -> dict[str, dict[str, float]]:
    """Scores of each part of a corpus: improvised and scripted speech, speakers, sessions.

    Args:
        values: What the parts are told apart by, one per utterance; `None` makes the part "unknown". Length `N`.
        labels: True classes. Shape `(N,)`.
        predictions: Predicted classes. Shape `(N,)`.
        num_labels: Number of classes.

    Returns:
        The scores of [`emotion_scores`] and the number of utterances `n`, by part, parts in alphabetical order.

    Raises:
        ValueError: As [`emotion_scores`], or if there is not one value per utterance.
    """
    labels, predictions = checked_ids(labels, predictions, num_labels)
    if len(values) != len(labels):
        raise ValueError(f"{len(values)} values for {len(labels)} utterances; give one value per utterance")
    parts = np.array(["unknown" if value is None else str(value) for value in values])
    scores = {}
    for part in np.unique(parts):
        rows = parts == part
        scores[str(part)] = {**emotion_scores(labels[rows], predictions[rows], num_labels), "n": int(rows.sum())}
    return scores


def aggregate(folds: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Mean and standard deviation of each score over the folds of a cross-validation (or over seeds).

    `std = sqrt(sum_f (score_f - mean)^2 / (n - 1))`, the deviation of the sample; it says how much folds differ, not
    how sure the mean is.

    Args:
        folds: Scores of each fold; all folds have the same names.

    Returns:
        By score name `mean`, `std` (`None` for a single fold, which has none) and `n`, the number of folds.

    Raises:
        ValueError: If there are no folds, or a fold's names differ from those of the first.
    """
    if not folds:
        raise ValueError("no folds to aggregate; give the scores of at least one fold")
    names = list(folds[0])
    for index, fold in enumerate(folds):
        if set(fold) != set(names):
            raise ValueError(f"fold {index} has the scores {sorted(fold)}, fold 0 has {sorted(names)}")
    summary: dict[str, dict[str, float | int | None]] = {}
    for name in names:
        scores = np.array([fold[name] for fold in folds], dtype=np.float64)
        std = float(scores.std(ddof=1)) if len(scores) > 1 else None
        summary[name] = {"mean": float(scores.mean()), "std": std, "n": len(scores)}
    return summary


def bootstrap_intervals(
    labels: ClassIds,
    predictions: ClassIds,
    num_labels: int,
    *,
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of WA, UA and WF1.

    Utterances are drawn with replacement, as many as there are, and scored again. The scores depend on the confusion
    counts alone, so that a resample is a multinomial draw of the confusion matrix and nothing loops over utterances.
    Utterances of one speaker or dialogue resemble each other, and intervals that ignore this are too narrow: with
    `groups`, whole groups are drawn instead (cluster bootstrap).

    Source: Efron, *Bootstrap methods: another look at the jackknife*, Annals of Statistics 7(1), 1979.

    Args:
        labels: True classes. Shape `(N,)`.
        predictions: Predicted classes. Shape `(N,)`.
        num_labels: Number of classes.
        confidence: Share of the resamples that the interval holds, between 0 and 1.
        num_resamples: Number of resamples.
        seed: Seed of the draws.
        groups: Group of each utterance, such as its dialogue or speaker. Length `N`.

    Returns:
        By score name the interval `(low, high)`. It has no width where every utterance is right (or every one wrong).

    Raises:
        ValueError: As [`emotion_scores`]; if `confidence` or `num_resamples` make no sense; if `groups` are fewer
            than two or not one per utterance.
    """
    labels, predictions = checked_ids(labels, predictions, num_labels)
    check_confidence(confidence)
    resampled = resample(labels * num_labels + predictions, num_labels**2, groups, num_resamples, seed)
    scores = scores_of_confusions(resampled.reshape(num_resamples, num_labels, num_labels))
    tail = (1 - confidence) / 2
    intervals = {}
    for name in SCORE_NAMES:
        low, high = np.quantile(scores[name], [tail, 1 - tail])
        intervals[name] = Interval(float(low), float(high))
    return intervals


def compute_metrics_for_trainer(
    num_labels: int, label_names: Sequence[str] | None = None
) -> Callable[[EvalPrediction], dict[str, float]]:
    """The `compute_metrics` of a `transformers.Trainer`.

    Args:
        num_labels: Number of classes.
        label_names: Names of the classes; where given, each class's recall is reported too, as `recall_<name>`.

    Returns:
        A function from an `EvalPrediction` to WA, UA and WF1. The predictions are the logits `(N, C)`, or a tuple
        whose first item they are; of labels that are shares of the classes `(N, C)` the largest counts, and what has
        none (-100) is left out. The trainer puts its prefix (`eval_`) before the names.

    Raises:
        ValueError: If there is not one name per class; when called, if the logits are not finite or not `(N,
            num_labels)`.
    """
    if label_names is not None and len(label_names) != num_labels:
        raise ValueError(f"{len(label_names)} label names for {num_labels} classes: {list(label_names)}")

    def compute_metrics(evaluated: EvalPrediction) -> dict[str, float]:
        outputs = evaluated.predictions
        logits = np.asarray(outputs[0] if isinstance(outputs, (tuple, list)) else outputs)  # (N, C)
        if logits.ndim != 2 or logits.shape[1] != num_labels:
            raise ValueError(f"logits have the shape {logits.shape}, expected (utterances, {num_labels})")
        bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        if bad.size:
            raise ValueError(f"logits of {bad.size} of {len(logits)} utterances are not finite: rows {_first(bad)}")
        labels = _classes_of(cast(np.ndarray, evaluated.label_ids))
        labelled = labels != -100
        labels, predictions = labels[labelled], logits[labelled].argmax(axis=1)
        scores = emotion_scores(labels, predictions, num_labels)
        if label_names is not None:
            recalls = per_class_scores(labels, predictions, num_labels)["recall"]
            for name, recall in zip(label_names, recalls, strict=True):
                if np.isfinite(recall):  # absent where the class does not occur
                    scores[f"recall_{name}"] = float(recall)
        return scores

    return compute_metrics


def _classes_of(labels: np.ndarray) -> np.ndarray:
    """One class per utterance, of class ids or of shares of the classes; -100 where there is none."""
    if labels.ndim == 1:
        return labels
    return np.where((labels == -100).all(axis=1), -100, labels.argmax(axis=1))


def scores_of_confusions(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """[`emotion_scores`] of many confusion matrices `(R, C, C)` at once, each score of shape `(R,)`."""
    right = np.einsum("rcc->rc", confusions).astype(np.float64)  # (R, C)
    support = confusions.sum(axis=2)  # (R, C)
    predicted = confusions.sum(axis=1)  # (R, C)
    total = support.sum(axis=1)  # (R,)
    occurs = support > 0
    recall = right / np.maximum(support, 1)
    # F1 = 2 right / (support + predicted), 0 where the class is never recognised
    f1 = 2 * right / np.maximum(support + predicted, 1)
    return {
        "wa": right.sum(axis=1) / total,
        "ua": recall.sum(axis=1) / occurs.sum(axis=1),
        "wf1": (f1 * support).sum(axis=1) / total,
    }


def check_confidence(confidence: float) -> None:
    """Refuses what is no share of the resamples."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")


def resample(
    cells: np.ndarray, num_cells: int, groups: Sequence[Hashable] | None, num_resamples: int, seed: int
) -> np.ndarray:
    """Counts `(R, num_cells)` of resamples that draw utterances, or whole groups of them, with replacement."""
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples!r}")
    rng = np.random.default_rng(seed)
    if groups is None:
        return rng.multinomial(len(cells), np.bincount(cells, minlength=num_cells) / len(cells), size=num_resamples)
    if len(groups) != len(cells):
        raise ValueError(f"{len(groups)} groups for {len(cells)} utterances; give one group per utterance")
    names, members = np.unique(np.array([str(group) for group in groups]), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"bootstrap over groups needs at least two groups, got only {str(names[0])!r}")
    counts = np.zeros((len(names), num_cells))  # (G, num_cells)
    np.add.at(counts, (members, cells), 1)
    # groups with the same counts are one kind of group: fewer draws, same distribution
    kinds, frequency = np.unique(counts, axis=0, return_counts=True)
    chunk = max(1, _MAX_CELLS // len(kinds))
    drawn = [
        rng.multinomial(len(names), frequency / len(names), size=min(chunk, num_resamples - start)) @ kinds
        for start in range(0, num_resamples, chunk)
    ]
    return np.concatenate(drawn)


def checked_ids(labels: ClassIds, predictions: ClassIds, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as int64 vectors of the same length whose values are class ids."""
    checked = []
    for name, given in (("labels", labels), ("predictions", predictions)):
        ids = np.asarray(given)
        if ids.ndim != 1:
            raise ValueError(f"{name} must be one class id per utterance, got an array of shape {ids.shape}")
        if not ids.size:
            raise ValueError(f"{name} are empty; there is nothing to score")
        if not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"{name} must be integers (class ids), got {ids.dtype}")
        bad = np.flatnonzero((ids < 0) | (ids >= num_labels))
        if bad.size:
            values = sorted(set(ids[bad].tolist()))
            raise ValueError(
                f"{name} {values} (rows {_first(bad)}) are not class ids; valid are 0 to {num_labels - 1}"
            )
        checked.append(ids.astype(np.int64))
    if len(checked[0]) != len(checked[1]):
        raise ValueError(f"{len(checked[0])} labels but {len(checked[1])} predictions; give one of each per utterance")
    return checked[0], checked[1]


def _first(rows: np.ndarray, shown: int = 5) -> str:
    more = ", ..." if len(rows) > shown else ""
    return ", ".join(str(row) for row in rows[:shown]) + more
