"""Scores against a setting, such as the number of key codes of the tonal label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from hf_mer.plots.style import INK, OKABE_ITO, figure, light_grid, styled

_LINES = (("blue", "o", "-"), ("vermilion", "s", "--"), ("green", "^", "-."), ("purple", "D", ":"))


@styled
def score_sweep(
    values: Sequence[float],
    scores: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    xlabel: str,
    *,
    scale: Literal["linear", "log"] = "linear",
    title: str | None = None,
) -> Figure:
    """Each score over the values of a setting, with its interval; the best value of each is circled.

    Scores stand a hair beside the value, left and right, so that their intervals can be told apart. The arguments are
    the numbers behind the figure.

    Source: LE-MER, figure 3.

    Args:
        values: Values of the setting. Length `V`.
        scores: By name (at most four), the mean, low and high of each value. Three sequences of length `V`; low and
            high are the ends of the interval, not distances.
        xlabel: What the setting is, with its unit.
        scale: Of the axis of values.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no or too many scores, lengths differ, a mean lies outside its interval, or a log
            scale is asked for values that are not positive.
    """
    if not 1 <= len(scores) <= len(_LINES):
        raise ValueError(f"give one to {len(_LINES)} scores, got {len(scores)}: {list(scores)}")
    if scale == "log" and min(values) <= 0:
        raise ValueError(f"a log scale needs positive values, got {min(values)}")
    order = np.argsort(values)
    xs = np.asarray(values, dtype=np.float64)[order]
    fig = figure(6.0, 3.4)
    axes = fig.add_subplot()
    if title:
        fig.suptitle(title)
    axes.set_xscale(scale)
    for index, ((name, triple), (color, marker, line)) in enumerate(zip(scores.items(), _LINES, strict=False)):
        mean, low, high = _checked(name, triple, len(xs))[:, order]
        beside = _beside(xs, index - (len(scores) - 1) / 2, scale)
        errors = [mean - low, high - mean]
        axes.errorbar(
            beside,
            mean,
            errors,
            label=name,
            color=OKABE_ITO[color],
            marker=marker,
            linestyle=line,
            capsize=3,
            elinewidth=1,
        )
        best = np.nanargmax(mean)
        axes.plot(beside[best], mean[best], "o", markersize=11, markerfacecolor="none", markeredgecolor=INK)
    # the values themselves are the ticks, unless there are too many to tell apart
    if len(xs) <= 10 and _spread(xs, scale):
        axes.set_xticks(xs)
    axes.xaxis.set_minor_locator(NullLocator())
    formatter = ScalarFormatter()
    formatter.set_scientific(False)
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("score")
    axes.margins(y=0.1)
    light_grid(axes)
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles, names, loc="center left", bbox_to_anchor=(1.01, 0.5), title="best circled")
    return fig


def _checked(name: str, triple: Sequence[Sequence[float]], count: int) -> np.ndarray:
    """Mean, low and high as one array of shape `(3, V)`."""
    lengths = [len(part) for part in triple]
    if lengths != [count] * 3:
        raise ValueError(f"{name} needs mean, low and high for each of {count} values, got the lengths {lengths}")
    mean, low, high = array = np.asarray(triple, dtype=np.float64)
    bad = np.flatnonzero((mean < low) | (mean > high))
    if bad.size:
        raise ValueError(f"{name}: the mean lies outside its interval (low, high) at the positions {bad.tolist()}")
    return array


def _beside(xs: np.ndarray, steps: float, scale: str) -> np.ndarray:
    """The values moved sideways by some steps of 0.8 % of the axis, so that intervals do not lie on each other."""
    positions = np.log(xs) if scale == "log" else xs
    moved = positions + 0.008 * steps * (np.ptp(positions) or 1.0)
    return np.exp(moved) if scale == "log" else moved


def _spread(xs: np.ndarray, scale: str) -> bool:
    """Whether tick labels at all values would stand clear of each other."""
    if len(xs) < 2:
        return True
    positions = np.log(xs) if scale == "log" else xs
    return bool(np.diff(positions).min() > 0.07 * np.ptp(positions))
