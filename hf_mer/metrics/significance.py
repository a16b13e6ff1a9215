"""How sure a mean is, and whether one system is better than another.

Two questions are kept apart. *Would it be so with other seeds and other folds?* is answered by the runs: their scores
are the units of a t interval ([`mean_interval`], [`paired_difference`]). *Would it be so with other utterances?* is
answered by the predictions: utterances, or whole dialogues, are the units of a bootstrap ([`paired_bootstrap`]) and
of McNemar's test ([`mcnemar`]). Whoever checks several claims at once corrects their p values with [`holm`].

Folds of one cross-validation are not independent: their training parts share most of their rows, so that the plain t
interval is too narrow. Given the test share, the variance of the mean is corrected as Nadeau and Bengio propose.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from hf_mer.metrics.scores import SCORE_NAMES, ClassIds, check_confidence, checked_ids, resample, scores_of_confusions

# With so many units or fewer all 2^n changes of sign are gone through; with more the t test needs no support.
FEW_UNITS = 12


class MeanInterval(NamedTuple):
    """A mean and how sure it is.

    Attributes:
        mean: Of the units.
        deviation: Standard deviation of the sample (`n - 1`); `None` for a single unit.
        low: Lower end of the interval; `None` where units cannot tell, see [`mean_interval`].
        high: Upper end.
        n: Number of units.
    """

    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    n: int


class PairedDifference(NamedTuple):
    """The difference of two systems over the same units.

    Attributes:
        difference: Mean of `a - b`.
        deviation: Standard deviation of the differences; `None` for a single unit.
        low: Lower end of the interval; `None` where units cannot tell, see [`mean_interval`].
        high: Upper end.
        p_value: Two-sided, of the (corrected) paired t test; `None` where there is no interval.
        p_sign_flip: Two-sided, of the exact test that changes signs; `None` with more than `FEW_UNITS` units, or one.
        n: Number of units.
    """

    difference: float
    deviation: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_sign_flip: float | None
    n: int


class BootstrapDifference(NamedTuple):
    """The difference of two systems over resampled utterances: of all, its interval, and a two-sided p value."""

    difference: float
    low: float
    high: float
    p_value: float


class McNemar(NamedTuple):
    """Utterances that only one of two systems recognises, and the exact two-sided p value."""

    only_a: int
    only_b: int
    p_value: float


def mean_interval(
    values: Sequence[float] | np.ndarray, confidence: float = 0.95, test_share: float | None = None
) -> MeanInterval:
    """Interval of a mean over units, by Student's t: runs with different seeds, folds, or speakers.

    `mean ± t_(n-1) * s * sqrt(1 / n)` for independent units. For the folds of one cross-validation (or repeated
    splits of one corpus) `1 / n` becomes `1 / n + r / (1 - r)`, where `r` is the test share: as training parts
    overlap, more folds do not make the mean ever surer. All rows that are not tested count as trained on, those that
    choose an epoch or a setting too: the model is made of them.

    Source: Nadeau and Bengio, *Inference for the generalization error*, Machine Learning 52, 2003, section 4, where
    `r / (1 - r)` is `n2 / n1`, tested rows over those that the model is made of. They derive it for random splits; for
    cross-validation it is the usual approximation.

    Args:
        values: One number a unit. Shape `(n,)`.
        confidence: Between 0 and 1.
        test_share: Utterances tested / all utterances of a fold (0.2 for five folds); `None` for independent units.

    Returns:
        Mean, deviation and interval. A single unit has no deviation and no interval; neither have units that are all
        equal (systems without chance, run with several seeds), since they say nothing of how the mean may vary.

    Raises:
        ValueError: If there are no units, one is not finite, or `confidence` or `test_share` make no sense.
    """
    units = _units(values, "values")
    check_confidence(confidence)
    mean, deviation, error = _mean_and_error(units, test_share)
    margin = float(stats.t.ppf(0.5 + confidence / 2, len(units) - 1)) * error if error else None
    return MeanInterval(
        mean,
        deviation,
        None if margin is None else mean - margin,
        None if margin is None else mean + margin,
        len(units),
    )


def paired_difference(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    confidence: float = 0.95,
    test_share: float | None = None,
) -> PairedDifference:
    """Mean difference of two systems over the same units, with t interval and p values.

    The units are differences `a - b` of the same seed and fold, so that what seed and fold do to both systems drops
    out. With `test_share` this is the corrected resampled t test (see [`mean_interval`]), without it the paired t
    test. `p_sign_flip` makes no assumption but that differences are symmetrical and independent: the share of all
    `2^n` choices of signs whose mean is at least as far from 0. It cannot fall under `2 / 2^n` (0.0625 for 5 units).

    Args:
        a: Scores of a system. Shape `(n,)`.
        b: Scores of the other, unit by unit the same seed and fold. Shape `(n,)`.
        confidence: Between 0 and 1.
        test_share: As for [`mean_interval`].

    Raises:
        ValueError: As [`mean_interval`], or if there is not one score of each system a unit.
    """
    first, second = _units(a, "a"), _units(b, "b")
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores of a but {len(second)} of b; give one of each per unit")
    differences = first - second
    interval = mean_interval(differences, confidence, test_share)
    _, _, error = _mean_and_error(differences, test_share)
    p_value = float(2 * stats.t.sf(abs(interval.mean) / error, len(first) - 1)) if error else None
    return PairedDifference(*interval[:4], p_value, _sign_flips(differences), len(first))


def paired_bootstrap(
    labels: ClassIds,
    predictions_a: ClassIds,
    predictions_b: ClassIds,
    num_labels: int,
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, BootstrapDifference]:
    """Difference of two systems in WA, UA and WF1 over resampled utterances.

    Utterances are drawn with replacement, each with what both systems say of it, and both are scored. The interval
    holds the middle of the differences; `p = 2 * min(#{d <= 0} + 1, #{d >= 0} + 1) / (R + 1)`, at most 1.
    Utterances of one dialogue resemble each other, and predictions for the same utterance by several seeds all the
    more: with `groups`, whole groups are drawn.

    Source: Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 13 and 16; the ones that are
    added: Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 4.2.

    Args:
        labels: True classes. Shape `(N,)`.
        predictions_a: Of a system. Shape `(N,)`.
        predictions_b: Of the other. Shape `(N,)`.
        num_labels: Number of classes.
        groups: Group of each utterance, such as its dialogue or speaker. Length `N`.
        confidence: Share of the resamples that the interval holds, between 0 and 1.
        num_resamples: Number of resamples `R`.
        seed: Seed of the draws.

    Returns:
        By score name the difference `a - b` over all utterances, its interval and p value.

    Raises:
        ValueError: If an id is not a class, lengths differ, groups are fewer than two, or `confidence` or
            `num_resamples` make no sense.
    """
    cells = _joint_cells(labels, predictions_a, predictions_b, num_labels)
    check_confidence(confidence)
    measured = _differences(np.bincount(cells, minlength=num_labels**3)[None], num_labels)
    drawn = _differences(resample(cells, num_labels**3, groups, num_resamples, seed), num_labels)
    tail = (1 - confidence) / 2
    result = {}
    for name in SCORE_NAMES:
        low, high = np.quantile(drawn[name], [tail, 1 - tail])
        rarer = min((drawn[name] <= 0).sum(), (drawn[name] >= 0).sum())
        p_value = min(1.0, 2 * (int(rarer) + 1) / (num_resamples + 1))
        result[name] = BootstrapDifference(float(measured[name][0]), float(low), float(high), p_value)
    return result


def mcnemar(labels: ClassIds, predictions_a: ClassIds, predictions_b: ClassIds, num_labels: int) -> McNemar:
    """McNemar's exact test of whether two systems recognise equally many utterances (WA).

    Of the utterances that exactly one system recognises, either is right on half of them if they are equally good:
    a two-sided binomial test. Utterances are taken as independent, so each may occur only once.

    Source: McNemar, *Note on the sampling error of the difference between correlated proportions or percentages*,
    Psychometrika 12(2), 1947, in its exact form.

    Args:
        labels: True classes. Shape `(N,)`.
        predictions_a: Of a system. Shape `(N,)`.
        predictions_b: Of the other. Shape `(N,)`.
        num_labels: Number of classes.

    Raises:
        ValueError: If an id is not a class or lengths differ.
    """
    labels, predictions_a = checked_ids(labels, predictions_a, num_labels)
    labels, predictions_b = checked_ids(labels, predictions_b, num_labels)
    right_a, right_b = labels == predictions_a, labels == predictions_b
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p_value = float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, p_value)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrects p values for there being several of them: any false alarm is as rare as one test promises.

    The `i`-th smallest of `m` (from 0) becomes `max_(j <= i) min(1, (m - j) * p_j)`.

    Source: Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6(2),
    1979.

    Args:
        p_values: Of the tests; `None` for one that could not be made, which does not count.

    Returns:
        In the same order, `None` where there was none.

    Raises:
        ValueError: If a value is not between 0 and 1.
    """
    made = [(p, index) for index, p in enumerate(p_values) if p is not None]
    for p, index in made:
        if not 0 <= p <= 1:
            raise ValueError(f"p values lie between 0 and 1, number {index} is {p!r}")
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(sorted(made)):
        largest = max(largest, min(1.0, (len(made) - rank) * p))
        corrected[index] = largest
    return corrected


def _units(values: Sequence[float] | np.ndarray, name: str) -> np.ndarray:
    units = np.asarray(values, dtype=np.float64)
    if units.ndim != 1 or not units.size:
        raise ValueError(f"{name} must be one number per unit and at least one, got an array of shape {units.shape}")
    if not np.isfinite(units).all():
        raise ValueError(f"{name} must be finite, unit {int(np.flatnonzero(~np.isfinite(units))[0])} is not")
    return units


def _mean_and_error(units: np.ndarray, test_share: float | None) -> tuple[float, float | None, float | None]:
    """Mean, deviation, and standard error of the mean; no error where units cannot tell."""
    if test_share is not None and not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1, got {test_share!r}")
    mean = float(units.mean())
    if len(units) < 2:
        return mean, None, None
    deviation = float(units.std(ddof=1))
    if deviation <= 1e-12 * max(1.0, float(np.abs(units).max())):  # equal up to rounding
        return mean, 0.0, None
    overlap = 0.0 if test_share is None else test_share / (1 - test_share)
    return mean, deviation, deviation * float(np.sqrt(1 / len(units) + overlap))


def _sign_flips(differences: np.ndarray) -> float | None:
    if not 2 <= len(differences) <= FEW_UNITS:
        return None
    test = stats.permutation_test(
        (differences,),
        lambda units, axis: units.mean(axis=axis),
        permutation_type="samples",  # of one sample: every choice of signs
        vectorized=True,
        n_resamples=np.inf,
    )
    return float(min(1.0, test.pvalue))


def _joint_cells(labels: ClassIds, predictions_a: ClassIds, predictions_b: ClassIds, num_labels: int) -> np.ndarray:
    """What is true and what both systems say as one number, `(label * C + a) * C + b`. Shape `(N,)`."""
    labels, predictions_a = checked_ids(labels, predictions_a, num_labels)
    labels, predictions_b = checked_ids(labels, predictions_b, num_labels)
    return (labels * num_labels + predictions_a) * num_labels + predictions_b


def _differences(counts: np.ndarray, num_labels: int) -> dict[str, np.ndarray]:
    """Differences of the scores, each `(R,)`, from joint counts `(R, C * C * C)`."""
    joint = counts.reshape(len(counts), num_labels, num_labels, num_labels)
    a, b = scores_of_confusions(joint.sum(axis=3)), scores_of_confusions(joint.sum(axis=2))
    return {name: a[name] - b[name] for name in SCORE_NAMES}
