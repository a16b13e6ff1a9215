"""Where in an utterance the labels are heard and read: label attention over the waveform and over the words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hf_mer.plots.style import FAINT_INK, HEAT, INK, SMALL_FONT_SIZE, class_colors, figure, ink_on, styled
from hf_mer.plots.waveform import amplitude_limit, draw_waveform
from hf_mer.plots.word_boxes import ROW_HEIGHT, draw_words, fit_words

_WAVEFORM_HEIGHT, _CURVE_HEIGHT = 1.35, 1.35  # inches, titles and ticks included
_CURVES = "by class, and their mean (dashed)"
_SMALL_TITLE: dict[str, Any] = {"fontsize": SMALL_FONT_SIZE, "fontweight": "normal"}
_DECORATIONS = 0.8  # inches above and below the words
_FULL = 0.8  # probability from which a bar has its number inside
_SMALLEST_RANGE = 0.02  # of cosines, that is drawn in all colours


@styled
def label_attention(
    labels: Sequence[str],
    *,
    waveform: np.ndarray | None = None,
    sampling_rate: int | None = None,
    frame_times: np.ndarray | None = None,
    frame_attention: np.ndarray | None = None,
    tokens: Sequence[str] | None = None,
    token_attention: np.ndarray | None = None,
    word_times: np.ndarray | None = None,
    times_estimated: bool = False,
    scores: Sequence[float] | None = None,
    true_label: str | None = None,
    title: str | None = None,
) -> Figure:
    """Label attention of one utterance: `G_s` over its waveform, `G_t` over its words, and what was predicted.

    The waveform lies on a band whose colour is `G_s` averaged over the classes, as in the paper; below it stand the
    average and each class as a curve. Where it is known when words are said, they stand below their segment of the
    waveform, and thin lines mark where they begin and end. Words are coloured by the average of `G_t`; the strip below
    a word has the colour of the class that the word resembles most. All of this is similarity to the labels'
    embeddings; it does not explain the decision. The arguments are the numbers behind the figure,
    and [`mean_attention`] the averages.

    Source: LE-MER, figure 4.

    Args:
        labels: Names of the classes. Length `C`.
        waveform: Mono samples. Shape `(N,)`. `None` for text alone.
        sampling_rate: Of the waveform, in Hz.
        frame_times: Centres of the frames in seconds, increasing. Shape `(S,)`.
        frame_attention: `G_s` by class. Shape `(S, C)`.
        tokens: Words, pieces already joined. Length `T`. `None` for speech alone.
        token_attention: `G_t` by class. Shape `(T, C)`.
        word_times: Start and end of each word in seconds: the words stand below the waveform where they are said.
            Without them, or without a waveform, they stand one after the other. Shape `(T, 2)`.
        times_estimated: Whether these times are a guess, which the figure then says.
        scores: Probability of each class. Length `C`.
        true_label: Name of the true class.
        title: Title of the figure.

    Returns:
        The figure, as tall as the words need at its width; leave the width as it is, or words will overlap.

    Raises:
        ValueError: If there is neither waveform nor tokens, something that goes with them is missing, or shapes do
            not fit.
    """
    _check(labels, waveform, sampling_rate, frame_times, frame_attention, tokens, token_attention, scores, true_label)
    if tokens is not None and word_times is not None and np.shape(word_times) != (len(tokens), 2):
        raise ValueError(f"word_times has the shape {np.shape(word_times)}, expected ({len(tokens)}, 2)")
    speech, text = waveform is not None, tokens is not None
    colors = class_colors(labels)
    fig = figure(8.4, 4.0, title)
    left, right = fig.subfigures(1, 2, width_ratios=(4.4, 1.25), squeeze=False)[0]
    draw_scores(right, labels, scores, true_label, colors)
    heights = [_WAVEFORM_HEIGHT, _CURVE_HEIGHT] * speech + [ROW_HEIGHT + _DECORATIONS] * text
    grid = left.add_gridspec(len(heights) + 1, 1, height_ratios=[*heights, 1e-3])  # the last row may stay empty
    panels = [left.add_subplot(grid[row]) for row in range(len(heights))]
    if waveform is not None and sampling_rate and frame_times is not None and frame_attention is not None:
        _draw_speech(left, panels[0], panels[1], waveform, sampling_rate, frame_times, frame_attention, labels, colors)
    if speech and word_times is not None and not times_estimated:
        _mark_words(panels[:2], word_times)
        panels[1].set_title(f"{_CURVES}; dotted lines: where words begin and end", **_SMALL_TITLE)
    if tokens is not None and token_attention is not None:
        duration = None if waveform is None or not sampling_rate else len(waveform) / sampling_rate
        shares = None if word_times is None or duration is None else np.clip(word_times / duration, 0, 1)
        words_height = _draw_text(fig, left, panels[-1], tokens, token_attention, labels, colors, shares)
        if shares is not None:
            how = "words at estimated times" if times_estimated else "words at their times"
            panels[-1].set_title(f"Text: label attention Gₜ (similarity), mean; {how}")
        heights[-1] = words_height + _DECORATIONS
    beside = 0.9 + 0.25 * len(labels)
    grid.set_height_ratios([*heights, max(beside - sum(heights), 1e-3)])
    fig.set_size_inches(8.4, max(sum(heights), beside) + 0.35 * bool(title))
    if text:
        # one unit of the panel is one inch: rows keep their height where the panel is taller than they are
        fig.draw_without_rendering()
        panels[-1].set_ylim(max(float(panels[-1].get_window_extent().height) / fig.dpi, words_height), 0)
    return fig


def mean_attention(attention: np.ndarray) -> np.ndarray:
    """Average over classes, as figure 4 of the paper draws it: `(L, C)` to `(L,)`."""
    return np.asarray(attention, dtype=np.float64).mean(axis=1)


def _draw_speech(
    part: SubFigure,
    wave_axes: Axes,
    curve_axes: Axes,
    waveform: np.ndarray,
    sampling_rate: int,
    frame_times: np.ndarray,
    frame_attention: np.ndarray,
    labels: Sequence[str],
    colors: dict[str, str],
) -> None:
    mean = mean_attention(frame_attention)
    limit = amplitude_limit(waveform)
    norm = _norm(mean)
    wave_axes.pcolormesh(_edges(frame_times), [-limit, limit], mean[None], cmap=HEAT, norm=norm, rasterized=True)
    draw_waveform(wave_axes, waveform, sampling_rate, "#4D4D4D", limit)
    wave_axes.set_title("Speech: label attention Gₛ (similarity to the labels), mean")
    wave_axes.tick_params(labelbottom=False)
    _heat_bar(part, wave_axes, norm)
    for label, curve in zip(labels, np.asarray(frame_attention).T, strict=True):
        curve_axes.plot(frame_times, curve, color=colors[label], linewidth=1.1, label=label)
    curve_axes.set_title(_CURVES, **_SMALL_TITLE)
    curve_axes.plot(frame_times, mean, color=INK, linewidth=2.0, linestyle=(0, (3, 1.2)), label="mean")
    curve_axes.set_xlim(wave_axes.get_xlim())
    curve_axes.set_xlabel("time (s)")
    curve_axes.set_ylabel("Gₛ")
    curve_axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    curve_axes.grid(True, axis="y")


def _mark_words(panels: Sequence[Axes], word_times: np.ndarray) -> None:
    """Lines through the waveform and the curves where words begin and end; no lines for times that are a guess."""
    for axes in panels:
        limits = axes.get_ylim()
        axes.vlines(np.unique(word_times), *limits, color=INK, linewidth=0.5, linestyle=(0, (2, 2)), alpha=0.6)
        axes.set_ylim(limits)


def _draw_text(
    fig: Figure,
    part: SubFigure,
    axes: Axes,
    tokens: Sequence[str],
    token_attention: np.ndarray,
    labels: Sequence[str],
    colors: dict[str, str],
    shares: np.ndarray | None,
) -> float:
    """Draw the words, at these shares of the width if given, and return the inches that they are high."""
    mean = mean_attention(token_attention)
    norm = _norm(mean)
    axes.set_title("Text: label attention Gₜ (similarity to the labels), mean")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("strip below a word: the class that it is most similar to", fontsize=SMALL_FONT_SIZE, loc="left")
    _heat_bar(part, axes, norm)
    strips = [colors[labels[index]] for index in np.argmax(token_attention, axis=1)]
    # only a layout tells how wide the panel is; its width does not depend on what is written into it
    fig.draw_without_rendering()
    width = float(axes.get_window_extent().width) / fig.dpi
    words, widths = fit_words(fig, tokens, width)
    height = draw_words(
        axes, words, widths, mean, width, HEAT, norm, strips, None if shares is None else shares * width
    )
    return max(height, 2 * ROW_HEIGHT)  # the colour bar needs the height of two rows


def draw_scores(
    panel: SubFigure,
    labels: Sequence[str],
    scores: Sequence[float] | None,
    true_label: str | None,
    colors: dict[str, str],
) -> None:
    """Bars of the predicted probabilities, which name the classes' colours too; without scores, only the names."""
    if scores is None:
        panel.legend(handles=[Patch(color=colors[label], label=label) for label in labels], loc="center")
        return
    draw_score_bars(panel.add_subplot(), labels, scores, true_label, colors)


def draw_score_bars(
    axes: Axes, labels: Sequence[str], scores: Sequence[float], true_label: str | None, colors: dict[str, str]
) -> None:
    """Bars of the predicted probabilities, which name the classes' colours too."""
    predicted = int(np.argmax(scores))
    bars = axes.barh(range(len(labels)), scores, height=0.66, color=[colors[label] for label in labels])
    for bar, score, label in zip(bars, scores, labels, strict=True):
        inside = score > _FULL  # there is no room behind it
        axes.annotate(
            f"{score:.2f}", (score, bar.get_y() + bar.get_height() / 2), (-3 if inside else 3, 0), va="center",
            textcoords="offset points", ha="right" if inside else "left", fontsize=SMALL_FONT_SIZE,
            color=ink_on(colors[label]) if inside else INK,
        )  # fmt: skip
    names = [f"{label}\n(true)" if label == true_label else label for label in labels]
    axes.set_yticks(range(len(labels)), names)
    axes.get_yticklabels()[predicted].set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("probability")
    axes.set_title("Prediction")
    axes.axvline(0, color=FAINT_INK, linewidth=0.7)


def _heat_bar(part: SubFigure, axes: Axes, norm: Normalize) -> None:
    bar = part.colorbar(ScalarMappable(norm, HEAT), ax=axes, aspect=9, pad=0.015, fraction=0.05)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
    bar.outline.set_visible(False)


def _norm(values: np.ndarray) -> Normalize:
    """The utterance's own range: the attention's pattern is what is to be seen; the bar gives the numbers.

    Where all values are alike, there is no pattern, and none is made of their noise.
    """
    low, high = float(np.min(values)), float(np.max(values))
    return Normalize(low, max(high, low + _SMALLEST_RANGE))


def _edges(centres: np.ndarray) -> np.ndarray:
    """Edges of frames from their centres, `(S,)` to `(S + 1,)`."""
    centres = np.asarray(centres, dtype=np.float64)
    if len(centres) == 1:
        return np.array([0.0, 2 * centres[0]]) if centres[0] > 0 else np.array([0.0, 0.02])
    middles = (centres[:-1] + centres[1:]) / 2
    first, last = 2 * centres[0] - middles[0], 2 * centres[-1] - middles[-1]
    return np.concatenate([[first], middles, [last]])


def _check(
    labels: Sequence[str],
    waveform: np.ndarray | None,
    sampling_rate: int | None,
    frame_times: np.ndarray | None,
    frame_attention: np.ndarray | None,
    tokens: Sequence[str] | None,
    token_attention: np.ndarray | None,
    scores: Sequence[float] | None,
    true_label: str | None,
) -> None:
    if waveform is None and tokens is None:
        raise ValueError("give a waveform, tokens, or both")
    if waveform is not None:
        if not sampling_rate or frame_times is None or frame_attention is None:
            raise ValueError("a waveform needs sampling_rate (Hz), frame_times (seconds) and frame_attention")
        if not len(frame_times) or np.any(np.diff(frame_times) <= 0):
            raise ValueError("frame_times must be one or more seconds that increase")
        _check_attention("frame_attention", frame_attention, len(frame_times), len(labels))
    if tokens is not None:
        if token_attention is None or not len(tokens):
            raise ValueError("tokens need at least one word, and token_attention")
        _check_attention("token_attention", token_attention, len(tokens), len(labels))
    if scores is not None and len(scores) != len(labels):
        raise ValueError(f"{len(scores)} scores for the {len(labels)} classes {list(labels)}")
    if true_label is not None and true_label not in labels:
        raise ValueError(f"true_label {true_label!r} is not one of {list(labels)}")


def _check_attention(name: str, attention: np.ndarray, length: int, classes: int) -> None:
    if np.shape(attention) != (length, classes):
        raise ValueError(f"{name} has the shape {np.shape(attention)}, expected ({length}, {classes})")
    if not np.isfinite(attention).all():
        raise ValueError(f"{name} holds values that are not finite")
