"""WA, UA and WF1 as an `evaluate.Metric`. In a file of its own because `evaluate` imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from hf_mer.metrics.scores import emotion_scores, per_class_scores

_DESCRIPTION = """
Scores of emotion recognition: WA (weighted accuracy) is plain accuracy, UA (unweighted accuracy) is the mean of the
recalls of the classes that occur, WF1 is the support-weighted F1.
"""

_INPUTS = """
Args:
    predictions: Predicted class ids.
    references: True class ids.
    per_class: Whether to return `recall`, `precision`, `f1` and `support` of each class as well, lists of length
    `num_labels`.

Returns:
    `wa`, `ua` and `wf1`, fractions between 0 and 1.
"""


class EmotionMetrics(evaluate.Metric):
    """WA, UA and WF1 for `evaluate`, made without any download.

    ```py
    >>> metric = EmotionMetrics(num_labels=4)
    >>> metric.compute(predictions=[0, 1, 1, 3], references=[0, 1, 2, 3])
    {'wa': 0.75, 'ua': 0.75, 'wf1': 0.666...}
    ```

    Args:
        num_labels: Number of classes; ids outside `0 .. num_labels - 1` are refused. `None` takes the highest id seen.
        keep_in_memory: Whether added batches stay in memory instead of in a cache file. `None`: yes, unless several
            processes add to the metric, which needs the file.
        **kwargs: Those of `evaluate.Metric`, such as `experiment_id`, `num_process` and `process_id`.
    """

    def __init__(self, num_labels: int | None = None, *, keep_in_memory: bool | None = None, **kwargs: Any) -> None:
        if keep_in_memory is None:
            keep_in_memory = kwargs.get("num_process", 1) == 1
        self.num_labels = num_labels
        super().__init__(keep_in_memory=keep_in_memory, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], per_class: bool = False
    ) -> dict[str, float | list[float]]:
        num_labels = self.num_labels
        if num_labels is None:
            num_labels = max(max(predictions), max(references)) + 1
        scores: dict[str, float | list[float]] = {**emotion_scores(references, predictions, num_labels)}
        if per_class:
            by_class = per_class_scores(references, predictions, num_labels)
            scores.update({name: values.tolist() for name, values in by_class.items()})
        return scores
