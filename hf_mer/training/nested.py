"""Nested validation: settings are chosen inside every fold, by inner folds of its training rows."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_mer.data.protocols.folds import Fold


def select_candidate(
    candidates: Mapping[str, Any],
    folds: Sequence[Fold],
    run_fold: Callable[[str, Fold], Mapping[str, Any]],
    metric: str = "ua",
) -> dict[str, Any]:
    """Runs every candidate on every inner fold, and chooses the one with the best mean score.

    With `nested_folds` this is nested validation: the outer test has no part in the choice.

    ```python
    candidates = {"C=1": {"C": 1}, "C=10": {"C": 10}}


    def run_fold(fold):
        inner = nested_folds(rows, fold, "leave_one_speaker_out")
        nested = select_candidate(candidates, inner, lambda name, one: train_and_test(one, **candidates[name]))
        return {**train_and_test(fold, **candidates[nested["choice"]]), "nested": nested}
    ```

    Args:
        candidates: Settings by name.
        folds: Inner folds, see `nested_folds`.
        run_fold: From a candidate's name and an inner fold to results, of which `["test"]["scores"]` counts.
        metric: `wa`, `ua` or `wf1`.

    Returns:
        `metric`, `folds` (names of the inner folds), `candidates` (of each `name`, `settings`, `scores` by inner
        fold, and `mean` of the metric) and `choice`, the name of the best; of equal ones the first.

    Raises:
        ValueError: If there is no candidate or no inner fold.
    """
    if not candidates or not folds:
        raise ValueError(f"{len(candidates)} candidates and {len(folds)} inner folds: nothing to choose by")
    tried = []
    for name, settings in candidates.items():
        scores = {fold.name: dict(run_fold(name, fold)["test"]["scores"]) for fold in folds}
        mean = float(np.mean([score[metric] for score in scores.values()]))
        tried.append({"name": name, "settings": settings, "scores": scores, "mean": mean})
    best = max(tried, key=lambda candidate: candidate["mean"])
    return {"metric": metric, "folds": [fold.name for fold in folds], "candidates": tried, "choice": best["name"]}


def earlier_choice(folder: Path) -> str | None:
    """The name of the candidate that a finished fold chose; None if it is not finished, or chose none."""
    path = folder / "results.json"
    if not path.exists():
        return None
    return json.loads(path.read_text(encoding="utf-8")).get("nested", {}).get("choice")
