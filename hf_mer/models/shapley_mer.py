"""Shapley values: what every player of a game adds to its outcome, exactly or from sampled orders.

Source: L. S. Shapley, A value for n-person games (1953); sampling of orders after E. Strumbelj and I. Kononenko,
Explaining prediction models and individual predictions with feature contributions (2014).
"""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np

FEWEST_PAIRS = 2  # of orders: the standard error is that of their mean
_MORE = 4  # draws that the variance over places counts for

Game = Callable[[np.ndarray], np.ndarray]
"""From coalitions, True for every place that takes part, `(N, P)`, to their outcomes `(N,)`."""


class ShapleyValues(NamedTuple):
    """What places add.

    Attributes:
        values: Their sum is the outcome of everything minus that of nothing. Shape `(P,)`.
        errors: Standard errors; 0 where all coalitions were looked at. Shape `(P,)`.
        coalitions: That the game was asked about.
    """

    values: np.ndarray
    errors: np.ndarray
    coalitions: int


def coalition_weights(num_players: int) -> np.ndarray:
    """How much a coalition of the other players counts in the value of one, by its size. Shape `(num_players,)`.

    `w(s) = s! (P - s - 1)! / P!`; over all coalitions of the others it sums to 1.
    """
    return np.array([1 / (num_players * comb(num_players - 1, size)) for size in range(num_players)])


def all_coalitions(num_players: int) -> np.ndarray:
    """Every coalition, in the order of the numbers whose bits are its players. Shape `(2**P, P)`, bool."""
    return (np.arange(2**num_players)[:, None] >> np.arange(num_players) & 1).astype(bool)


def exact_shapley(outcomes: np.ndarray) -> np.ndarray:
    """Shapley values of a game all of whose outcomes are known.

    Args:
        outcomes: Of `all_coalitions`. Shape `(2**P,)`.

    Returns:
        Shape `(P,)`.
    """
    num_players = len(outcomes).bit_length() - 1
    weights = coalition_weights(num_players)
    members = all_coalitions(num_players)
    values = np.zeros(num_players)
    for player in range(num_players):
        without = np.flatnonzero(~members[:, player])
        gains = outcomes[without + 2**player] - outcomes[without]
        values[player] = weights[members[without].sum(axis=1)] @ gains
    return values


def fewest_coalitions(num_places: int, pairs: int = FEWEST_PAIRS) -> int:
    """Coalitions that values from so many pairs of orders need, without those of everything and of nothing."""
    return min(2**num_places - 2, 2 * pairs * (num_places - 1))


def shapley_values(
    game: Game,
    num_places: int,
    nothing: float,
    everything: float,
    budget: int,
    seed: int = 0,
    least_pairs: int = FEWEST_PAIRS,
) -> ShapleyValues:
    """Shapley values of the places of a game.

    Where the budget allows it, all coalitions are looked at, and the values are exact. Else places join one after the
    other in random orders, each followed by the opposite order, in which the same place comes late that came early:
    the errors of such a pair partly cancel. To be first, or last, matters most: where nothing was, even an empty word
    says that there are words. So all places begin and end about as many orders. The standard error is that of the mean
    over pairs, as if they were independent; of a single pair that of two orders: too large rather than too small.

    Args:
        game: Asked once, about coalitions that are neither empty nor complete, each different.
        num_places: Its players.
        nothing: Outcome of the empty coalition.
        everything: Outcome of the complete one.
        budget: Largest number of coalitions that the game is asked about.
        seed: Of the orders; the same orders come again.
        least_pairs: Of orders, that the budget must suffice for.

    Raises:
        ValueError: If the budget is below `fewest_coalitions`.
    """
    if num_places < 2:
        return ShapleyValues(np.full(num_places, everything - nothing), np.zeros(num_places), 0)
    if budget < (needed := fewest_coalitions(num_places, least_pairs)):
        raise ValueError(f"budget={budget} is too small: {num_places} places need at least {needed} coalitions")
    if 2**num_places - 2 <= budget:
        inner = game(all_coalitions(num_places)[1:-1])
        values = exact_shapley(np.concatenate([[nothing], inner, [everything]]))
        return ShapleyValues(values, np.zeros(num_places), len(inner))
    generator = np.random.default_rng(seed)
    drawn = _balanced_orders(budget // (2 * (num_places - 1)), num_places, generator)
    orders = np.stack([drawn, drawn[:, ::-1]], axis=1).reshape(-1, num_places)  # (K, P), pairs side by side
    joined = np.argsort(orders, axis=1)[:, None, :] <= np.arange(num_places - 1)[None, :, None]  # (K, P - 1, P)
    asked, places = np.unique(joined.reshape(-1, num_places), axis=0, return_inverse=True)
    inner = game(asked)[places.reshape(joined.shape[:2])]  # (K, P - 1)
    path = np.pad(inner, ((0, 0), (1, 1)))  # (K, P + 1)
    path[:, 0], path[:, -1] = nothing, everything
    gains = np.empty(orders.shape)
    np.put_along_axis(gains, orders, np.diff(path, axis=1), axis=1)
    pairs = gains.reshape(-1, 2, num_places).mean(axis=1)  # (K / 2, P)
    errors = _standard_errors(pairs if len(pairs) > 1 else gains)
    return ShapleyValues(pairs.mean(axis=0), errors, len(asked))


def _balanced_orders(count: int, num_places: int, generator: np.random.Generator) -> np.ndarray:
    """Random orders of at least three places, whose first and last ones take turns. Shape `(count, num_places)`."""
    turns = np.concatenate([generator.permutation(num_places) for _ in range(2 * count // num_places + 1)])
    orders = []
    for first, last in turns[: 2 * count].reshape(count, 2):
        between = [place for place in generator.permutation(num_places) if place not in (first, last)]
        if first == last:  # where two turns meet
            last = between.pop()
        orders.append([first, *between, last])
    return np.array(orders)


def _standard_errors(draws: np.ndarray) -> np.ndarray:
    """Of the means of draws, `(N, P)` to `(P,)`.

    Few draws may agree by luck. So the variance of a place is drawn towards the mean of all places, as if each
    had been drawn `_MORE` more times with that variance.

    Source: moderated variances after G. K. Smyth, Linear models and empirical Bayes methods (2004).
    """
    seen = len(draws) - 1
    variances = draws.var(axis=0, ddof=1)
    moderated = (seen * variances + _MORE * variances.mean()) / (seen + _MORE)
    return np.sqrt(moderated / len(draws))
