"""How far probabilities can be believed, and the temperature that makes them more believable.

A model is calibrated if of the utterances that it gives a class with 70 % confidence, 70 % have it. Temperature
scaling divides logits by one number before the softmax, so that no ranking and no score but those of this file change.

Source: Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from hf_mer.metrics.scores import ClassIds, checked_ids

NUM_BINS = 15
TEMPERATURE_BOUNDS = (0.01, 20.0)


def fit_temperature(labels: ClassIds, logits: np.ndarray) -> float:
    """The temperature that makes the labels most likely: the minimum of the mean of `-log softmax(logits / T)[label]`.

    The likelihood is log-concave in `1 / T`, so that there is one minimum, which is searched over `log T`. Where there
    is none the logits stay as they are, `T = 1`: if every utterance is recognised ever smaller temperatures would seem
    better, and if all logits of an utterance are equal none is. Logits that are worse than chance have theirs at the
    upper bound, where all classes are as likely.

    Source: Guo et al., section 4.2.

    Args:
        labels: True classes. Shape `(N,)`.
        logits: Shape `(N, C)`.

    Returns:
        Between `TEMPERATURE_BOUNDS`.

    Raises:
        ValueError: If there are no utterances, labels are no classes, or logits are not finite.
    """
    labels, logits = _checked(labels, logits)
    own = logits[np.arange(len(labels)), labels]
    others = np.where(np.arange(logits.shape[1]) == labels[:, None], -np.inf, logits).max(axis=1, initial=-np.inf)
    if (own > others).all() or np.ptp(logits, axis=1).max() == 0:
        return 1.0
    low, high = np.log(TEMPERATURE_BOUNDS)

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(labels, logits / np.exp(log_temperature))

    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), 6)


def negative_log_likelihood(labels: ClassIds, logits: np.ndarray) -> float:
    """Mean of `-log softmax(logits)[label]`, in nats.

    Args:
        labels: True classes. Shape `(N,)`.
        logits: Shape `(N, C)`.

    Raises:
        ValueError: As [`fit_temperature`].
    """
    labels, logits = _checked(labels, logits)
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def expected_calibration_error(labels: ClassIds, logits: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """How far confidence and accuracy lie apart: `sum_b n_b / N * |accuracy_b - confidence_b|` over bins.

    Confidence is the highest probability of an utterance. Bins are of equal width between 0 and 1, and each holds its
    upper edge.

    Source: Guo et al., equation 3, with their 15 bins.

    Args:
        labels: True classes. Shape `(N,)`.
        logits: Shape `(N, C)`.
        num_bins: Number of bins.

    Returns:
        Between 0 (as right as confident) and 1.

    Raises:
        ValueError: As [`fit_temperature`], or if there is no bin.
    """
    bins = reliability_bins(labels, logits, num_bins)
    counts = np.array(bins["counts"])
    gaps = np.abs(np.array(bins["accuracy"]) - np.array(bins["confidence"]))
    return float((counts * gaps).sum() / counts.sum())


def reliability_bins(labels: ClassIds, logits: np.ndarray, num_bins: int = NUM_BINS) -> dict[str, Any]:
    """Utterances by confidence, the numbers behind a reliability diagram.

    Args:
        labels: True classes. Shape `(N,)`.
        logits: Shape `(N, C)`.
        num_bins: Number of bins, of equal width between 0 and 1.

    Returns:
        `counts` (utterances), `confidence` and `accuracy` (means over them, 0 where there are none), lists of
        `num_bins` numbers.

    Raises:
        ValueError: As [`fit_temperature`], or if there is no bin.
    """
    if num_bins < 1:
        raise ValueError(f"num_bins={num_bins} must be at least 1")
    labels, logits = _checked(labels, logits)
    probabilities = softmax(logits, axis=1)  # (N, C)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    places = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    counts = np.bincount(places, minlength=num_bins)
    divisors = np.maximum(counts, 1)
    return {
        "counts": counts.tolist(),
        "confidence": (np.bincount(places, confidence, num_bins) / divisors).tolist(),
        "accuracy": (np.bincount(places, right, num_bins) / divisors).tolist(),
    }


def calibration_scores(
    labels: ClassIds, logits: np.ndarray, temperatures: float | np.ndarray = 1.0
) -> dict[str, float | int]:
    """Calibration error and likelihood before and after scaling.

    Args:
        labels: True classes. Shape `(N,)`.
        logits: Before scaling. Shape `(N, C)`.
        temperatures: Of all utterances, or of each. Shape `(N,)`.

    Returns:
        `utterances`, `ece` and `nll` of the logits, and `ece_calibrated` and `nll_calibrated` of those divided by the
        temperatures.
    """
    scaled = np.asarray(logits, dtype=np.float64) / np.reshape(temperatures, (-1, 1))
    return {
        "utterances": len(scaled),
        "ece": expected_calibration_error(labels, logits),
        "ece_calibrated": expected_calibration_error(labels, scaled),
        "nll": negative_log_likelihood(labels, logits),
        "nll_calibrated": negative_log_likelihood(labels, scaled),
    }


def threshold_of_coverage(logits: np.ndarray, temperature: float, coverage: float) -> float:
    """The highest score that the best class of such a share of utterances reaches: with it as threshold they have one.

    Source: Y. Geifman and R. El-Yaniv, SelectiveNet, ICML 2019, where a threshold is calibrated for a coverage.

    Args:
        logits: Of validation. Shape `(N, C)`.
        temperature: That they are divided by.
        coverage: Share of the utterances, above 0, at most 1.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    best = np.sort(softmax(scaled, axis=1).max(axis=1))
    return float(best[len(best) - math.ceil(coverage * len(best) - 1e-9)])


def _checked(labels: ClassIds, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as int64, logits as finite float64 of as many rows."""
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"logits must have the shape (utterances, classes) and at least one row, not {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ValueError(f"logits of {bad.size} of {len(values)} utterances are not finite, such as row {bad[0]}")
    ids, _ = checked_ids(labels, values.argmax(axis=1), values.shape[1])
    return ids, values
