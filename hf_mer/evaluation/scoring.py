"""Scores under every condition, with their intervals and how far they lie from those of the unchanged utterances."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_mer.data.word_errors import word_error_rate
from hf_mer.evaluation.condition import Condition
from hf_mer.evaluation.logits import Predicted
from hf_mer.evaluation.reading import Texts
from hf_mer.metrics.calibration import expected_calibration_error
from hf_mer.metrics.scores import bootstrap_intervals, emotion_scores
from hf_mer.metrics.significance import paired_bootstrap


def score_conditions(
    conditions: Sequence[Condition],
    predicted: Sequence[Predicted],
    labels: np.ndarray,
    num_labels: int,
    *,
    texts: Sequence[tuple[str, str | None]] = (),
    wrong_words: dict[float, Texts] | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Scores of every condition.

    Args:
        conditions: The first is the one that others are compared with.
        predicted: What the model said under each.
        labels: True classes. Shape `(N,)`.
        num_labels: Number of classes.
        texts: Id and text of every row, for the word error rate that came about.
        wrong_words: Texts with errors by rate.
        num_resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        For each condition `name`, `kind`, `modalities`, `value`, `realised` (of the kind words, the word error rate
        as measured), `utterances` (of which the model saw anything), `scores`, `intervals_95`, `difference` (of the
        scores to those of the first condition on the same utterances, each with `interval_95` and `p`), and `ece` of
        calibrated probabilities.
    """
    whole = predicted[0]
    found = []
    for index, (condition, one) in enumerate(zip(conditions, predicted, strict=True)):
        entry: dict[str, Any] = {
            "name": condition.name,
            "kind": condition.kind,
            "modalities": list(condition.modalities),
            "missing": condition.missing,
            "value": condition.value,
            "realised": _realised(condition, texts, wrong_words or {}),
            "utterances": int(one.seen.sum()),
        }
        found.append(entry)
        if not one.seen.any():
            continue
        truth, logits = labels[one.seen], one.logits[one.seen]
        said = logits.argmax(axis=1)
        intervals = bootstrap_intervals(truth, said, num_labels, num_resamples=num_resamples, seed=seed)
        entry["scores"] = emotion_scores(truth, said, num_labels)
        entry["intervals_95"] = {name: list(interval) for name, interval in intervals.items()}
        entry["ece"] = expected_calibration_error(truth, logits / one.temperatures[one.seen, None])
        both = one.seen & whole.seen
        if index and both.any():
            first, second = (each.logits[both].argmax(axis=1) for each in (one, whole))
            differences = paired_bootstrap(
                labels[both], first, second, num_labels, num_resamples=num_resamples, seed=seed
            )
            entry["difference"] = {
                name: {"value": gap.difference, "interval_95": [gap.low, gap.high], "p": gap.p_value}
                for name, gap in differences.items()
            }
    return found


def _realised(
    condition: Condition, texts: Sequence[tuple[str, str | None]], wrong_words: dict[float, Texts]
) -> float | None:
    heard = wrong_words.get(condition.value or 0.0) if condition.kind == "words" else None
    if heard is None:
        return None
    return word_error_rate([text for _, text in texts], [heard[row_id][0] for row_id, _ in texts])
