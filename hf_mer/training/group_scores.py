"""Scores of groups of people: by corpus, by gender and by speaker, as far as the rows name them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.schema import column
from hf_mer.files import markdown_table
from hf_mer.metrics.scores import SCORE_NAMES, scores_by

GROUPS = ("corpus", "gender", "speaker")
"""Columns by which utterances are told apart."""

Groups = Mapping[str, Mapping[str, Mapping[str, Any]]]


def group_scores(
    rows: Dataset, labels: np.ndarray, predictions: np.ndarray, num_labels: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of every group of test rows.

    UA and WF1 of a group are of the classes that occur in it; of few utterances they say little, so `n` stands by.

    Args:
        rows: In the order of the labels.
        labels: True classes. Shape `(N,)`.
        predictions: Predicted classes. Shape `(N,)`.
        num_labels: Number of classes.

    Returns:
        By column of `GROUPS` that names anybody, by its values (rows without one are "unknown"): the scores and `n`.
    """
    values = {name: column(rows, name) for name in GROUPS if name in rows.column_names}
    return {name: scores_by(own, labels, predictions, num_labels) for name, own in values.items() if any(own)}


def groups_table(groups: Groups) -> str:
    """Scores by corpus and gender, and from the worst to the best speaker, in Markdown; empty if there are none.

    Args:
        groups: Of `group_scores`; or of a report over folds, whose scores are means and deviations.
    """
    rows = [
        [f"{name} {value}", _count(scores), *(_cell(scores[score]) for score in SCORE_NAMES)]
        for name in ("corpus", "gender")
        for value, scores in groups.get(name, {}).items()
    ]
    if speakers := list(groups.get("speaker", {}).values()):
        counts = sorted(_count(one) for one in speakers)
        several = " to ".join(dict.fromkeys(map(str, (counts[0], counts[-1])))) + " each"
        cells = [_range([_mean(one[score]) for one in speakers]) for score in SCORE_NAMES]
        rows.append([f"{len(speakers)} speakers, lowest / median / highest", several, *cells])
    return markdown_table(["group", "utterances", *map(str.upper, SCORE_NAMES)], rows) if rows else ""


def _count(scores: Mapping[str, Any]) -> int:
    return scores["n"] if "n" in scores else scores["utterances"]


def _mean(score: Any) -> float:
    return score["mean"] if isinstance(score, Mapping) else score


def _cell(score: Any) -> str:
    deviation = score["std"] if isinstance(score, Mapping) else None
    return f"{_mean(score):.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def _range(values: list[float]) -> str:
    return " / ".join(f"{value:.3f}" for value in (min(values), float(np.median(values)), max(values)))
