"""A timeline of emotions as a figure, a table and a CSV file."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

import numpy as np

from hf_mer.app.html import figure_html
from hf_mer.app.recording import Timeline, csv_of, timeline_rows

_SAID = ' class="hm-said"'


def timeline_html(timeline: Timeline, labels: Sequence[str], thresholds: Sequence[float]) -> str:
    """Ribbon and curves, which scroll by themselves where the page is narrow.

    Args:
        timeline: Of a recording.
        labels: Classes in the order of the logits, which gives them their colours and dashes.
        thresholds: Of every window; where its best score is below it the ribbon has a gap.
    """
    from hf_mer.models.timed_words_mer import timeline_words
    from hf_mer.plots.timeline import emotion_timeline

    rows = timeline_rows(timeline, labels, thresholds)
    spans = np.array([[row["start"], row["end"]] for row in rows])
    scores = np.array([[row[label] for label in labels] for row in rows])
    decisions = [row["emotion"] or None for row in rows]
    described = f"Emotions over {timeline.seconds:.0f} seconds in {len(rows)} windows; the table below has the numbers"
    words = timeline_words(timeline.windows)
    picture = figure_html(lambda: emotion_timeline(spans, scores, labels, decisions, thresholds, words), described)
    return (
        f'<div class="hm"><div class="hm-timeline" tabindex="0" role="region" aria-label="Timeline">{picture}</div>'
        '<p class="hm-small">Top bar: the emotion of every window, blank where no label passed the threshold.'
        "</p></div>"
    )


def table_html(timeline: Timeline, labels: Sequence[str], thresholds: Sequence[float]) -> str:
    """The windows as a table, which scrolls by itself where the page is narrow, and as a CSV file to download.

    The file is in the page itself, so that the server has nothing to keep.
    """
    rows = timeline_rows(timeline, labels, thresholds)
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    body = []
    for row in rows:
        cells = "".join(
            f"<td{_SAID if name == 'text' else ''}>{escape(_shown(name, value, labels))}</td>"
            for name, value in row.items()
        )
        body.append(f"<tr>{cells}</tr>")
    return (
        '<div class="hm"><div class="hm-scroll" tabindex="0" role="region" aria-label="Emotions by window">'
        f'<table class="hm-table"><thead><tr>{heads}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
        f'<p><a class="hm-download" download="timeline.csv" href="data:text/csv;charset=utf-8,{quote(csv_of(rows))}">'
        "Download as CSV</a></p></div>"
    )


def _shown(name: str, value: object, labels: Sequence[str]) -> str:
    if name == "emotion" and not value:
        return "no label"
    if isinstance(value, float):
        return f"{value:.2f}" if name in labels else f"{value:.1f}"
    return str(value)
