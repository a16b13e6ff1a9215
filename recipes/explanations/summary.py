"""From values of utterances to means, deviations over seeds, and bootstrap intervals over utterances."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

RESAMPLES = 2000


class Mean(NamedTuple):
    """A mean over utterances of several runs.

    Attributes:
        mean: Of all values.
        deviation: Of the runs' means, `n - 1`; None for one run.
        low: Lower end of the 95 % interval over utterances.
        high: Upper end.
        n: Values in all.
    """

    mean: float
    deviation: float | None
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{spread} [{self.low:.2f}, {self.high:.2f}]"


def mean_of_runs(runs: Sequence[Sequence[tuple[Hashable, float]]], seed: int = 0) -> Mean | None:
    """Mean of all values, deviation over runs, and interval of the mean over utterances; None without values.

    Utterances are drawn with replacement, each with its values of all runs, as values of one utterance by several
    seeds resemble each other.

    Source: Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13 (percentiles).

    Args:
        runs: Per run pairs of an utterance's id and its value.
        seed: Of the draws.
    """
    runs = [run for run in runs if run]
    if not runs:
        return None
    means = [float(np.mean([value for _, value in run])) for run in runs]
    sums: dict[Hashable, list[float]] = {}
    for name, value in (pair for run in runs for pair in run):
        sums.setdefault(name, []).append(value)
    totals = np.array([(sum(values), len(values)) for values in sums.values()])  # (U, 2)
    draws = np.random.default_rng(seed).integers(len(totals), size=(RESAMPLES, len(totals)))
    drawn = totals[draws].sum(axis=1)  # (R, 2)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else None
    mean = float(totals[:, 0].sum() / totals[:, 1].sum())
    return Mean(mean, deviation, float(low), float(high), sum(map(len, runs)))


def chosen(utterances: Iterable[Mapping[str, Any]], which: str) -> list[Mapping[str, Any]]:
    """The utterances that count: `right`, of which the words carry the cue and the model is right, or `all`."""
    return [one for one in utterances if which == "all" or (one["right"] and one["own_cue"])]


def places_summary(
    runs: Sequence[Mapping[str, Any]],
    kind: str,
    which: str,
    keeps: Callable[[Mapping[str, Any]], bool] = lambda one: True,
) -> dict[str, dict[str, Mean]]:
    """Of one kind of places, `hit` and `auc` by method, and of `chance` the share of salient places as both.

    Args:
        runs: Of `measure_checkpoint`.
        kind: Of `KINDS`.
        which: See `chosen`.
        keeps: Which of these utterances count.
    """
    found = [
        [
            (one["id"], one["places"][kind])
            for one in chosen(run["utterances"], which)
            if kind in one["places"] and keeps(one)
        ]
        for run in runs
    ]
    methods = sorted({name for run in found for _, places in run for name in places} - {"chance", "salient"})
    summary: dict[str, dict[str, Mean]] = {}
    for method in methods:
        for score in ("hit", "auc"):
            mean = mean_of_runs([[(name, one[method][score]) for name, one in run if method in one] for run in found])
            if mean is not None:
                summary.setdefault(method, {})[score] = mean
    chance = mean_of_runs([[(name, one["chance"]) for name, one in run] for run in found])
    return {**summary, "chance": {"hit": chance}} if chance is not None else {}


def stretches(salient: Sequence[int]) -> int:
    """How many runs of neighbours are salient."""
    return sum(after > before for before, after in pairwise([0, *salient]))


def modalities_summary(
    runs: Sequence[Mapping[str, Any]], method: str, which: str, pair: frozenset[str] | None = None
) -> Mean | None:
    """How often the modality that speaks for a class has the larger value than one that does not.

    Args:
        runs: Of `measure_checkpoint`.
        method: Of `OF_MODALITIES`, or integrated gradients.
        which: `predicted`, of the class that the model predicts, or `others`.
        pair: Of which two modalities; of any two if not given.
    """
    return mean_of_runs([
        [
            (one["id"], value)
            for one in run["utterances"]
            for first, second, value in one["modalities"].get(method, {}).get(which, [])
            if pair is None or {first, second} == pair
        ]
        for run in runs
    ])  # fmt: skip


def seconds_summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean processor time of every method, seconds an utterance."""
    spent: dict[str, list[float]] = {}
    for one in (one for run in runs for one in run["utterances"]):
        for method, seconds in one["seconds"].items():
            spent.setdefault(method, []).append(seconds)
    return {method: float(np.mean(seconds)) for method, seconds in spent.items()}


def removal_summary(run: Mapping[str, Any], kind: str) -> dict[str, dict[str, Mean]]:
    """Of one kind of places, `comprehensiveness` and `sufficiency` by method.

    Args:
        run: Of `measure_removal`.
        kind: Of `KINDS`.
    """
    found = [(one["id"], one["places"][kind]) for one in run["utterances"] if kind in one["places"]]
    summary: dict[str, dict[str, Mean]] = {}
    for method in {name for _, places in found for name in places}:
        for score in ("comprehensiveness", "sufficiency"):
            mean = mean_of_runs([[(name, places[method][score]) for name, places in found if method in places]])
            if mean is not None:
                summary.setdefault(method, {})[score] = mean
    return summary
