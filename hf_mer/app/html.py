"""Scores, words and messages as HTML that a screen reader can follow: tables, descriptions, numbers beside colours."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hf_mer.app.utterance import Prediction, Scores, decide
from hf_mer.plots.style import class_colors

KEYWORDS_SHOWN = 12
_DRAWING = threading.Lock()  # matplotlib's settings belong to all threads


def alert_html(message: str) -> str:
    """What went wrong; empty without a message."""
    return (
        f'<div class="hm-alert" role="alert"><strong>Not possible.</strong> {escape(message)}</div>' if message else ""
    )


def notices_html(notices: Sequence[str]) -> str:
    """What a visitor should know."""
    return "".join(f'<p class="hm-note" role="note">{escape(notice)}</p>' for notice in notices)


def verdict_html(scores: Scores, labels: Sequence[str], threshold: float) -> str:
    """The decision in one line, or that there is none."""
    label, best = decide(scores, threshold), scores[0]
    color = class_colors(labels)[best["label"]]
    if label is None:
        return (
            f'<p class="hm-verdict hm-none" role="status">No decision: the best score, {best["score"]:.2f} for '
            f"{escape(best['label'])}, is below {threshold:.2f}.</p>"
        )
    return (
        f'<p class="hm-verdict" role="status"><span class="hm-dot" style="--c:{color}"></span>'
        f"<strong>{escape(label)}</strong> {best['score']:.2f}</p>"
    )


def scores_html(scores: Scores, labels: Sequence[str], threshold: float, caption: str = "Scores") -> str:
    """Scores as a table of bars, the threshold as a line through them.

    Args:
        scores: Best first.
        labels: Classes in the order of the logits, which gives them their colours.
        threshold: Below it there is no decision.
        caption: Of the table.
    """
    colors = class_colors(labels)
    rows = [
        f'<tr class="{"hm-best" if place == 0 else ""}"><th scope="row">{escape(item["label"])}</th>'
        '<td class="hm-cell">'
        f'<div class="hm-bar" style="--c:{colors[item["label"]]};width:{100 * item["score"]:.1f}%"></div>'
        f'<i class="hm-mark" style="left:{100 * threshold:.0f}%"></i></td>'
        f'<td class="hm-number">{item["score"]:.2f}</td></tr>'
        for place, item in enumerate(scores)
    ]
    return f'<table class="hm-scores"><caption>{escape(caption)}</caption><tbody>{"".join(rows)}</tbody></table>'


def comparison_html(columns: Mapping[str, Scores], labels: Sequence[str], threshold: float) -> str:
    """The tables of several predictions side by side, one below the other where the page is narrow."""
    tables = [
        f"<section>{scores_html(scores, labels, threshold, caption=name)}"
        f"{verdict_html(scores, labels, threshold)}</section>"
        for name, scores in columns.items()
    ]
    return f'<div class="hm hm-compare">{"".join(tables)}</div>'


def words_html(words: Sequence[Mapping[str, Any]], label: str, keywords: Sequence[str] = ()) -> str:
    """Words on a ground as strong as their label attention; those among the keywords of the label are underlined.

    Args:
        words: As the pipeline gives them.
        label: Whose attention is shown.
        keywords: Of that label.
    """
    strengths = scaled(np.array([word[label] for word in words]))
    known = {keyword.casefold() for keyword in keywords}
    groups: dict[bool, list[str]] = {False: [], True: []}
    for word, strength in zip(words, strengths, strict=True):
        shown = str(word["word"])
        is_keyword = shown.strip(".,;:!?…\"'()").casefold() in known
        groups[bool(word["current"])].append(
            f'<span class="hm-word{" hm-key" if is_keyword else ""}" style="--a:{strength:.2f}" '
            f'title="{escape(shown)}: {word[label]:.3f}{", keyword" if is_keyword else ""}">{escape(shown)}</span>'
        )
    parts = []
    if groups[False]:
        parts.append(f'<p class="hm-words hm-before"><b>Before:</b> {" ".join(groups[False])}</p>')
    if groups[True]:
        parts.append(f'<p class="hm-words">{" ".join(groups[True])}</p>')
    return "".join(parts)


def keywords_html(keywords: Sequence[str], label: str) -> str:
    """The first keywords of a label; empty without any."""
    if not keywords:
        return ""
    shown = " ".join(f"<li>{escape(word)}</li>" for word in keywords[:KEYWORDS_SHOWN])
    return f'<h3>Keywords of {escape(label)}</h3><ul class="hm-keywords">{shown}</ul>'


def result_html(prediction: Prediction, labels: Sequence[str], threshold: float, calibration: str) -> str:
    """Decision, scores and what is to be known about them."""
    recognised = (
        f'<p class="hm-note">Recognised words: <q>{escape(prediction.text)}</q></p>' if prediction.recognised else ""
    )
    return (
        f'<div class="hm">{verdict_html(prediction.scores, labels, threshold)}'
        f"{scores_html(prediction.scores, labels, threshold)}{recognised}"
        f'{notices_html(prediction.notices)}<p class="hm-small">{escape(calibration)}</p></div>'
    )


def attention_html(prediction: Prediction, label: str, keywords: Sequence[str]) -> str:
    """Waveform and words, coloured by the label attention of a class, and the keywords of the class.

    A model without label attention has the waveform alone.
    """
    parts = []
    if prediction.envelope is not None:
        parts.append(f"<h3>Sound</h3>{_sound_html(prediction.envelope, prediction.seconds, prediction.frames, label)}")
    if prediction.words:
        parts.append("<h3>Words</h3>" + words_html(prediction.words, label, keywords))
    if prediction.explained:
        parts.append(
            '<p class="hm-legend"><span>least</span><span class="hm-scale" aria-hidden="true"></span>'
            f"<span>most attention for <strong>{escape(label)}</strong> in this utterance</span></p>"
        )
    parts.append(keywords_html(keywords, label))
    return f'<div class="hm">{"".join(parts)}</div>' if any(parts) else ""


def _sound_html(envelope: np.ndarray, seconds: float, frames: Mapping[str, Sequence[float]], label: str) -> str:
    from hf_mer.plots.attention import speech_attention

    times, values = (np.asarray(frames[name]) if frames else None for name in ("seconds", label))
    told = ""
    if times is not None and values is not None:
        told = f"; most attention for {label} at {times[np.argmax(values)]:.1f} s"
    return figure_html(
        lambda: speech_attention(envelope, seconds, times, values), f"Waveform of {seconds:.1f} seconds{told}"
    )


def figure_html(draw: Callable[[], Figure], description: str) -> str:
    """A figure of the package as a picture that scales with the page; its style turns it for a dark page.

    `gr.Plot` would give it neither a description nor colours for a dark page.

    Args:
        draw: Makes the figure.
        description: For who cannot see it.
    """
    content = io.StringIO()
    with _DRAWING:
        draw().savefig(content, format="svg", transparent=True, metadata={"Date": None})
    svg = content.getvalue().replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans', sans-serif")
    data = base64.b64encode(svg.encode()).decode()
    return f'<img class="hm-figure" alt="{escape(description)}" src="data:image/svg+xml;base64,{data}">'


def scaled(values: np.ndarray) -> np.ndarray:
    """Values in their own range, 0 to 1, shape `(N,)`; zeros where they are all the same."""
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    return (values - low) / (high - low) if high - low > 1e-9 else np.zeros_like(values)
