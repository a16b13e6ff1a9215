"""Calibration error by hand and by a slow loop, and temperatures where the right one is known."""

import numpy as np
import pytest
from scipy.special import softmax

from hf_mer.metrics.calibration import (
    TEMPERATURE_BOUNDS,
    calibration_scores,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_bins,
    threshold_of_coverage,
)


def logits_of(*probabilities):
    return np.log(np.array(probabilities))


def drawn(temperature, size=4000, classes=4, seed=0):
    """Logits, and labels that are drawn from their softmax at a temperature: the one to be found."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(size, classes))
    chances = softmax(logits / temperature, axis=1).cumsum(axis=1)
    return (rng.random((size, 1)) > chances).sum(axis=1).clip(max=classes - 1), logits


def test_error_by_hand():
    logits = logits_of([0.9, 0.1], [0.92, 0.08], [0.6, 0.4], [0.3, 0.7])
    # bins of a fifth: 0.9 and 0.92 in the last (one of two right), 0.6 in the third, 0.7 in the fourth
    expected = (2 * abs(0.5 - 0.91) + 1 * abs(1 - 0.6) + 1 * abs(0 - 0.7)) / 4
    assert expected_calibration_error([0, 1, 0, 0], logits, num_bins=5) == pytest.approx(expected)
    bins = reliability_bins([0, 1, 0, 0], logits, num_bins=5)
    assert bins["counts"] == [0, 0, 1, 1, 2]
    assert bins["confidence"] == pytest.approx([0, 0, 0.6, 0.7, 0.91])
    assert bins["accuracy"] == pytest.approx([0, 0, 1, 0, 0.5])


def test_error_as_a_slow_loop_gives_it():
    labels, logits = drawn(2.0, size=300)
    probabilities = softmax(logits, axis=1)
    total = 0.0
    for index in range(15):
        low, high = index / 15, (index + 1) / 15
        members = [i for i, row in enumerate(probabilities) if low < row.max() <= high]
        if members:
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in members])
            total += len(members) / 300 * abs(accuracy - np.mean([probabilities[i].max() for i in members]))
    assert expected_calibration_error(labels, logits) == pytest.approx(total)


def test_likelihood_by_hand():
    assert negative_log_likelihood([0, 1], logits_of([0.5, 0.5], [0.75, 0.25])) == pytest.approx(
        (np.log(2) + np.log(4)) / 2
    )


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    labels, logits = drawn(temperature)
    found = fit_temperature(labels, logits)
    assert found == pytest.approx(temperature, rel=0.08)
    best = negative_log_likelihood(labels, logits / found)
    for other in (0.97 * found, 1.03 * found):
        assert negative_log_likelihood(labels, logits / other) > best


def test_scaling_mends_the_error_and_keeps_the_ranking():
    labels, logits = drawn(3.0)
    found = fit_temperature(labels, logits)
    scores = calibration_scores(labels, logits, np.full(len(labels), found))
    assert scores["ece"] > 0.2
    assert scores["ece_calibrated"] < 0.03
    assert scores["nll_calibrated"] < scores["nll"]
    assert scores["utterances"] == 4000
    assert (logits.argmax(axis=1) == (logits / found).argmax(axis=1)).all()


@pytest.mark.parametrize(("coverage", "labelled"), [(1.0, 4000), (0.9, 3600), (0.5, 2000)])
def test_a_threshold_leaves_a_label_to_a_share(coverage, labelled):
    _, logits = drawn(3.0)
    best = softmax(logits / 2.5, axis=1).max(axis=1)
    threshold = threshold_of_coverage(logits, 2.5, coverage)
    assert (best >= threshold).sum() == labelled
    assert threshold in best


@pytest.mark.parametrize(("rows", "labelled"), [(1, 1), (9, 9), (10, 9), (11, 10), (20, 18), (100, 90)])
def test_no_threshold_is_lower_than_it_must_be(rows, labelled):
    logits = np.stack([np.linspace(0, 4, rows), np.zeros(rows)], axis=1)
    best = softmax(logits, axis=1).max(axis=1)
    assert (best >= threshold_of_coverage(logits, 1.0, 0.9)).sum() == labelled


def test_where_nothing_can_be_fitted_logits_stay_as_they_are():
    assert fit_temperature([0, 1], np.array([[2.0, 1.0], [-1.0, 0.0]])) == 1.0  # all recognised
    assert fit_temperature([0, 1], np.zeros((2, 2))) == 1.0  # nothing said
    assert fit_temperature([0, 0], np.zeros((2, 1))) == 1.0  # one class
    wrong = fit_temperature([1, 0], np.array([[2.0, 1.0], [-1.0, 0.0]]))  # worse than chance: all as likely
    assert wrong == pytest.approx(TEMPERATURE_BOUNDS[1], rel=1e-3)
    huge = fit_temperature([0, 1, 1], np.array([[1e6, 0.0], [0.0, 1e6], [1e6, 0.0]]))  # no overflow
    assert np.isfinite(huge)
    assert huge <= TEMPERATURE_BOUNDS[1]


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([], np.zeros((0, 2)), "at least one row"),
        ([0, 2], np.zeros((2, 2)), "labels .* are not class ids"),
        ([0, 1], np.array([[0.0, np.nan], [1.0, 0.0]]), "1 of 2 utterances are not finite, such as row 0"),
        ([0], np.zeros((2, 2)), "1 labels but 2 predictions"),
        ([0], np.zeros(2), "shape"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, logits, message):
    for function in (fit_temperature, expected_calibration_error, negative_log_likelihood):
        with pytest.raises(ValueError, match=message):
            function(labels, logits)
