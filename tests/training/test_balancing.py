"""Weights of skewed classes, and rows that are drawn so that every class comes equally often."""

from collections import Counter

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from hf_mer.training.balancing import BalancedSampler, balanced_class_weights, class_shares

NAMES = ["angry", "happy", "sad"]
LABELS = [0] * 20 + [1] * 3 + [2] * 8


def make_sampler(seed=lambda: 1, labels=LABELS, batch_size=4):
    lengths = [(37 * row) % 101 for row in range(len(labels))]
    return BalancedSampler(batch_size, lengths, labels, NAMES, seed)


def test_weights_are_scikit_learns():
    expected = compute_class_weight("balanced", classes=np.arange(3), y=np.array(LABELS))
    assert balanced_class_weights(LABELS, NAMES) == pytest.approx(expected.tolist())
    assert balanced_class_weights([*LABELS, -100, None], NAMES) == pytest.approx(expected.tolist())


def test_shares():
    assert class_shares([*LABELS, -100, None], 3) == pytest.approx([20 / 31, 3 / 31, 8 / 31])
    assert class_shares([0, 0, 2], 3) == pytest.approx([2 / 3.5, 0.5 / 3.5, 1 / 3.5])


@pytest.mark.parametrize("labels", [[0, 0, 2], []])
def test_a_class_without_rows_is_refused(labels):
    with pytest.raises(ValueError, match=r"^class_weights=balanced: no training row has the label .*happy.*, of the"):
        balanced_class_weights(labels, NAMES)


def test_every_class_equally_often_and_its_rows_too():
    sampler = make_sampler()
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 31
    rows, classes = Counter(drawn), Counter(LABELS[row] for row in drawn)
    assert sorted(classes.values()) == [10, 10, 11]
    for place in range(3):
        counts = [rows[row] for row, label in enumerate(LABELS) if label == place]
        assert max(counts) - min(counts) <= 1
    assert max(rows[row] for row in range(20)) == 1  # the frequent class leaves rows out


def test_batches_are_of_like_length():
    labels = LABELS * 20
    sampler = make_sampler(labels=labels)
    drawn = list(sampler)
    spread = [np.ptp([sampler.lengths[row] for row in drawn[start : start + 4]]) for start in range(4, 600, 4)]
    assert np.median(spread) < 5  # of 100


def test_the_seed_alone_says_which_rows():
    seeds = iter([1, 2, 1])
    sampler = make_sampler(seed=lambda: next(seeds))
    first, second, again = list(sampler), list(sampler), list(sampler)
    assert first == again == list(make_sampler())
    assert first != second


def test_rows_without_a_label_are_left_out():
    labels = [*LABELS, None, -100]
    assert max(make_sampler(labels=labels)) < len(LABELS)


def test_a_class_that_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"^train_sampling_strategy=balanced: no training row has the label sad"):
        make_sampler(labels=[0, 1, 1])
