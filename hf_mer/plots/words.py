"""Words of an utterance as boxes in rows, coloured by a number each; no two boxes overlap, however long the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hf_mer.plots.style import FONT_SIZE, INK

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


def draw_words(
    axes: Axes,
    words: Sequence[str],
    widths: np.ndarray,
    values: np.ndarray,
    width: float,
    cmap: Colormap,
    norm: Normalize,
    strips: Sequence[str] | None = None,
) -> None:
    """Draw the words into axes that are `width` inches wide.

    Args:
        axes: Emptied of ticks and spines; one unit is one inch.
        words: As [`fit_words`] cut them.
        widths: In inches. Shape `(words,)`.
        values: What colours the boxes. Shape `(words,)`.
        width: Of a row, in inches.
        cmap: Colours, light enough for dark text.
        norm: From values to the colour map.
        strips: Colour of the thin strip below each word.
    """
    lefts, rows, count = wrap_boxes(widths, width)
    for index, word in enumerate(words):
        top = rows[index] * ROW_HEIGHT
        box = widths[index] + 2 * _PADDING
        face = cmap(norm(values[index]))
        axes.add_patch(
            Rectangle((lefts[index], top), box, _BOX_HEIGHT, facecolor=face, edgecolor="#C8C8C8", linewidth=0.5)
        )
        if strips is not None:
            axes.add_patch(
                Rectangle((lefts[index], top + _BOX_HEIGHT), box, _STRIP, facecolor=strips[index], linewidth=0)
            )
        axes.text(
            lefts[index] + _PADDING,
            top + _BOX_HEIGHT * 0.72,
            word,
            fontsize=FONT_SIZE,
            color=INK,
            va="baseline",
        )
    axes.set_xlim(0, width)
    axes.set_ylim(count * ROW_HEIGHT, 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
