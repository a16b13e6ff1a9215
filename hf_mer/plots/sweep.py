"""Scores against a setting, such as the number of key codes of the tonal label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator, ScalarFormatter

from hf_mer.plots.intervals import LINES, Line, check_interval, draw_band
from hf_mer.plots.style import FAINT_INK, INK, figure, percent_ticks, styled

Scale = Literal["linear", "log", "symlog", "category"]
SCALES = ("linear", "log", "symlog", "category")


@styled
def score_sweep(
    values: Sequence[float] | Sequence[str],
    scores: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    xlabel: str,
    *,
    scale: Scale = "linear",
    published: Mapping[str, Sequence[float]] | None = None,
    title: str | None = None,
) -> Figure:
    """Each score over the values of a setting, with a band for its interval; the best value of each is circled.

    The arguments are the numbers behind the figure.

    Source: LE-MER, figure 3.

    Args:
        values: Values of the setting, of any order. Length `V`. Of the scale `category` names, in their order.
        scores: By name (at most four), the mean, low and high of each value. Three sequences of length `V`; low and
            high are the ends of the interval, not distances. NaN where nothing was measured.
        xlabel: What the setting is, with its unit.
        scale: Of the axis of values: `linear`, `log`, `symlog` (a log scale that has a place for 0), or `category`
            (every value as far from the next).
        published: By name of a score, figures of others that are drawn hollow. Length `V`, NaN where there is none.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no or too many scores, lengths differ, a mean lies outside its interval, published
            figures belong to no score, or a log scale is asked for values that are not positive.
    """
    if not 1 <= len(scores) <= len(LINES):
        raise ValueError(f"give one to {len(LINES)} scores, got {len(scores)}: {list(scores)}")
    if scale not in SCALES:
        raise ValueError(f"scale '{scale}' is not one of {', '.join(SCALES)}")
    published = published or {}
    if set(published) - set(scores):
        raise ValueError(f"published figures of {sorted(set(published) - set(scores))}; scores are {list(scores)}")
    xs, order = _positions(values, scale)
    fig = figure(6.0, 3.4, title)
    axes = fig.add_subplot()
    _set_scale(axes, values, xs, scale)
    for (name, triple), line in zip(scores.items(), LINES, strict=False):
        _draw_score(axes, xs, _checked(name, triple, len(xs))[:, order], line)
        if name in published:
            _draw_published(axes, xs, _checked_published(name, published[name], len(xs))[order], line)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("score (%)")
    percent_ticks(axes.yaxis)
    axes.margins(y=0.1)
    axes.grid(True, axis="y")
    axes.legend(
        handles=_legend(list(scores), bool(published)), loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.8
    )
    return fig


def _positions(values: Sequence[float] | Sequence[str], scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Places on the axis, ascending, and the order that the values come in."""
    if scale == "category":
        return np.arange(len(values), dtype=np.float64), np.arange(len(values))
    numbers = np.asarray(values, dtype=np.float64)
    lowest = numbers.min()
    if (scale == "log" and lowest <= 0) or (scale == "symlog" and lowest < 0):
        wanted = "positive values" if scale == "log" else "values of 0 or more"
        raise ValueError(f"a {scale} scale needs {wanted}, got {lowest:g}")
    order = np.argsort(numbers, kind="stable")
    return numbers[order], order


def _set_scale(axes: Axes, values: Sequence[float] | Sequence[str], xs: np.ndarray, scale: Scale) -> None:
    """The values themselves are the ticks, unless there are too many to tell apart."""
    if scale == "category":
        axes.set_xticks(xs, [str(value) for value in values])
        axes.set_xlim(-0.4, len(xs) - 0.6)
        return
    if scale == "symlog":
        positive = xs[xs > 0]
        axes.set_xscale("symlog", linthresh=float(positive.min()) if len(positive) else 1.0, linscale=0.6)
    else:
        axes.set_xscale(scale)
    if len(xs) <= 10 and _spread(xs, scale):
        axes.set_xticks(xs)
    axes.xaxis.set_minor_locator(NullLocator())
    plain = ScalarFormatter()
    plain.set_scientific(False)
    axes.xaxis.set_major_formatter(plain if scale == "linear" else FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_score(axes: Axes, xs: np.ndarray, triple: np.ndarray, line: Line) -> None:
    known = np.isfinite(triple[0])
    if not known.any():
        return
    xs, triple = xs[known], triple[:, known]
    draw_band(axes, xs, triple, line)
    mean = triple[0]
    best = int(np.argmax(mean))
    axes.plot(xs[best], mean[best], "o", markersize=11, markerfacecolor="none", markeredgecolor=INK)


def _draw_published(axes: Axes, xs: np.ndarray, figures: np.ndarray, line: Line) -> None:
    known = np.isfinite(figures)
    axes.plot(
        xs[known],
        figures[known],
        color=line.color,
        marker=line.marker,
        markersize=7,  # seen around a filled one at the same place
        markerfacecolor="none",
        linestyle=line.dashes,
        linewidth=0.7,
        zorder=1.9,
    )


def _legend(names: list[str], with_published: bool) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=line.color, marker=line.marker, linestyle=line.dashes, label=name)
        for name, line in zip(names, LINES, strict=False)
    ]
    handles.append(Patch(facecolor="#D9D9D9", edgecolor="#A0A0A0", linewidth=0.6, label="95 % interval"))
    hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "none"}
    handles.append(Line2D([], [], linestyle="none", markersize=9, markeredgecolor=INK, label="best", **hollow))
    if with_published:
        label = "published,\non the paper's data"
        handles.append(Line2D([], [], color=FAINT_INK, linewidth=0.7, markersize=7, label=label, **hollow))
    return handles


def _checked(name: str, triple: Sequence[Sequence[float]], count: int) -> np.ndarray:
    """Mean, low and high as one array of shape `(3, V)`."""
    lengths = [len(part) for part in triple]
    if lengths != [count] * 3:
        raise ValueError(f"{name} needs mean, low and high for each of {count} values, got the lengths {lengths}")
    array = np.asarray(triple, dtype=np.float64)
    for position, values in enumerate(array.T):
        check_interval(f"{name}, position {position}", *values)
    return array


def _checked_published(name: str, figures: Sequence[float], count: int) -> np.ndarray:
    if len(figures) != count:
        raise ValueError(f"{name}: {len(figures)} published figures for {count} values; give one each, NaN for none")
    return np.asarray(figures, dtype=np.float64)


def _spread(xs: np.ndarray, scale: Scale) -> bool:
    """Whether tick labels at all values would stand clear of each other."""
    if len(xs) < 2 or scale == "symlog":
        return True
    positions = np.log(xs) if scale == "log" else xs
    return bool(np.diff(positions).min() > 0.07 * np.ptp(positions))
