"""The divergence of probabilities and raters' votes."""

import math

import numpy as np
import pytest

from hf_mer.metrics.raters import rater_divergences


def test_by_hand():
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0], [1.0, 0.0], [0.25, 0.75]])
    votes = np.array([[0.5, 0.5], [0.0, 1.0], [0.5, 0.5], [0.75, 0.25]])
    # of the last, m is even: both KL are 0.25 log2(0.5) + 0.75 log2(1.5)
    half = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5 * math.log2(2)) / 2
    last = 0.25 * math.log2(0.5) + 0.75 * math.log2(1.5)
    assert rater_divergences(probabilities, votes) == pytest.approx([0.0, 1.0, half, last])


def test_it_is_symmetric():
    numbers = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 5))
    assert rater_divergences(*numbers) == pytest.approx(rater_divergences(*numbers[::-1]))
