"""Scores and messages as HTML that a screen reader can follow: tables, descriptions, numbers beside colours."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from html import escape

from matplotlib.figure import Figure

from hf_mer.app.utterance import Prediction, Scores, decide
from hf_mer.plots.style import class_colors

STALE = '<p class="hm-stale" role="status">The input has changed since. Press the button again.</p>'
"""Seen where the page's script marks results as old."""
_DRAWING = threading.Lock()  # matplotlib's settings belong to all threads


def alert_html(message: str) -> str:
    """What went wrong; empty without a message."""
    return f'<div class="hm-alert" role="alert">{escape(message)}</div>' if message else ""


def empty_html(told: str) -> str:
    """What stands where there is no result yet."""
    return f'<p class="hm-empty">{told}</p>'


def notices_html(notices: Sequence[str]) -> str:
    """What a visitor should know."""
    return "".join(f'<p class="hm-note" role="note">{escape(notice)}</p>' for notice in notices)


def verdict_html(scores: Scores, labels: Sequence[str], threshold: float) -> str:
    """The decision in one line, or that there is none."""
    label, best = decide(scores, threshold), scores[0]
    color = class_colors(labels)[best["label"]]
    if label is None:
        return (
            f'<p class="hm-verdict hm-none" role="status">No label: the best score, '
            f"{score_text(best['score'], threshold)} for {escape(best['label'])}, is below the threshold of "
            f"{threshold:.2f}.</p>"
        )
    return (
        f'<p class="hm-verdict" role="status"><span class="hm-dot" style="--c:{color}"></span>'
        f"<strong>{escape(label)}</strong> {best['score']:.2f}</p>"
    )


def score_text(score: float, threshold: float) -> str:
    """A score with two decimals, or as many as show that it is below the threshold."""
    digits = 2
    while digits < 6 and score < threshold and round(score, digits) >= round(threshold, digits):
        digits += 1
    return f"{score:.{digits}f}"


def scores_html(scores: Scores, labels: Sequence[str], threshold: float, caption: str = "Scores") -> str:
    """Scores as a table of bars, the threshold as a line through them.

    Args:
        scores: Best first.
        labels: Classes in the order of the logits, which gives them their colours.
        threshold: Below it there is no label.
        caption: Of the table.
    """
    colors = class_colors(labels)
    rows = [
        f'<tr class="{"hm-best" if place == 0 else ""}"><th scope="row">{escape(item["label"])}</th>'
        '<td class="hm-cell">'
        f'<div class="hm-bar" style="--c:{colors[item["label"]]};width:{100 * item["score"]:.1f}%"></div>'
        f'<i class="hm-mark" style="left:{100 * threshold:.0f}%"></i></td>'
        f'<td class="hm-number">{score_text(item["score"], threshold)}</td></tr>'
        for place, item in enumerate(scores)
    ]
    return (
        f'<table class="hm-scores"><caption>{escape(caption)} <small>dotted line: threshold</small></caption>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def comparison_html(
    columns: Mapping[str, Prediction], labels: Sequence[str], threshold: Callable[[Sequence[str]], float]
) -> str:
    """The tables of several predictions side by side, one below the other where the page is narrow.

    Args:
        columns: By what was used.
        labels: Classes in the order of the logits.
        threshold: By the modalities of a prediction.
    """
    tables = []
    for name, one in columns.items():
        least = threshold(one.modalities)
        tables.append(
            f"<section>{scores_html(one.scores, labels, least, caption=name)}"
            f"{verdict_html(one.scores, labels, least)}</section>"
        )
    return f'<div class="hm">{STALE}<div class="hm-compare">{"".join(tables)}</div></div>'


def result_html(
    prediction: Prediction, labels: Sequence[str], threshold: float, calibration: str, advice: str = ""
) -> str:
    """Decision, scores and what is to be known about them; what to do where there is no decision."""
    recognised = (
        f'<p class="hm-note">Recognised words: <q>{escape(prediction.text)}</q></p>' if prediction.recognised else ""
    )
    undecided = advice and decide(prediction.scores, threshold) is None
    told = f'<p class="hm-note" role="note">{escape(advice)}</p>' if undecided else ""
    return (
        f'<div class="hm">{STALE}{verdict_html(prediction.scores, labels, threshold)}{told}'
        f"{scores_html(prediction.scores, labels, threshold)}{recognised}"
        f'{notices_html(prediction.notices)}<p class="hm-small">{escape(calibration)}</p></div>'
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
