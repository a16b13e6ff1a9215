"""A long recording: the score of every class over time, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from hf_mer.plots.style import FAINT_INK, class_colors, figure, styled

# classes are told apart without colours too
_DASHES: tuple[Any, ...] = (
    "-",
    "--",
    ":",
    "-.",
    (0, (1, 1)),
    (0, (8, 3)),
    (0, (4, 4)),
    (0, (2, 1)),
    (0, (6, 1, 1, 1)),
)

_STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, float("inf"))  # seconds between times, from two minutes on


@styled
def emotion_timeline(
    spans: np.ndarray,
    scores: np.ndarray,
    labels: Sequence[str],
    decisions: Sequence[str | None],
    threshold: float | None = None,
) -> Figure:
    """A ribbon of the decisions above a curve for each class; the arguments are the numbers behind the figure.

    Args:
        spans: Start and end of each window in seconds, by start; windows may overlap. Shape `(N, 2)`.
        scores: Of each window and class, 0 to 1. Shape `(N, C)`.
        labels: Names of the classes. Length `C`.
        decisions: Class of each window, None for a gap in the ribbon. Length `N`.
        threshold: Drawn as a line across.
    """
    colors, middles, end = class_colors(labels), spans.mean(axis=1), float(spans[:, 1].max())
    fig = figure(8.0, 2.7)
    ribbon, curves = fig.subplots(2, 1, sharex=True, height_ratios=[1, 9])
    # neighbours meet half-way between the middles of their windows
    borders = [0.0, *((middles[:-1] + middles[1:]) / 2), end]
    for label, (start, stop), (left, right) in zip(decisions, spans, pairwise(borders), strict=True):
        if label is not None:
            # a thin edge hides the seam between neighbours
            ribbon.axvspan(max(left, start), min(right, stop), color=colors[label], linewidth=0.5)
    ribbon.set_yticks([])
    ribbon.tick_params(bottom=False)
    ribbon.spines[:].set_visible(True)
    for index, label in enumerate(labels):
        curve = scores[:, index]
        points = [0.0, *middles, end], [curve[0], *curve, curve[-1]]
        curves.plot(*points, color=colors[label], linestyle=_DASHES[index % len(_DASHES)], label=label)
    if threshold is not None:
        curves.axhline(threshold, color=FAINT_INK, linewidth=0.9, linestyle=(0, (1, 3)), label="threshold")
    curves.set_xlim(0, end)
    curves.set_ylim(-0.02, 1.02)
    curves.set_yticks([0, 0.5, 1])
    curves.set_ylabel("score")
    curves.set_xlabel("time (s)")
    if end >= 120:
        curves.xaxis.set_major_locator(MultipleLocator(next(step for step in _STEPS if end <= 9 * step)))
        curves.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value // 60)}:{int(value % 60):02d}"))
        curves.set_xlabel("time (min:s)")
    curves.grid(True, axis="y")
    fig.legend(loc="outside upper left", ncols=min(len(labels) + 1, 6), handlelength=2.8)
    return fig
