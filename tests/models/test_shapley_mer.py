"""Shapley values against their definition: the mean over all orders of what a player adds."""

import itertools
import math

import numpy as np
import pytest

from hf_mer.models.shapley_mer import (
    _balanced_orders,
    all_coalitions,
    coalition_weights,
    exact_shapley,
    fewest_coalitions,
    shapley_values,
)


def random_outcomes(num_players, seed=0):
    return np.random.default_rng(seed).normal(size=2**num_players)


def by_all_orders(outcomes):
    """The definition, slowly."""
    num_players = int(math.log2(len(outcomes)))
    values = np.zeros(num_players)
    for order in itertools.permutations(range(num_players)):
        coalition = 0
        for player in order:
            values[player] += outcomes[coalition + 2**player] - outcomes[coalition]
            coalition += 2**player
    return values / math.factorial(num_players)


def game_of(outcomes, asked=None):
    num_players = int(math.log2(len(outcomes)))

    def game(coalitions):
        if asked is not None:
            asked.append(coalitions)
        return outcomes[coalitions @ 2 ** np.arange(num_players)]

    return game


@pytest.mark.parametrize("num_players", [1, 2, 3, 4])
def test_exact_values_are_the_mean_over_all_orders(num_players):
    outcomes = random_outcomes(num_players)
    values = exact_shapley(outcomes)
    assert values == pytest.approx(by_all_orders(outcomes))
    assert values.sum() == pytest.approx(outcomes[-1] - outcomes[0])


def test_coalitions_and_their_weights():
    assert all_coalitions(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
    assert coalition_weights(3) == pytest.approx([1 / 3, 1 / 6, 1 / 3])
    assert [fewest_coalitions(places) for places in (2, 3, 4, 9)] == [2, 6, 12, 32]
    assert [fewest_coalitions(places, 1) for places in (2, 3, 4, 9)] == [2, 4, 6, 16]


def test_few_places_are_exact():
    outcomes = random_outcomes(5)
    found = shapley_values(game_of(outcomes), 5, outcomes[0], outcomes[-1], budget=30)
    assert found.values == pytest.approx(by_all_orders(outcomes))
    assert found.errors.tolist() == [0] * 5
    assert found.coalitions == 30


@pytest.mark.parametrize("budget", [4 * 5, 40, 60])
def test_sampled_values(budget):
    """They add up whatever is drawn, lie within their errors of the exact ones, and come again."""
    outcomes, asked = random_outcomes(6), []
    found = shapley_values(game_of(outcomes, asked), 6, outcomes[0], outcomes[-1], budget)
    assert found.values.sum() == pytest.approx(outcomes[-1] - outcomes[0])
    assert found.coalitions == sum(map(len, asked)) <= budget
    sizes = asked[0].sum(axis=1)
    assert sizes.min() > 0
    assert sizes.max() < 6
    again = shapley_values(game_of(outcomes), 6, outcomes[0], outcomes[-1], budget)
    assert (again.values == found.values).all()
    other = shapley_values(game_of(outcomes), 6, outcomes[0], outcomes[-1], budget, seed=1)
    assert (other.values != found.values).any()


def test_standard_errors():
    """Over many seeds the deviation from the exact values is what the errors say, or, for the orders' turns, less."""
    outcomes = random_outcomes(7)
    exact = exact_shapley(outcomes)
    runs = [shapley_values(game_of(outcomes), 7, outcomes[0], outcomes[-1], 120, seed) for seed in range(200)]
    deviations = np.stack([run.values - exact for run in runs])
    assert np.abs(deviations.mean(axis=0)).max() < 0.1
    told = np.mean([run.errors**2 for run in runs], axis=0)
    assert 0.95 < told.mean() / deviations.var(axis=0).mean() < 1.3
    assert np.sqrt(told) == pytest.approx(deviations.std(axis=0), rel=0.3)  # drawn towards those of other places


@pytest.mark.parametrize(("pairs", "least"), [(1, 1), (2, 2), (3, 2)])
def test_few_orders_that_agree_by_luck_do_not_make_an_error_small(pairs, least):
    """About 95 % of values lie within two errors; by a place's own draws alone 65 % for two pairs."""
    outcomes = random_outcomes(7)
    exact, within = exact_shapley(outcomes), []
    for seed in range(200):
        found = shapley_values(game_of(outcomes), 7, outcomes[0], outcomes[-1], 12 * pairs, seed, least)
        within.append(np.abs(found.values - exact) < 2 * found.errors)
    assert 0.85 < np.mean(within) < 0.999


def test_opposite_orders_cancel():
    """Where every pair of players shares its evidence, one order favours the first; with its opposite all is even."""
    places = 9

    def saturating(coalitions):
        return 1.0 * coalitions.sum(axis=1) - 0.05 * coalitions.sum(axis=1) ** 2

    found = shapley_values(saturating, places, 0.0, places - 0.05 * places**2, budget=40)
    assert found.values == pytest.approx(1 - 0.05 * places)
    assert found.errors == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("pairs", [4, 8])
def test_places_take_turns_at_being_first(pairs):
    """Where any place does what all of them do, the first one gets everything."""
    found = shapley_values(lambda coalitions: np.ones(len(coalitions)), 8, 0.0, 1.0, budget=14 * pairs)
    assert found.values == pytest.approx(1 / 8)


def test_turns_make_no_place_first_more_often():
    """Also where the places are odd in number, so that a place may meet itself."""
    orders = np.concatenate([_balanced_orders(7, 3, np.random.default_rng(seed)) for seed in range(300)])
    assert (np.sort(orders, axis=1) == np.arange(3)).all()
    counts = [(orders == order).all(axis=1).sum() for order in itertools.permutations(range(3))]
    assert np.array(counts) == pytest.approx(len(orders) / 6, rel=0.12)


def test_a_dummy_gets_nothing_and_equals_get_the_same():
    def game(coalitions):
        first, second = coalitions[:, 1], coalitions[:, 3]
        return 2.0 * (first | second) + 0.5 * coalitions[:, 4]

    found = shapley_values(game, 5, 0.0, 2.5, budget=30)
    assert found.values == pytest.approx([0, 1, 0, 1, 0.5])


def test_one_place_has_everything():
    found = shapley_values(lambda coalitions: pytest.fail("nothing to ask"), 1, 0.5, 2.0, budget=0)
    assert found.values.tolist() == [1.5]
    assert found.errors.tolist() == [0]


def test_a_budget_that_is_too_small():
    with pytest.raises(ValueError, match=r"^budget=31 is too small: 9 places need at least 32 coalitions$"):
        shapley_values(lambda coalitions: np.zeros(len(coalitions)), 9, 0.0, 1.0, budget=31)
