"""Words of an utterance as boxes in rows, coloured by a number each; no two boxes overlap, however long the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from hf_mer.plots.style import FONT_SIZE, ink_on

ROW_HEIGHT = 0.34  # inches, gap below included
_BOX_HEIGHT = 0.24
_PADDING = 0.05  # inches between a word and its box, left and right
_GAP = 0.05  # inches between boxes
_STRIP = 0.05  # inches of the strip below a box


def fit_words(figure: Figure, words: Sequence[str], width: float) -> tuple[list[str], np.ndarray]:
    """Widths of the words as drawn in this figure; a word wider than a whole row is cut and ends in an ellipsis.

    Args:
        figure: Where the words will stand.
        words: The words.
        width: Of a row, in inches.

    Returns:
        The words, and their widths in inches. Shape `(words,)`.
    """
    probe = figure.text(0, 0, "", fontsize=FONT_SIZE)

    def measure(word: str) -> float:
        probe.set_text(word)
        return float(probe.get_window_extent().width) / figure.dpi

    fitted = []
    for word in words:
        shown = " ".join(str(word).split()) or "·"  # a line break within a word would leave its box
        kept = len(shown)
        while kept > 1 and measure(shown[:kept] + "…" * (kept < len(shown))) > width - 2 * _PADDING:
            kept -= 1
        fitted.append(shown[:kept] + "…" * (kept < len(shown)))
    widths = np.array([measure(word) for word in fitted])
    probe.remove()
    return fitted, widths


def wrap_boxes(widths: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Place boxes from left to right, in as many rows as they need.

    Args:
        widths: Of the words, in inches. Shape `(words,)`.
        width: Of a row, in inches.

    Returns:
        The boxes' left edges in inches and their rows, each of shape `(words,)`, and the number of rows.
    """
    lefts, rows = np.zeros(len(widths)), np.zeros(len(widths), dtype=int)
    left, row = 0.0, 0
    for index, word_width in enumerate(widths):
        box = word_width + 2 * _PADDING
        if left > 0 and left + box > width:
            left, row = 0.0, row + 1
        lefts[index], rows[index] = left, row
        left += box + _GAP
    return lefts, rows, row + 1


def place_boxes(widths: np.ndarray, centres: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Place boxes with their middles where they are wanted, each in the first row that has room for it there.

    Args:
        widths: Of the words, in inches. Shape `(words,)`.
        centres: Where the middles are wanted, in inches. Shape `(words,)`.
        width: Of a row, in inches; a box that would leave it is moved inwards.

    Returns:
        As [`wrap_boxes`].
    """
    boxes = widths + 2 * _PADDING
    lefts, rows = np.clip(centres - boxes / 2, 0, np.maximum(width - boxes, 0)), np.zeros(len(widths), dtype=int)
    ends: list[float] = []  # of what stands in each row
    for index, left in enumerate(lefts):
        rows[index] = next((row for row, end in enumerate(ends) if end + _GAP <= left), len(ends))
        ends[rows[index] : rows[index] + 1] = [left + boxes[index]]
    return lefts, rows, len(ends)


def estimated_word_times(words: Sequence[str], waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    """When words may be said: one after the other from first to last sound, each as long as it has characters.

    Args:
        words: In their order.
        waveform: Mono samples. Shape `(N,)`. Sound is what is louder than a twentieth of its loudest sample.
        sampling_rate: Hz.

    Returns:
        Start and end in seconds. Shape `(words, 2)`.
    """
    loudness = np.abs(waveform)
    sounding = np.flatnonzero(loudness > 0.05 * loudness.max(initial=0))
    first, last = (sounding[0], sounding[-1] + 1) if len(sounding) else (0, len(waveform))
    edges = np.cumsum([0, *(max(len(word), 1) for word in words)])
    edges = (first + (last - first) * edges / edges[-1]) / sampling_rate
    return np.column_stack([edges[:-1], edges[1:]])


def draw_words(
    axes: Axes,
    words: Sequence[str],
    widths: np.ndarray,
    values: np.ndarray,
    width: float,
    cmap: Colormap,
    norm: Normalize,
    strips: Sequence[str] | None = None,
    spans: np.ndarray | None = None,
) -> float:
    """Draw the words into axes that are `width` inches wide.

    Args:
        axes: Emptied of ticks and spines; one unit is one inch.
        words: As [`fit_words`] cut them.
        widths: In inches. Shape `(words,)`.
        values: What colours the boxes. Shape `(words,)`.
        width: Of a row, in inches.
        cmap: Colours of the boxes.
        norm: From values to the colour map.
        strips: Colour of the thin strip below each word, `none` for no strip; None for none at all.
        spans: Start and end of each word along the axes, in inches: the words stand below a bar of their spans.
            Without them, they stand one after the other. Shape `(words, 2)`.

    Returns:
        The height of what is drawn, in inches.
    """
    lefts, rows, count = wrap_boxes(widths, width) if spans is None else place_boxes(widths, spans.mean(axis=1), width)
    above = 0.0 if spans is None else _STRIP + _BOX_HEIGHT
    faces, boxes, tops = cmap(norm(values)), widths + 2 * _PADDING, above + rows * ROW_HEIGHT
    bars: dict[str, Any] = {"align": "edge", "edgecolor": "#C8C8C8", "color": faces}
    if spans is not None:
        axes.barh(np.zeros(len(words)), spans[:, 1] - spans[:, 0], _BOX_HEIGHT / 2, spans[:, 0], **bars)
    axes.barh(tops, boxes, _BOX_HEIGHT, lefts, linewidth=0.5, **bars)
    if strips is not None:
        axes.barh(tops + _BOX_HEIGHT, boxes, _STRIP, lefts, align="edge", color=strips, linewidth=0)
    for word, left, top, face in zip(words, lefts, tops, faces, strict=True):
        baseline = top + _BOX_HEIGHT * 0.72
        axes.text(left + _PADDING, baseline, word, fontsize=FONT_SIZE, color=ink_on(tuple(face)), va="baseline")
    axes.set_xlim(0, width)
    height = above + count * ROW_HEIGHT
    axes.set_ylim(height, 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return height
