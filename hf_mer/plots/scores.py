"""Systems side by side, with how sure their scores are and how far they could go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from hf_mer.plots.intervals import check_interval, draw_bars, name_bars
from hf_mer.plots.style import INK, OKABE_ITO, figure, styled


@styled
def systems_with_ceilings(
    scores: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    ceilings: Mapping[str, float] | None = None,
    *,
    xlabel: str = "UA",
    title: str | None = None,
) -> Figure:
    """One bar per system, its interval, and a mark at the best score that its inputs allow.

    The mappings are the numbers behind the figure.

    Args:
        scores: Score by system, fractions between 0 and 1, drawn from top to bottom.
        intervals: Low and high end by system; systems may be missing.
        ceilings: Highest reachable score by system, known for a generated corpus; systems may be missing.
        xlabel: Name of the score.
        title: Title of the figure.

    Returns:
        The figure, which grows with the number of systems.

    Raises:
        ValueError: If there are no systems, intervals or ceilings name a system that has no score, or a score lies
            outside 0 and 1 or outside its interval.
    """
    intervals, ceilings = intervals or {}, ceilings or {}
    _check(scores, intervals, ceilings)
    fig = figure(6.6, 1.0 + 0.36 * len(scores) + 0.3 * bool(title), title)
    axes = fig.add_subplot()
    unknown = (float("nan"), float("nan"))
    triples = [(score, *intervals.get(name, unknown)) for name, score in scores.items()]
    draw_bars(axes, range(len(scores)), triples, 0.62, OKABE_ITO["sky"])
    for position, name in enumerate(scores):
        if name in ceilings:
            axes.vlines(ceilings[name], position - 0.42, position + 0.42, color=OKABE_ITO["vermilion"], linewidth=2.4)
    name_bars(axes, list(scores), xlabel)
    handles: list[Any] = []
    if intervals:
        handles.append(axes.errorbar([], [], xerr=[], color=INK, capsize=3, linestyle="none", label="interval"))
    if ceilings:
        handles += axes.plot(
            [], [], "|", color=OKABE_ITO["vermilion"], markersize=10, markeredgewidth=2.4, label="ceiling"
        )
    if handles:
        axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    return fig


def _check(
    scores: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], ceilings: Mapping[str, float]
) -> None:
    if not scores:
        raise ValueError("no systems to draw; give the score of at least one")
    for what, given in (("intervals", intervals), ("ceilings", ceilings)):
        unknown = [name for name in given if name not in scores]
        if unknown:
            raise ValueError(f"{what} name {unknown}, which have no score; systems are {list(scores)}")
    for name, score in scores.items():
        check_interval(name, score, *intervals.get(name, (score, score)))
