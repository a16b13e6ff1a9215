"""What missing and imperfect modalities cost: bars of the modalities, curves over errors, noise and length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from hf_mer.plots.intervals import LINES, Triple, check_interval, draw_band, draw_bars, name_bars
from hf_mer.plots.style import FAINT_INK, figure, shade, styled


@styled
def condition_bars(
    systems: Mapping[str, Mapping[str, Triple]], *, xlabel: str = "UA", title: str | None = None
) -> Figure:
    """A bar with its interval for every condition, systems side by side.

    The mapping has the numbers behind the figure.

    Args:
        systems: By name of the system (at most four) and of the condition, score, low and high end, as fractions. A
            system may lack a condition.
        xlabel: Name of the score.
        title: Title of the figure.

    Returns:
        The figure, which grows with the number of bars.

    Raises:
        ValueError: If there are no or too many systems, no conditions, or a score lies outside its interval.
    """
    _check(systems)
    names = list(dict.fromkeys(name for bars in systems.values() for name in bars))
    height = 0.8 / len(systems)
    fig = figure(6.4, 1.1 + (0.16 + 0.26 * len(systems)) * len(names) + 0.3 * bool(title), title)
    axes = fig.add_subplot()
    for index, (system, bars) in enumerate(systems.items()):
        places = [names.index(name) + (index - (len(systems) - 1) / 2) * height for name in bars]
        draw_bars(axes, places, list(bars.values()), 0.92 * height, shade(LINES[index].color, 0.45), system)
    name_bars(axes, names, xlabel)
    if len(systems) > 1:
        fig.legend(loc="outside lower center", ncols=len(systems))
    return fig


@styled
def condition_curves(
    systems: Mapping[str, Mapping[float, Triple]],
    unchanged: Mapping[str, Triple] | None = None,
    *,
    xlabel: str,
    ylabel: str = "UA",
    worse_right: bool = True,
    title: str | None = None,
) -> Figure:
    """A score over the strength of a condition, worse to the right, with what it is without as a line across.

    The mappings have the numbers behind the figure.

    Args:
        systems: By name of the system (at most four) and strength, score, low and high end, as fractions.
        unchanged: By name of the system, the same of utterances as they are.
        xlabel: What the strength is, with its unit.
        ylabel: Name of the score.
        worse_right: Whether the axis runs from high to low, as for signal-to-noise ratios and seconds, of which less
            is worse.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no or too many systems, a system has no strengths, or a score lies outside its
            interval.
    """
    unchanged = unchanged or {}
    _check(systems)
    if unchanged:
        _check({name: {0.0: triple} for name, triple in unchanged.items()})
    fig = figure(6.0, 3.2 + 0.3 * bool(title), title)
    axes = fig.add_subplot()
    strengths = sorted({float(value) for points in systems.values() for value in points}, reverse=worse_right)
    places = _places(strengths)
    for (name, points), line in zip(systems.items(), LINES, strict=False):
        ordered = sorted(points, key=lambda value: places[float(value)])
        triples = np.array([points[value] for value in ordered]).T
        draw_band(axes, [places[float(value)] for value in ordered], triples, line, name)
        if name in unchanged:
            score = unchanged[name][0]
            label = f"{name},\nunchanged {score:.3f}"
            axes.axhline(score, color=line.color, linewidth=1.0, linestyle=(0, (1, 2)), label=label)
    axes.set_xticks(*_ticks(strengths, places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min(places.values()) - 0.25, max(places.values()) + 0.25)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.margins(y=0.1)
    axes.grid(True, axis="y")
    handles = axes.get_legend_handles_labels()[0]
    if any(not np.isnan(low) for points in systems.values() for _, low, _ in points.values()):
        handles.append(Patch(facecolor=FAINT_INK, alpha=0.15, label="95 % interval"))
    fig.legend(handles=handles, loc="outside right center", handlelength=2.6)
    return fig


def _places(strengths: Sequence[float]) -> dict[float, float]:
    """Every strength as far from the next, but those that two systems have nearly alike beside each other."""
    spread = max(strengths) - min(strengths)
    places: dict[float, float] = {}
    place, before = -1.0, None
    for value in strengths:
        if before is None or abs(value - before) > 0.03 * spread:
            place += 1.0
        places[value], before = place, value
    return places


def _ticks(strengths: Sequence[float], places: Mapping[float, float]) -> tuple[list[float], list[str]]:
    names: dict[float, str] = {}
    for value in strengths:
        names.setdefault(places[value], f"{value:g}")
    return list(names), list(names.values())


def _check(systems: Mapping[str, Mapping[Any, Triple]]) -> None:
    if not 1 <= len(systems) <= len(LINES):
        raise ValueError(f"give one to {len(LINES)} systems, got {len(systems)}: {list(systems)}")
    for name, triples in systems.items():
        if not triples:
            raise ValueError(f"{name}: no scores to draw")
        for key, triple in triples.items():
            check_interval(f"{name}, {key}", *triple)
