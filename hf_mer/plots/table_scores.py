"""A table of systems as points with intervals, beside what was published."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hf_mer.plots.intervals import check_interval
from hf_mer.plots.style import FAINT_INK, INK, OKABE_ITO, figure, percent_ticks, styled

_WIDEST_NAME = 40  # letters on a line
_PUBLISHED: dict[str, Any] = {
    "marker": "D",
    "markersize": 5.5,
    "markerfacecolor": "#FFFFFF",
    "markeredgecolor": OKABE_ITO["black"],
    "linestyle": "none",
}
_CEILING: dict[str, Any] = {"color": OKABE_ITO["vermilion"], "linewidth": 2.2}


@styled
def table_scores(
    systems: Sequence[str],
    scores: Mapping[str, np.ndarray],
    published: Mapping[str, np.ndarray] | None = None,
    ceilings: Mapping[str, np.ndarray] | None = None,
    *,
    num_measured: int | None = None,
    title: str | None = None,
) -> Figure:
    """Measured scores as points with their intervals, published ones hollow, ceilings as strokes: a panel per score.

    Axes do not begin at 0: points, unlike bars, say nothing by their length. The arguments are the numbers behind the
    figure.

    Args:
        systems: Names, from top to bottom. Length `N`.
        scores: By name of the score, mean, low and high end of the interval of every system, fractions; NaN where a
            system was not measured. Shape `(N, 3)` each.
        published: By name of the score, published figures, NaN where there are none. Shape `(N,)` each.
        ceilings: By name of the score, what the system could reach at best, NaN where nobody knows. Shape `(N,)` each.
        num_measured: Systems after so many only have published figures; a line stands above them.
        title: Title of the figure.

    Returns:
        The figure, which grows with the number of systems.

    Raises:
        ValueError: If there are no systems or scores, shapes do not fit, or a value lies outside 0 and 1 or its
            interval.
    """
    published, ceilings = published or {}, ceilings or {}
    _check(systems, scores, published, ceilings)
    names = [textwrap.fill(name, _WIDEST_NAME) for name in systems]
    lines = sum(1 + 0.55 * name.count("\n") for name in names)
    longest = max(len(line) for name in names for line in name.split("\n"))
    fig = figure(0.5 + 0.068 * longest + 2.6 * len(scores), 0.95 + 0.27 * lines + 0.3 * bool(title), title)
    grid = fig.subplots(1, len(scores), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, triples) in zip(grid, scores.items(), strict=True):
        _draw_score(axes, np.asarray(triples), published.get(name), ceilings.get(name))
        axes.set_title(f"{name} (%)")
        if num_measured is not None and num_measured < len(systems):
            axes.axhline(num_measured - 0.5, color=FAINT_INK, linewidth=0.7)
    grid[0].set_yticks(range(len(systems)), names)
    grid[0].set_ylim(len(systems) - 0.4, -0.6)
    handles = _legend(scores, published, ceilings)
    fig.legend(handles=handles, loc="outside lower right", ncols=len(handles))
    return fig


def _draw_score(axes: Axes, triples: np.ndarray, published: np.ndarray | None, ceilings: np.ndarray | None) -> None:
    known = np.flatnonzero(np.isfinite(triples[:, 0]))
    mean, low, high = triples[known].T
    point: dict[str, Any] = {"color": OKABE_ITO["blue"], "marker": "o", "markersize": 5.5, "linestyle": "none"}
    axes.errorbar(mean, known, xerr=[mean - low, high - mean], capsize=3, elinewidth=1.3, **point)
    if ceilings is not None:
        for position in np.flatnonzero(np.isfinite(ceilings)).tolist():
            axes.vlines(ceilings[position], position - 0.36, position + 0.36, **_CEILING)
    if published is not None:
        axes.plot(published, range(len(published)), **_PUBLISHED)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    percent_ticks(axes.xaxis)
    axes.margins(x=0.08)
    axes.tick_params(axis="y", length=0)
    axes.grid(True)


def _legend(
    scores: Mapping[str, np.ndarray], published: Mapping[str, np.ndarray], ceilings: Mapping[str, np.ndarray]
) -> list[Line2D]:
    def any_known(arrays: Mapping[str, np.ndarray]) -> bool:
        return any(np.isfinite(array).any() for array in arrays.values())

    handles: list[Line2D] = []
    if any_known(scores):
        handles.append(Line2D([], [], color=OKABE_ITO["blue"], marker="o", label="measured, 95 % interval"))
    if any_known(published):
        handles.append(Line2D([], [], **_PUBLISHED, label="published, on the paper's data"))
    if any_known(ceilings):
        stroke: dict[str, Any] = {"marker": "|", "markersize": 10, "markeredgewidth": 2.2, "linestyle": "none"}
        handles.append(Line2D([], [], color=_CEILING["color"], **stroke, label="ceiling"))
    return handles or [Line2D([], [], linestyle="none", color=INK, label="nothing measured yet")]


def _check(
    systems: Sequence[str],
    scores: Mapping[str, np.ndarray],
    published: Mapping[str, np.ndarray],
    ceilings: Mapping[str, np.ndarray],
) -> None:
    if not systems or not scores:
        raise ValueError("no systems to draw; give at least one system and one score")
    for what, arrays, shape in (
        ("scores", scores, (len(systems), 3)),
        ("published", published, (len(systems),)),
        ("ceilings", ceilings, (len(systems),)),
    ):
        for name, array in arrays.items():
            if name not in scores:
                raise ValueError(f"{what}: '{name}' is not one of the scores {list(scores)}")
            if np.shape(array) != shape:
                raise ValueError(f"{what}, {name}: shape {np.shape(array)}, expected {shape}")
            for system, values in zip(systems, np.reshape(array, (len(systems), -1)), strict=True):
                score, low, high = values if len(values) == 3 else values.repeat(3)
                check_interval(f"{what}, {name}, {system!r}", score, low, high)
