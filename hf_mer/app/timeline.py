"""A time line of emotions: a ribbon of what was recognised, a curve per class, and the same as a table."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from urllib.parse import quote

from hf_mer.app.colors import page_colors
from hf_mer.app.recording import Timeline, csv_of, timeline_rows
from hf_mer.app.waveform import axis_html

_WIDTH, _HEIGHT = 1000, 100  # units of the drawing; the page's style gives its size
_DASHES = ("none", "7 3", "2 3", "9 3 2 3", "1 2", "12 4", "5 5", "3 1", "8 2 1 2")

_SAID = ' class="hm-said"'


def timeline_html(timeline: Timeline, labels: Sequence[str], threshold: float) -> str:
    """Ribbon and curves.

    Args:
        timeline: Of a recording.
        labels: Classes in the order of the logits, which gives them their colours and dashes.
        threshold: A window whose best score is below it has no decision: a gap in the ribbon.
    """
    colors = page_colors(labels)
    rows = timeline_rows(timeline, labels, threshold)
    end = timeline.seconds
    middles = [(row["start"] + row["end"]) / 2 for row in rows]
    borders = [0.0, *((left + right) / 2 for left, right in pairwise(middles)), end]
    ribbon = "".join(
        _block(row, max(left, row["start"]), min(right, row["end"]), end, colors[row["emotion"]])
        for row, (left, right) in zip(rows, pairwise(borders), strict=True)
        if row["emotion"]
    )
    curves = "".join(_curve(label, place, colors[label], middles, rows, end) for place, label in enumerate(labels))
    line = f'<line class="hm-threshold" x1="0" x2="{_WIDTH}" y1="{_y(threshold):.1f}" y2="{_y(threshold):.1f}"/>'
    legend = "".join(
        f'<li style="{colors[label]}"><svg class="hm-key-line" aria-hidden="true" viewBox="0 0 30 8">'
        f'<line x1="0" x2="30" y1="4" y2="4" style="stroke-dasharray:{_dash(place)}"/></svg>{escape(label)}</li>'
        for place, label in enumerate(labels)
    )
    described = f"Emotions over {end:.0f} seconds in {len(rows)} windows; the table below has the numbers"
    return (
        f'<div class="hm"><ul class="hm-classes">{legend}</ul><div class="hm-plot hm-timeline">'
        f'<svg class="hm-ribbon" role="img" viewBox="0 0 {_WIDTH} 10" preserveAspectRatio="none">'
        f"<title>{escape(described)}</title>{ribbon}</svg>"
        f'<svg class="hm-curves" aria-hidden="true" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none">'
        f"{line}{curves}</svg>{axis_html(end)}</div>"
        '<p class="hm-small">Upper ribbon: the emotion of every window, blank without a decision. '
        "Curves: scores from 0 to 1; the thin line is the threshold.</p></div>"
    )


def table_html(timeline: Timeline, labels: Sequence[str], threshold: float) -> str:
    """The windows as a table, which scrolls by itself where the page is narrow, and as a CSV file to download.

    The file is in the page itself, so that the server has nothing to keep.
    """
    rows = timeline_rows(timeline, labels, threshold)
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
        f'<p><a class="hm-download" download="time_line.csv" href="data:text/csv;charset=utf-8,{quote(csv_of(rows))}">'
        "Download as CSV</a></p></div>"
    )


def _block(row: dict, start: float, stop: float, end: float, style: str) -> str:
    """A part of the ribbon; neighbours meet half-way between the middles of their windows."""
    return (
        f'<rect class="hm-fill" style="{style}" x="{_x(start, end):.1f}" y="0" '
        f'width="{_x(stop - start, end):.1f}" height="10"><title>{row["start"]:g} to {row["end"]:g} s: '
        f"{escape(row['emotion'])}</title></rect>"
    )


def _curve(label: str, place: int, style: str, middles: list[float], rows: list[dict], end: float) -> str:
    points = [(_x(middle, end), _y(row[label])) for middle, row in zip(middles, rows, strict=True)]
    points = [(0.0, points[0][1]), *points, (float(_WIDTH), points[-1][1])]
    drawn = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
    return f'<polyline class="hm-line" style="{style};stroke-dasharray:{_dash(place)}" points="{drawn}"/>'


def _x(seconds: float, end: float) -> float:
    return _WIDTH * seconds / end


def _y(score: float) -> float:
    return _HEIGHT * (0.98 - 0.96 * score)


def _dash(place: int) -> str:
    return _DASHES[place % len(_DASHES)]


def _shown(name: str, value: object, labels: Sequence[str]) -> str:
    if name == "emotion" and not value:
        return "no decision"
    if isinstance(value, float):
        return f"{value:.2f}" if name in labels else f"{value:.1f}"
    return str(value)
