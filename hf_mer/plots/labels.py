"""What the label embeddings are made of: keywords of the text and key frames of the speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hf_mer.plots.style import FAINT_INK, SMALL_FONT_SIZE, class_colors, figure, styled
from hf_mer.plots.waveform import amplitude_limit, draw_waveform

_LONGEST_KEYWORD = 24


@styled
def label_keywords_and_key_frames(
    keywords: Mapping[str, Sequence[tuple[str, float]]] | None = None,
    waveforms: Mapping[str, np.ndarray] | None = None,
    sampling_rate: int | None = None,
    *,
    max_keywords: int = 12,
    note: str = "",
    title: str | None = None,
) -> Figure:
    """Per class, its keywords with their scores, and the waveform of its key frames one after the other.

    The mappings are the numbers behind the figure. Bars are comparable between classes, and so are amplitudes; each
    waveform has its own time axis.

    Source: LE-MER, figure 1.

    Args:
        keywords: By class, words and scores (TF-IDF). `None` for a model without text.
        waveforms: By class, mono samples of the frames that bear the class's tonal codes, joined. `None` for a model
            without speech.
        sampling_rate: Of the waveforms, in Hz.
        max_keywords: Most words that are drawn per class, those with the highest scores.
        note: Written below the panels: how much the classes share.
        title: Title of the figure.

    Returns:
        The figure, one panel pair per class; two columns of them from five classes on.

    Raises:
        ValueError: If there are neither keywords nor waveforms, waveforms without a sampling rate, or the two name
            different classes.
    """
    labels = _class_names(keywords, waveforms, sampling_rate)
    shown = {}
    if keywords:
        shown = {name: sorted(keywords[name], key=lambda pair: -pair[1])[:max_keywords] for name in labels}
    per_row = 1 if len(labels) <= 4 else 2
    rows = -(-len(labels) // per_row)
    most_words = max((len(words) for words in shown.values()), default=0)
    panels = ["keywords"] * bool(keywords) + ["waveform"] * bool(waveforms)
    height = 0.5 + rows * max(1.15, 0.6 + 0.17 * most_words) + 0.16 * len(note.splitlines())
    fig = figure(7.0 if per_row == 1 else 12.0, height, title)
    if note:
        fig.supxlabel(note, fontsize=SMALL_FONT_SIZE, color=FAINT_INK)
    ratios = [{"keywords": 1.0, "waveform": 1.5}[panel] for panel in panels] * per_row
    grid = fig.add_gridspec(rows, len(ratios), width_ratios=ratios)
    colors = class_colors(labels)
    highest = max((score for words in shown.values() for _, score in words), default=1.0)
    limit = amplitude_limit(*waveforms.values()) if waveforms else 1.0
    for index, label in enumerate(labels):
        column = index % per_row * len(panels)
        last = index + per_row >= len(labels)  # nothing below
        for offset, panel in enumerate(panels):
            axes = fig.add_subplot(grid[index // per_row, column + offset])
            axes.set_title(label if offset == 0 else " ", color=colors[label])
            if panel == "keywords":
                _draw_keywords(axes, shown[label], colors[label], highest, most_words, last)
            elif waveforms is not None and sampling_rate is not None:
                _draw_key_frames(axes, waveforms[label], sampling_rate, colors[label], limit, last)
    return fig


def _class_names(
    keywords: Mapping[str, Sequence[tuple[str, float]]] | None,
    waveforms: Mapping[str, np.ndarray] | None,
    sampling_rate: int | None,
) -> list[str]:
    if not keywords and not waveforms:
        raise ValueError("give keywords, waveforms, or both, of at least one class")
    if waveforms and not sampling_rate:
        raise ValueError("waveforms need their sampling_rate (Hz)")
    if keywords and waveforms and set(keywords) != set(waveforms):
        raise ValueError(f"keywords are of the classes {sorted(keywords)}, waveforms of {sorted(waveforms)}")
    return list(keywords or waveforms or ())


def _draw_keywords(
    axes: Axes, words: list[tuple[str, float]], color: str, highest: float, rows: int, last: bool
) -> None:
    names = [word if len(word) <= _LONGEST_KEYWORD else word[: _LONGEST_KEYWORD - 1] + "…" for word, _ in words]
    scores = [score for _, score in words]
    positions = np.arange(len(words))
    bars = axes.barh(positions, scores, height=0.68, color=color)
    decimals = max(0, 2 - int(np.floor(np.log10(highest)))) if highest > 0 else 0  # three digits for the highest
    numbers = [f"{score:.{decimals}f}" for score in scores]
    axes.bar_label(bars, numbers, padding=3, fontsize=SMALL_FONT_SIZE - 1, color=FAINT_INK)
    axes.set_yticks(positions, names)
    axes.tick_params(axis="y", length=0)
    # as many rows in every class, so that bars are equally thick
    axes.set_ylim(max(rows, 1) - 0.4, -0.6)
    axes.set_xlim(0, 1.22 * highest if highest > 0 else 1)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    if not words:
        axes.text(0.02, 0.5, "no keywords", transform=axes.transAxes, va="center", color=FAINT_INK)
        axes.spines["left"].set_visible(False)
    if last:
        axes.set_xlabel("TF-IDF score")


def _draw_key_frames(
    axes: Axes, waveform: np.ndarray, sampling_rate: int, color: str, limit: float, last: bool
) -> None:
    draw_waveform(axes, waveform, sampling_rate, color, limit)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    if not np.size(waveform):
        axes.text(0.02, 0.5, "no key frames", transform=axes.transAxes, va="center", color=FAINT_INK)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    if last:
        axes.set_xlabel("time in the joined key frames (s)")
