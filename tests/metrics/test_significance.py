"""Intervals and tests against hand-computed values, scipy, and simulations whose truth is known."""

import json

import numpy as np
import pytest
from scipy import stats

from hf_mer.metrics.scores import emotion_scores
from hf_mer.metrics.significance import holm, mcnemar, mean_interval, paired_bootstrap, paired_difference


def test_interval_by_hand():
    found = mean_interval([0.5, 0.7, 0.9])
    # s = 0.2, t(0.975, 2) = 4.302653
    margin = 4.302653 * 0.2 / np.sqrt(3)
    assert found == pytest.approx((0.7, 0.2, 0.7 - margin, 0.7 + margin, 3))
    wide = mean_interval([0.5, 0.7, 0.9], test_share=0.2)
    assert wide.high - wide.mean == pytest.approx(4.302653 * 0.2 * np.sqrt(1 / 3 + 1 / 4))
    assert mean_interval([0.5, 0.7, 0.9], confidence=0.8).high == pytest.approx(0.7 + 1.885618 * 0.2 / np.sqrt(3))


def test_interval_is_scipys():
    values = np.random.default_rng(0).normal(size=9)
    low, high = stats.t.interval(0.95, 8, values.mean(), stats.sem(values))
    assert mean_interval(values)[2:4] == pytest.approx((low, high))


def test_units_that_cannot_tell():
    assert mean_interval([0.5]) == (0.5, None, None, None, 1)
    # a baseline without chance, run with three seeds, in binary fractions and in rounded ones
    assert mean_interval([0.1 + 0.2, 0.3, 0.3]) == (pytest.approx(0.3), 0.0, None, None, 3)
    one = paired_difference([0.6], [0.5])
    assert (one.difference, one.n) == (pytest.approx(0.1), 1)
    assert (one.deviation, one.low, one.high, one.p_value, one.p_sign_flip) == (None,) * 5
    same = paired_difference([0.6, 0.7], [0.5, 0.6])
    assert (same.low, same.p_value, same.p_sign_flip) == (None, None, 0.5)
    json.dumps([one, same])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), r"at least one, got an array of shape \(0,\)"),
        (([[0.1]],), r"one number per unit"),
        (([0.1, float("nan")],), "values must be finite, unit 1 is not"),
        (([0.1, 0.2], 95), "confidence must lie between 0 and 1, got 95"),
        (([0.1], 95), "confidence"),
        (([0.1, 0.2], 0.95, 1), "test_share must lie between 0 and 1, got 1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(*arguments)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="2 scores of a but 1 of b"):
        paired_difference([0.1, 0.2], [0.1])


def test_paired_difference_is_scipys_paired_t_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.6, 0.1, 8), rng.normal(0.5, 0.1, 8)
    found, reference = paired_difference(a, b), stats.ttest_rel(a, b)
    assert found.p_value == pytest.approx(reference.pvalue)
    assert found[2:4] == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert found.difference == pytest.approx((a - b).mean())
    assert paired_difference(b, a).difference == -found.difference


def test_corrected_test_by_hand():
    found = paired_difference([0.62, 0.65, 0.61], [0.60, 0.61, 0.61], test_share=0.25)
    # differences 0.02, 0.04, 0: mean 0.02, s 0.02; 0.25 / 0.75 = 1 / 3
    error = 0.02 * np.sqrt(1 / 3 + 1 / 3)
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.02 / error, 2))
    assert found.low == pytest.approx(0.02 - 4.302653 * error)


def test_sign_flips_by_hand():
    # of 8 choices of signs of 1, 2, 3 two reach |sum| 6
    assert paired_difference([1, 2, 3], [0, 0, 0]).p_sign_flip == pytest.approx(2 / 8)
    # 1 + 2 - 3 = 0: every choice does
    assert paired_difference([1, 2, 0], [0, 0, 3]).p_sign_flip == 1
    # 1 - 2 + 4 = 3: |sums| are 7, 5, 3, 1, each twice
    assert paired_difference([1, 0, 4], [0, 2, 0]).p_sign_flip == pytest.approx(6 / 8)
    assert paired_difference(np.arange(12) + 1.0, np.zeros(12)).p_sign_flip == pytest.approx(2 / 2**12)
    assert paired_difference(np.arange(13) + 1.0, np.zeros(13)).p_sign_flip is None


def coverage(draw, test_share=None, simulations=800):
    """Share of the intervals that hold the true difference, 0.03."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(simulations):
        differences = 0.03 + draw(rng)
        interval = mean_interval(differences, test_share=test_share)
        held += interval.low <= 0.03 <= interval.high
    return held / simulations


def test_intervals_hold_the_truth_as_often_as_they_say():
    assert coverage(lambda rng: rng.normal(0, 0.02, 5)) == pytest.approx(0.95, abs=0.02)


def test_folds_that_share_training_rows_need_the_correction():
    # what all folds of a corpus have in common makes a fifth of the variance
    def folds(rng):
        return rng.normal(0, np.sqrt(0.2)) + rng.normal(0, np.sqrt(0.8), 5)

    assert coverage(folds) < 0.88
    assert coverage(folds, test_share=0.2) == pytest.approx(0.95, abs=0.02)


def test_false_alarms_of_the_paired_test():
    rng = np.random.default_rng(6)
    alarms, flips = 0, 0
    for _ in range(500):
        fold = rng.normal(0.6, 0.1, 6)  # shared by both systems, and much larger than what seeds do
        found = paired_difference(fold + rng.normal(0, 0.02, 6), fold + rng.normal(0, 0.02, 6))
        alarms, flips = alarms + (found.p_value < 0.05), flips + (found.p_sign_flip < 0.05)
    assert alarms / 500 == pytest.approx(0.05, abs=0.025)
    assert 0.005 < flips / 500 < 0.06


def predictions(rng, labels, share):
    """Right for that share of the utterances, else any class."""
    return np.where(rng.random(len(labels)) < share, labels, rng.integers(0, 4, len(labels)))


@pytest.mark.parametrize("clustered", [False, True])
def test_bootstrap_equals_the_obvious_loop(clustered):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 200)
    a, b = predictions(rng, labels, 0.6), predictions(rng, labels, 0.5)
    units = np.arange(200) // 5 if clustered else np.arange(200)
    found = paired_bootstrap(labels, a, b, 4, groups=units if clustered else None, num_resamples=4000)
    rows_of, drawn = [np.flatnonzero(units == unit) for unit in np.unique(units)], []
    for _ in range(300):
        rows = np.concatenate([rows_of[i] for i in rng.integers(0, len(rows_of), len(rows_of))])
        first, second = (emotion_scores(labels[rows], given[rows], 4) for given in (a, b))
        drawn.append([first[name] - second[name] for name in ("wa", "ua", "wf1")])
    expected = np.quantile(drawn, [0.025, 0.975], axis=0).T
    whole = {name: emotion_scores(labels, a, 4)[name] - emotion_scores(labels, b, 4)[name] for name in found}
    for (name, difference), (low, high) in zip(found.items(), expected, strict=True):
        assert difference.difference == pytest.approx(whole[name])
        assert difference[1:3] == pytest.approx((low, high), abs=0.025)


def test_groups_widen_the_interval_where_utterances_are_copies():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 150)
    a, b = predictions(rng, labels, 0.6), predictions(rng, labels, 0.5)
    once = paired_bootstrap(labels, a, b, 4, num_resamples=2000)["wa"]
    copies = [np.repeat(values, 4) for values in (labels, a, b)]
    naive = paired_bootstrap(*copies, 4, num_resamples=2000)["wa"]
    grouped = paired_bootstrap(*copies, 4, groups=[f"u{i}" for i in np.repeat(np.arange(150), 4)], num_resamples=2000)
    assert naive.high - naive.low < 0.6 * (once.high - once.low)
    assert grouped["wa"].high - grouped["wa"].low == pytest.approx(once.high - once.low, rel=0.1)
    assert grouped["wa"].difference == once.difference


def test_false_alarms_and_power_of_the_bootstrap():
    rng = np.random.default_rng(4)
    alarms = np.zeros(2)
    for _ in range(200):
        labels = rng.integers(0, 4, 300)
        a = predictions(rng, labels, 0.5)
        for i, share in enumerate((0.5, 0.7)):
            found = paired_bootstrap(labels, predictions(rng, labels, share), a, 4, num_resamples=400)["ua"]
            alarms[i] += found.low > 0 or found.high < 0
    assert alarms[0] / 200 == pytest.approx(0.05, abs=0.04)
    assert alarms[1] / 200 > 0.9


def test_p_value_of_the_bootstrap():
    labels = np.zeros(20, dtype=int)
    better = paired_bootstrap(labels, labels, labels + 1, 2, num_resamples=999)["wa"]
    assert better == (1.0, 1.0, 1.0, pytest.approx(2 / 1000))
    assert paired_bootstrap(labels, labels, labels, 2)["wa"] == (0.0, 0.0, 0.0, 1.0)


def test_bootstrap_refuses():
    with pytest.raises(ValueError, match=r"predictions \[4\]"):
        paired_bootstrap([0, 1], [0, 1], [0, 4], 4)
    with pytest.raises(ValueError, match="3 groups for 2 utterances"):
        paired_bootstrap([0, 1], [0, 1], [0, 1], 4, groups=["a", "b", "c"])
    with pytest.raises(ValueError, match="at least two groups, got only 'a'"):
        paired_bootstrap([0, 1], [0, 1], [0, 1], 4, groups=["a", "a"])
    with pytest.raises(ValueError, match="num_resamples must be at least 1, got 0"):
        paired_bootstrap([0, 1], [0, 1], [0, 1], 4, num_resamples=0)
    with pytest.raises(ValueError, match="confidence"):
        paired_bootstrap([0, 1], [0, 1], [0, 1], 4, confidence=2)


def test_mcnemar_by_hand():
    labels = [0] * 10
    #  a alone is right on 5, b alone on 1, both on 3, none on 1
    a = [0] * 5 + [1] + [0] * 3 + [1]
    b = [1] * 5 + [0] + [0] * 3 + [1]
    # 2 * (1 + 6) / 2^6
    assert mcnemar(labels, a, b, 2) == (5, 1, pytest.approx(14 / 64))
    assert mcnemar(labels, b, a, 2) == (1, 5, pytest.approx(14 / 64))
    assert mcnemar(labels, a, a, 2) == (0, 0, 1.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.01, None, 0.2]) == [0.02, None, 0.2]
    assert holm([]) == []
    with pytest.raises(ValueError, match=r"number 1 is 1\.5"):
        holm([0.1, 1.5])
