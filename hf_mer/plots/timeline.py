"""A long recording: the score of every class over time, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from hf_mer.models.timed_words_mer import timeline_words
from hf_mer.plots.style import FAINT_INK, FONT_SIZE, INK, class_colors, figure, styled
from hf_mer.plots.word_boxes import ROW_HEIGHT, fit_words, place_boxes

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

_RIBBON, _CURVES, _LINE = 0.3, 2.4, 0.24  # inches of the panels; of the bars of words
_MOST_ROWS, _MOST_WORDS = 4, 100  # of words; more do not fit into the rows, and are not measured

_STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, float("inf"))  # seconds between times, from two minutes on


@styled
def emotion_timeline(
    spans: np.ndarray,
    scores: np.ndarray,
    labels: Sequence[str],
    decisions: Sequence[str | None],
    threshold: float | Sequence[float] | None = None,
    words: Sequence[tuple[str, float, float]] = (),
) -> Figure:
    """A ribbon of the decisions above a curve for each class; the arguments are the numbers behind the figure.

    Words stand between them where they are said, below a bar for each; of more words than fit into four rows there are
    only the bars.

    Args:
        spans: Start and end of each window in seconds, by start; windows may overlap. Shape `(N, 2)`.
        scores: Of each window and class, 0 to 1. Shape `(N, C)`.
        labels: Names of the classes. Length `C`.
        decisions: Class of each window, None for a gap in the ribbon. Length `N`.
        threshold: Drawn as a line across; with one for each window, as steps where they differ.
        words: With their start and end in seconds, where they are known.
    """
    colors, middles, end = class_colors(labels), spans.mean(axis=1), float(spans[:, 1].max())
    heights = [_RIBBON, *([_LINE] if words else []), _CURVES]
    fig = figure(8.0, sum(heights))
    grid = fig.add_gridspec(len(heights), 1, height_ratios=heights)
    ribbon = fig.add_subplot(grid[0])
    curves = fig.add_subplot(grid[-1], sharex=ribbon)
    # neighbours meet half-way between the middles of their windows
    borders = [0.0, *((middles[:-1] + middles[1:]) / 2), end]
    for label, (start, stop), (left, right) in zip(decisions, spans, pairwise(borders), strict=True):
        if label is not None:
            # a thin edge hides the seam between neighbours
            ribbon.axvspan(max(left, start), min(right, stop), color=colors[label], linewidth=0.5)
    ribbon.set_yticks([])
    ribbon.set_ylabel("label", rotation=0, ha="right", va="center")
    ribbon.tick_params(bottom=False, labelbottom=False)
    ribbon.spines[:].set_visible(True)
    for index, label in enumerate(labels):
        curve = scores[:, index]
        points = [0.0, *middles, end], [curve[0], *curve, curve[-1]]
        curves.plot(*points, color=colors[label], linestyle=_DASHES[index % len(_DASHES)], label=label)
    if threshold is not None:
        # thin and whole: the curves of classes are thick, and most of them broken
        line: dict[str, Any] = {"color": FAINT_INK, "linewidth": 0.7, "label": "threshold"}
        levels = np.broadcast_to(threshold, len(spans))
        if len(set(levels)) == 1:
            curves.axhline(levels[0], **line)
        else:
            curves.stairs(levels, borders, baseline=None, **line)
    curves.set_xlim(0, end)
    curves.set_ylim(-0.02, 1.02)
    curves.set_yticks([0, 0.5, 1])
    curves.set_ylabel("probability")
    curves.set_xlabel("time (s)")
    curves.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    if end >= 120:
        curves.xaxis.set_major_locator(MultipleLocator(next(step for step in _STEPS if end <= 9 * step)))
        curves.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value // 60)}:{int(value % 60):02d}"))
        curves.set_xlabel("time (min:s)")
    curves.grid(True, axis="y")
    handles = [*curves.get_legend_handles_labels()[0]]
    if None in decisions:
        handles.append(Patch(facecolor="white", edgecolor=FAINT_INK, linewidth=0.7, label="no label"))
    fig.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 6), handlelength=2.8)
    if words:
        heights[1] = _draw_words(fig, fig.add_subplot(grid[1], sharex=ribbon), words, end)
        grid.set_height_ratios(heights)
        fig.set_size_inches(8.0, sum(heights))
    return fig


def prediction_timeline(
    prediction: Mapping[str, Any], labels: Sequence[str], threshold: float | None = None
) -> Figure:
    """The time line of a long recording as the pipeline gives it, with its words where their times are known.

    Args:
        prediction: Of the pipeline with `window_seconds` and `threshold`.
        labels: Class names, in the order of the logits.
        threshold: Drawn as a line across.
    """
    windows = prediction["timeline"]
    found = [{item["label"]: item["score"] for item in window["scores"]} for window in windows]
    return emotion_timeline(
        np.array([[window["start"], window["end"]] for window in windows]),
        np.array([[scores.get(label, np.nan) for label in labels] for scores in found]),
        labels,
        [window["label"] for window in windows],
        threshold,
        timeline_words(windows),
    )


def _draw_words(fig: Figure, axes: Axes, words: Sequence[tuple[str, float, float]], end: float) -> float:
    """Draws words where they are said, and returns the inches that they need."""
    spans = np.array([[start, stop] for _, start, stop in words])
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("words", rotation=0, ha="right", va="center")
    # one unit is one inch from the top
    bars = [(start, stop - start) for start, stop in spans]
    axes.broken_barh(bars, (_LINE / 3, _LINE / 3), color=FAINT_INK, edgecolor="white", linewidth=0.3)
    if len(words) > _MOST_WORDS:
        axes.set_ylim(_LINE, 0)
        return _LINE
    # only a layout tells how wide the panel is
    fig.draw_without_rendering()
    width = float(axes.get_window_extent().width) / fig.dpi
    shown, widths = fit_words(fig, [word for word, _, _ in words], width)
    lefts, rows, count = place_boxes(widths, spans.mean(axis=1) / end * width, width)
    if count > _MOST_ROWS:
        shown, count = [], 0
    height = _LINE + count * ROW_HEIGHT
    for word, left, row in zip(shown, lefts, rows, strict=False):
        axes.text(left * end / width, _LINE + (row + 0.6) * ROW_HEIGHT, word, fontsize=FONT_SIZE, color=INK)
    axes.set_ylim(height, 0)
    return height
