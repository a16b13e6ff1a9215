"""Scores with their intervals as bars and as bands: what every figure of scores draws alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from hf_mer.plots.style import INK, OKABE_ITO, shade, write_beside

Triple = tuple[float, float, float]
"""A score and the ends of its interval, as fractions; ends are NaN where there is no interval."""


class Line(NamedTuple):
    """How a system is drawn: told apart without colours too."""

    color: str
    marker: str
    dashes: Any


LINES = (
    Line(OKABE_ITO["blue"], "o", "-"),
    Line(OKABE_ITO["vermilion"], "s", "--"),
    Line(OKABE_ITO["green"], "^", "-."),
    Line(OKABE_ITO["purple"], "D", ":"),
)


def check_interval(what: str, score: float, low: float, high: float) -> None:
    """Refuses a score that is no fraction or lies outside its interval; NaN is a score that is not known.

    Raises:
        ValueError: If so; it names `what`.
    """
    if not np.isnan(score) and not 0 <= low <= score <= high <= 1:
        raise ValueError(
            f"{what}: expected fractions 0 <= low <= score <= high <= 1, got score {score}, interval [{low}, {high}]"
        )


def draw_bars(
    axes: Axes, places: Sequence[float], triples: Sequence[Triple], height: float, color: str, label: str | None = None
) -> None:
    """Horizontal bars with their intervals, and the numbers in a column right of the axes, where nothing crosses them.

    Args:
        axes: Where to.
        places: Middles of the bars on the vertical axis.
        triples: One per bar.
        height: Of a bar.
        color: Of the bars.
        label: For the legend.
    """
    axes.barh(places, [score for score, _, _ in triples], height=height, color=color, label=label)
    for place, (score, low, high) in zip(places, triples, strict=True):
        text = f"{score:.3f}"
        if not np.isnan(low):
            axes.errorbar(score, place, xerr=[[score - low], [high - score]], color=INK, capsize=2.5, elinewidth=1.1)
            text += f"  [{low:.3f}, {high:.3f}]"
        write_beside(axes, place, text)


def name_bars(axes: Axes, names: Sequence[str], xlabel: str) -> None:
    """Names of the rows from top to bottom, and an axis of scores from 0 to 1."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.42, -0.58)
    axes.set_xlim(0, 1)
    axes.set_xlabel(xlabel)
    axes.grid(True, axis="x")


def draw_band(axes: Axes, xs: Sequence[float] | np.ndarray, triples: np.ndarray, line: Line, label: str = "") -> None:
    """Scores as a line with a band for their intervals.

    Args:
        axes: Where to.
        xs: Places on the horizontal axis. Length `N`.
        triples: Score, low and high end. Shape `(3, N)`.
        line: Colour, marker and dashes.
        label: For the legend.
    """
    mean, low, high = triples
    if len(xs) == 1:  # a band would have no width
        axes.errorbar(xs, mean, [mean - low, high - mean], color=line.color, capsize=4, elinewidth=1.2)
    axes.fill_between(xs, low, high, color=line.color, alpha=0.15, linewidth=0)
    for edge in (low, high):  # seen in grey and in print, where the areas may fade
        axes.plot(xs, edge, color=shade(line.color, 0.35), linewidth=0.6, linestyle=line.dashes)
    axes.plot(xs, mean, color=line.color, marker=line.marker, linestyle=line.dashes, label=label)
