"""An explanation as HTML: modalities as bars, words, sound and video in one scale of colours, and all numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.colors import Normalize

from hf_mer.app.explaining import notices_of
from hf_mer.app.html import figure_html, notices_html
from hf_mer.app.texts import EXPLANATION_TIME, explanation_limits
from hf_mer.app.utterance import Prediction
from hf_mer.factors import factor_text, shown_value
from hf_mer.plots.for_against import AGAINST, FOR, factor_ticks, place_color, value_norm
from hf_mer.plots.style import ink_on

_STEPS = 8  # of the legend's colours, from nothing to each end


def explanation_html(prediction: Prediction, explanation: Mapping[str, Any], system: str) -> str:
    """What speaks for and against the class that is explained.

    Args:
        prediction: Whose waveform is drawn.
        explanation: As the pipeline gives it.
        system: Type of the model, for how true its explanations were found.
    """
    label, norm, notices = str(explanation["label"]), value_norm(explanation), notices_of(explanation)
    parts = [
        f"<h3>What speaks for and against {escape(label)}</h3>",
        f'<p class="hm-small">{_told(explanation)}</p>',
        modalities_html(explanation),
        *([_legend(label, norm)] if _places(explanation) else []),
        _words_part(explanation["words"], label, norm),
        _sound_part(prediction, explanation, norm),
        _video_part(explanation["video_spans"], label, norm),
        notices_html([" ".join([*notices, EXPLANATION_TIME])] if notices else []),
        values_html(explanation),
        f'<p class="hm-small">{explanation_limits(system)}</p>',
    ]
    return f'<div class="hm hm-explanation">{"".join(parts)}</div>'


def modalities_html(explanation: Mapping[str, Any]) -> str:
    """The values of modalities as bars to the right, for, and to the left, against."""
    values = {**explanation["modalities"], "together": math.log(explanation["score"] / explanation["prior"])}
    limit = max(math.log(2), *(abs(value) for value in values.values()))
    rows = []
    for name, value in values.items():
        width = 50 * abs(value) / limit
        left = 50 if value > 0 else 50 - width
        style = f"--c:{FOR if value > 0 else AGAINST};left:{left:.1f}%;width:{width:.1f}%"
        kind = "hm-signed hm-valued hm-total" if name == "together" else "hm-signed hm-valued"
        rows.append(
            f'<tr><th scope="row">{name}</th><td class="hm-cell hm-centred"><div class="{kind}" style="{style}"></div>'
            f'</td><td class="hm-number">{factor_text(value)}</td></tr>'
        )
    return (
        '<table class="hm-scores hm-modalities"><caption>Modalities <small>against ↔ for</small></caption>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def words_html(words: Sequence[Mapping[str, Any]], label: str, norm: Normalize) -> str:
    """Words on the colour of their value, those of earlier utterances apart."""
    groups: dict[bool, list[str]] = {False: [], True: []}
    for word in words:
        groups[bool(word["current"])].append(_coloured(word["word"], word, label, norm))
    parts = []
    if groups[False]:
        parts.append(f'<p class="hm-words hm-before"><b>Earlier:</b> {" ".join(groups[False])}</p>')
    if groups[True]:
        parts.append(f'<p class="hm-words">{" ".join(groups[True])}</p>')
    return "".join(parts)


def values_html(explanation: Mapping[str, Any]) -> str:
    """All numbers, for who cannot see the colours."""
    rows = [("modality", name, {"value": value, "error": 0.0}) for name, value in explanation["modalities"].items()]
    rows += [("word" if word["current"] else "earlier word", word["word"], word) for word in explanation["words"]]
    rows += [("sound", _span(segment), segment) for segment in explanation["segments"]]
    rows += [("video", _span(span, place), span) for place, span in enumerate(explanation["video_spans"], start=1)]
    body = "".join(
        f"<tr><td>{kind}</td><td>{escape(what)}</td><td>{factor_text(place['value'])}</td>"
        f"<td>{place['value']:+.2f}</td><td>{place['error']:.2f}</td></tr>"
        for kind, what, place in rows
    )
    heads = ("part", "which", f"{explanation['label']} becomes", "log-probability", "standard error")
    names = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    return (
        "<details><summary>All values as a table</summary>"
        '<div class="hm-scroll" tabindex="0" role="region" aria-label="Values of the explanation">'
        f'<table class="hm-table"><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div></details>'
    )


def _told(explanation: Mapping[str, Any]) -> str:
    """From where to where the values lead, and how to read them."""
    label = escape(explanation["label"])
    alike = ", taken as equal for all classes," if explanation["prior_source"] == "uniform" else ""
    return (
        f"Before anything is seen, {label} has the probability {explanation['prior']:.2f}{alike} and with "
        f"everything {explanation['score']:.2f}. ×2: this part doubles it; ÷2: this part halves it."
    )


def _legend(label: str, norm: Normalize) -> str:
    """The scale of colours with its ends named."""
    limit = float(norm.vmax or 0)
    values = (step * limit / _STEPS for step in range(-_STEPS, _STEPS + 1))
    colors = ", ".join(place_color({"value": value, "error": 0.0}, norm) for value in values)
    ticks = "".join(
        f'<i style="left:{50 + 50 * value / limit:.1f}%">{text}</i>' for value, text in factor_ticks(limit)
    )
    return (
        f'<div class="hm-legend"><span>against</span><div class="hm-scale"><div class="hm-valued" '
        f'style="background:linear-gradient(90deg, {colors})"></div>{ticks}</div>'
        f"<span>for <strong>{escape(label)}</strong></span></div>"
    )


def _words_part(words: Sequence[Mapping[str, Any]], label: str, norm: Normalize) -> str:
    if not words:
        return ""
    unsure = any(shown_value(word) == 0 for word in words)
    told = '<p class="hm-small">No colour: within one standard error of no change.</p>' if unsure else ""
    return f"<h3>Words</h3>{words_html(words, label, norm)}{told}"


def _sound_part(prediction: Prediction, explanation: Mapping[str, Any], norm: Normalize) -> str:
    from hf_mer.plots.explanation import sound_explanation

    envelope, segments = prediction.envelope, explanation["segments"]
    if envelope is None:
        return ""
    told = f"Waveform of {prediction.seconds:.1f} seconds"
    if segments:
        strongest = max(segments, key=lambda segment: abs(segment["value"]))
        told += f"; the largest value for {explanation['label']} is {factor_text(strongest['value'])}, "
        told += f"{_span(strongest)}; the table below has all"
    picture = figure_html(lambda: sound_explanation(envelope, prediction.seconds, segments, norm), told)
    whiskers = any(segment["error"] > 0 for segment in segments)
    note = "Each segment was replaced by faint noise" if segments else ""
    note += "; whiskers are one standard error." if whiskers else "." if note else ""
    return f'<h3>Sound</h3>{picture}<p class="hm-small">{note}</p>'


def _video_part(spans: Sequence[Mapping[str, Any]], label: str, norm: Normalize) -> str:
    if not spans:
        return ""
    boxes = [_coloured(_span(span, place), span, label, norm) for place, span in enumerate(spans, start=1)]
    return f'<h3>Video</h3><p class="hm-words">{" ".join(boxes)}</p>'


def _coloured(text: str, place: Mapping[str, Any], label: str, norm: Normalize) -> str:
    """A box on the colour of its value."""
    color = place_color(place, norm)
    title = f"{text}: {factor_text(place['value'])} for {label} ({place['value']:+.2f} ± {place['error']:.2f})"
    return (
        f'<span class="hm-word hm-valued" style="background:{color};color:{ink_on(color)}" '
        f'title="{escape(title)}">{escape(text)}</span>'
    )


def _span(place: Mapping[str, Any], number: int = 0) -> str:
    """`0.3 to 0.6 s`, with the word where it is known; the number of a frame whose time is not known."""
    if place["start"] is None:
        return f"frame {number}"
    word = f" ({place['word']})" if place.get("word") else ""
    return f"{place['start']:.1f} to {place['end']:.1f} s{word}"


def _places(explanation: Mapping[str, Any]) -> Iterable[Any]:
    return [*explanation["words"], *explanation["segments"], *explanation["video_spans"]]
