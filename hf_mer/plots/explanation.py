"""What a prediction went by: modalities, words, segments of sound and spans of video, for and against a class."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hf_mer.factors import factor_text, prior_text, shown_value
from hf_mer.plots.attention import draw_score_bars
from hf_mer.plots.for_against import (
    FOR_AGAINST,
    draw_factor_axis,
    draw_value_bars,
    place_color,
    value_norm,
)
from hf_mer.plots.style import FAINT_INK, INK, SMALL_FONT_SIZE, class_colors, figure, styled
from hf_mer.plots.waveform import draw_envelope, waveform_envelope
from hf_mer.plots.word_boxes import ROW_HEIGHT, draw_words, fit_words, wrap_boxes

WAVE_COLOR = "#4D4D4D"
_WIDTH, _MARGIN, _TICKS = 8.4, 0.12, 0.5  # inches: of the figure, around it, left of axes whose ticks are factors
_LEFT, _BETWEEN = 5.2, 0.35  # inches: of the panels at the left, and between them and those beside
_TITLE, _LABELS, _GAP = 0.3, 0.46, 0.08  # inches: above a panel, for what stands below its axis, else
_WAVEFORM, _BARS, _ROW = 0.75, 0.85, 0.22
_LINE, _CHARACTERS = 0.15, 140  # of the caption: inches of a line, and what fits into it


class _Panel(NamedTuple):
    title: str
    height: float  # inches of the axes
    below: float  # inches for what stands below them
    draw: Callable[[Axes], None]


@styled
def explanation_figure(
    explanation: Mapping[str, Any],
    labels: Sequence[str],
    scores: Sequence[float],
    *,
    waveform: np.ndarray | None = None,
    sampling_rate: int = 16000,
    true_label: str | None = None,
    true_words: Sequence[int] = (),
    true_spans: Sequence[tuple[float, float]] = (),
    title: str | None = None,
) -> Figure:
    """What speaks for and against a class in one utterance, in one scale of colours, and what was predicted.

    Words are coloured by their values, those of earlier utterances apart. Below the waveform each segment has a bar of
    its value, with a whisker of one standard error; spans of video likewise. Modalities are bars, and so is what they
    do together. The numbers behind the figure are the first argument.

    Args:
        explanation: As the pipeline gives it.
        labels: Names of the classes. Length `C`.
        scores: Probability of each class. Length `C`.
        waveform: Mono samples of the utterance. Shape `(N,)`.
        sampling_rate: Of the waveform, Hz.
        true_label: The right class, if it is known.
        true_words: Positions, among the words of the utterance itself, of those that truly carry the cue.
        true_spans: Start and end in seconds of where the voice truly carries its cue.
        title: Such as the name of the file.

    Returns:
        The figure, as tall as what it shows needs.
    """
    norm, fig = value_norm(explanation), figure(_WIDTH, 4.0)
    fig.set_layout_engine("none")  # all is placed in inches, for words need to know their width before they are drawn
    envelope, seconds = np.zeros((0, 3)), 0.0
    if waveform is not None and "speech" in explanation["modalities"]:
        envelope, seconds = waveform_envelope(waveform, sampling_rate), len(waveform) / sampling_rate
    left = [
        *_word_panels(fig, explanation["words"], norm, true_words),
        *_sound_panels(envelope, seconds, explanation["segments"], norm, true_spans, _LEFT),
        *_video_panels(explanation["video_spans"], norm),
    ]
    known = bool(len(true_words) or len(true_spans))
    right = [
        _score_panel(labels, scores, true_label),
        _modality_panel(explanation),
        _scale_panel(norm, known),
    ]
    told = f"for and against {explanation['label']}"
    told = f"{title}: {told}" if title else told.capitalize()
    _lay_out(fig, left, right, [*labels, *explanation["modalities"], "together"], _caption(explanation), told)
    return fig


@styled
def sound_explanation(
    envelope: np.ndarray, seconds: float, segments: Sequence[Mapping[str, Any]], norm: Normalize, width: float = 4.4
) -> Figure:
    """The waveform of an utterance, its segments tinted by their values, above bars of these, for a small page.

    Args:
        envelope: Of [`hf_mer.plots.waveform.waveform_envelope`]. Shape `(bins, 3)`.
        seconds: Length of the recording.
        segments: Of an explanation; without any there is the waveform alone.
        norm: Of [`hf_mer.plots.for_against.value_norm`].
        width: Of the figure, in inches.
    """
    fig = figure(width, 1.1 + 0.9 * bool(segments))
    panels = _sound_panels(envelope, seconds, segments, norm, (), width - 2 * _TICKS)
    for panel, axes in zip(panels, fig.subplots(len(panels), 1, squeeze=False)[:, 0], strict=True):
        panel.draw(axes)
    return fig


def _word_panels(
    fig: Figure, words: Sequence[Mapping[str, Any]], norm: Normalize, true_words: Sequence[int]
) -> list[_Panel]:
    panels = []
    for name, current in (("Earlier words", False), ("Words", True)):
        chosen = [word for word in words if word["current"] == current]
        if not chosen:
            continue
        shown, widths = fit_words(fig, [word["word"] for word in chosen], _LEFT)
        marked = set(true_words) if current else set()
        strips = [INK if place in marked else "none" for place in range(len(chosen))]
        values = np.array([shown_value(word) for word in chosen])

        def draw(
            axes: Axes, shown: Any = shown, widths: Any = widths, values: Any = values, strips: Any = strips
        ) -> None:
            draw_words(axes, shown, widths, values, _LEFT, FOR_AGAINST, norm, strips)

        panels.append(_Panel(name, wrap_boxes(widths, _LEFT)[2] * ROW_HEIGHT, 0.0, draw))
    return panels


def _sound_panels(
    envelope: np.ndarray,
    seconds: float,
    segments: Sequence[Mapping[str, Any]],
    norm: Normalize,
    true_spans: Sequence[tuple[float, float]],
    width: float,
) -> list[_Panel]:
    """The waveform and bars of its segments, as far as they are there, on the same axis, so many inches wide."""
    start = segments[0]["start"] if segments else 0.0  # of a window, seconds of its recording
    end = max(start + seconds, segments[-1]["end"] if segments else 0.0)

    def draw_wave(axes: Axes) -> None:
        loudest = float(np.abs(envelope[:, 1:]).max(initial=0)) or 1.0
        draw_envelope(axes, envelope / [1, loudest, loudest] + [start, 0, 0], seconds, WAVE_COLOR, 1.12)
        for segment in segments:
            axes.axvspan(segment["start"], segment["end"], color=place_color(segment, norm), alpha=0.5, lw=0, zorder=0)
        if any(segment.get("word") for segment in segments):
            _name_segments(axes, segments, width / (end - start))
        for span in true_spans:
            axes.plot(span, [-1.06, -1.06], color=INK, linewidth=2.5, solid_capstyle="butt")
        axes.set_xlim(start, end)
        _label_time(axes, not segments)

    def draw_bars(axes: Axes) -> None:
        draw_value_bars(axes, segments, norm)
        axes.set_xlim(start, end)
        _label_time(axes, True)

    wave = [_Panel("Sound", _WAVEFORM, _GAP if segments else _LABELS, draw_wave)] if len(envelope) else []
    bars = [_Panel("" if wave else "Sound", _BARS, _LABELS, draw_bars)] if segments else []
    return [*wave, *bars]


def _name_segments(axes: Axes, segments: Sequence[Mapping[str, Any]], inches: float) -> None:
    """Writes words above their segments where these are long enough; a second is so many inches."""
    axes.set_ylim(top=1.75)
    for segment in segments:
        middle, room = (segment["start"] + segment["end"]) / 2, (segment["end"] - segment["start"]) * inches
        text = axes.text(middle, 1.7, segment["word"] or "", fontsize=7, ha="center", va="top")
        if text.get_window_extent().width / axes.figure.dpi > room:
            text.remove()


def _video_panels(spans: Sequence[Mapping[str, Any]], norm: Normalize) -> list[_Panel]:
    """Bars over seconds, or over frames where their times are not known."""
    timed = [span for span in spans if span["start"] is not None]
    if not timed:
        timed = [{**span, "start": place + 0.5, "end": place + 1.5} for place, span in enumerate(spans)]

    def draw(axes: Axes) -> None:
        draw_value_bars(axes, timed, norm)
        axes.set_xlim(timed[0]["start"], timed[-1]["end"])
        axes.set_xlabel("time (s)" if spans[0]["start"] is not None else "frame")

    return [_Panel("Video", _BARS, _LABELS, draw)] if spans else []


def _label_time(axes: Axes, last: bool) -> None:
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel("time (s)")


def _score_panel(labels: Sequence[str], scores: Sequence[float], true_label: str | None) -> _Panel:
    def draw(axes: Axes) -> None:
        draw_score_bars(axes, labels, scores, true_label, class_colors(labels))

    row = _ROW if true_label is None else 1.4 * _ROW  # which stands below a name
    return _Panel("Prediction", row * len(labels) + 0.1, _LABELS, draw)


def _modality_panel(explanation: Mapping[str, Any]) -> _Panel:
    """A bar for each modality, and one for all together, which is outlined only."""
    values = {**explanation["modalities"], "together": np.log(explanation["score"] / explanation["prior"])}
    limit = max(np.log(2), *(abs(value) for value in values.values()))

    def draw(axes: Axes) -> None:
        colors = [FOR_AGAINST(1.0 if value > 0 else 0.0) for value in values.values()]
        bars = axes.barh(range(len(values)), list(values.values()), height=0.66, color=colors)
        bars[-1].set(facecolor="none", edgecolor=INK, linewidth=1.0)
        for place, value in enumerate(values.values()):
            side = 1 if value >= 0 else -1
            axes.annotate(
                factor_text(value), (value, place), (3 * side, 0), textcoords="offset points", va="center",
                ha="left" if value >= 0 else "right", fontsize=SMALL_FONT_SIZE,
            )  # fmt: skip
        axes.axvline(0, color=FAINT_INK, linewidth=0.7)
        axes.set_yticks(range(len(values)), list(values))
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.set_xlim(-1.75 * limit, 1.75 * limit)  # room for the numbers
        draw_factor_axis(axes.xaxis, limit)
        axes.spines["left"].set_visible(False)

    return _Panel("Modalities", _ROW * len(values) + 0.1, 0.3, draw)


def _scale_panel(norm: Normalize, known: bool) -> _Panel:
    """The scale of colours with its ends named, and what a black line means."""

    def draw(axes: Axes) -> None:
        bar = axes.figure.colorbar(ScalarMappable(norm, FOR_AGAINST), cax=axes, orientation="horizontal")
        bar.outline.set_linewidth(0.5)
        draw_factor_axis(axes.xaxis, float(norm.vmax or 0))
        told = "against  ↔  for"
        axes.set_xlabel(f"{told}\n━ where the cue truly is" if known else told)

    return _Panel("Colours", 0.12, _LABELS + 0.16 * known, draw)


def _caption(explanation: Mapping[str, Any]) -> str:
    """How to read the figure, in lines that fit it."""
    label = explanation["label"]
    parts = [
        f"×2: a part doubles the probability of {label}, ÷2: it halves it, on average over what else is there. "
        f"Together they lead {prior_text(explanation)}. A word or frame that is left out is missing, and "
        "a segment of sound is faint noise."
    ]
    spans = [*explanation["segments"], *explanation["video_spans"]]
    places = [*explanation["words"], *spans]
    if any(place["error"] > 0 for place in spans):
        parts.append("Whiskers: one standard error.")
    if any(shown_value(place) == 0 for place in places):
        parts.append("Without colour: within one standard error of no change.")
    told = [" ".join(parts), *explanation.get("warnings", [])]
    return "\n".join(line for part in told for line in textwrap.wrap(part, _CHARACTERS))


def _lay_out(
    fig: Figure, left: Sequence[_Panel], right: Sequence[_Panel], names: Sequence[str], caption: str, title: str
) -> None:
    """Gives the figure its height and the panels their places; columns begin at the top."""
    head, lines = 0.38, caption.count("\n") + 1
    column = max(
        sum(_TITLE * bool(panel.title) + panel.height + panel.below for panel in side) for side in (left, right)
    )
    height = head + column + lines * _LINE + 0.22
    fig.set_size_inches(_WIDTH, height)
    fig.suptitle(title, x=_MARGIN / _WIDTH, y=1 - 0.1 / height, ha="left", va="top")
    end = _WIDTH - 2 * _MARGIN  # half of a tick stands beyond its axes
    before = _MARGIN + (_TICKS + _LEFT + _BETWEEN if left else 0.0)
    beside = before + 0.1 + float(fit_words(fig, names, 1.3)[1].max())
    for side, start, width in ((left, _MARGIN + _TICKS, _LEFT), (right, beside, end - beside)):
        top = height - head
        for panel in side:
            top -= _TITLE * bool(panel.title) + panel.height
            axes = fig.add_axes((start / _WIDTH, top / height, width / _WIDTH, panel.height / height))
            panel.draw(axes)
            axes.set_title(panel.title)
            top -= panel.below
    fig.text(_MARGIN / _WIDTH, 0.08 / height, caption, fontsize=SMALL_FONT_SIZE, color=FAINT_INK, va="bottom")
