"""Explanations on real data, where no answer is known: what a prediction loses with the places that count most.

Source: J. DeYoung et al., ERASER: A Benchmark to Evaluate Rationalized NLP Models, ACL 2020, section 4:
comprehensiveness and sufficiency, as the mean over several shares of places. Here places leave as in `explain`: words
go, segments of sound become faint noise, frames are missing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from agreement import mean_recall, quiet
from kept import Kept
from rivals import METHODS
from subject import Subject, drawn, tested_rows
from truth import KINDS

from hf_mer.prediction.load import load_recognizer

SHARES = (0.1, 0.2, 0.3, 0.5)
"""Of the places that are removed, or kept."""


def measure_removal(
    checkpoint: str | Path,
    data_dir: str | Path,
    methods: Iterable[str],
    *,
    utterances: int | None,
    budget: int,
    kept: Kept,
) -> dict[str, Any]:
    """Comprehensiveness and sufficiency of several methods on test utterances of a checkpoint.

    Args:
        checkpoint: Of a finished training, with the files beside it.
        data_dir: The corpus that it was trained on.
        methods: Of `METHODS`.
        utterances: So many of the test part at random; None for all.
        budget: Of `explain`.
        kept: Where records are kept on the way.

    Returns:
        `ua` and `utterances`: `id`, `label`, `predicted`, `right`, and `places`, by kind and method
        `comprehensiveness` and `sufficiency`.
    """
    recognizer = load_recognizer(checkpoint, device="cpu")
    labels = [recognizer.model.config.id2label[index] for index in range(recognizer.model.config.num_labels)]
    with quiet():
        rows = list(drawn(tested_rows(checkpoint, data_dir, labels), utterances))
        found = kept.records(rows, lambda row: measure_utterance(Subject(recognizer, row, budget), methods))
    return {"checkpoint": str(checkpoint), "ua": mean_recall(found), "budget": budget, "utterances": found}


def measure_utterance(subject: Subject, methods: Iterable[str]) -> dict[str, Any]:
    """One entry of `utterances`."""
    places: dict[str, dict[str, Any]] = {}
    for method in methods:
        for player, values in METHODS[method](subject, subject.predicted).items():
            if player in KINDS and len(values) > 1:
                places.setdefault(KINDS[player], {})[method] = removal_scores(subject, player, values)
    return {
        "id": subject.id,
        "label": subject.labels[subject.label],
        "predicted": subject.labels[subject.predicted],
        "right": subject.predicted == subject.label,
        "places": places,
    }


def removal_scores(subject: Subject, player: str, values: np.ndarray) -> Mapping[str, float]:
    """What the probability of the predicted class loses without the places of the highest values, and with only them.

    `comprehensiveness = mean_k(p - p_without_top_k)`, high where the places are needed; `sufficiency = mean_k(p -
    p_with_only_top_k)`, low where they are enough. Other modalities stay. Of `P` places `k` are `round(share * P)`, at
    least one, for `SHARES`.

    Args:
        subject: The utterance.
        player: Whose places.
        values: Of these places. Shape `(P,)`, at least two.
    """
    rank = np.empty(len(values), dtype=int)
    rank[np.argsort(-values, kind="stable")] = np.arange(len(values))
    tops = [rank < max(1, round(share * len(values))) for share in SHARES]
    variants = [subject.with_left(player, chosen) for top in tops for chosen in (~top, top)]
    left = np.exp(subject.ask(variants)[:, subject.predicted]).reshape(-1, 2)  # (shares, 2)
    without, alone = (np.exp(subject.outcomes[subject.predicted]) - left).mean(axis=0).tolist()
    return {"comprehensiveness": without, "sufficiency": alone}
