"""What the page shows, without Gradio."""

import base64
import re

import numpy as np

from hf_mer.app.dialogue import Turn, dialogue_html
from hf_mer.app.html import alert_html, attention_html, comparison_html, result_html, scaled, words_html
from hf_mer.app.utterance import Prediction
from hf_mer.plots.style import class_colors
from hf_mer.plots.waveform import waveform_envelope

LABELS = ["angry", "happy", "neutral", "sad"]
SCORES = [{"label": "sad", "score": 0.6}, {"label": "angry", "score": 0.2}, {"label": "happy", "score": 0.15}]
WORDS = [
    {"word": "Before", "current": False, "sad": 0.0, "angry": 0.3},
    {"word": "so", "current": True, "sad": 0.1, "angry": 0.2},
    {"word": "<gone>,", "current": True, "sad": 0.5, "angry": 0.1},
]


def test_words_are_as_strong_as_their_attention_and_escaped():
    html = words_html(WORDS, "sad", ["So", "other"])
    assert 'style="--a:1.00" title="&lt;gone&gt;,: 0.500">&lt;gone&gt;,</span>' in html
    assert 'hm-word hm-key" style="--a:0.20" title="so: 0.100, keyword"' in html
    assert "<b>Before:</b>" in html
    assert 'style="--a:1.00" title="Before' in words_html(WORDS, "angry")


def test_the_verdict_is_none_below_the_threshold():
    prediction = Prediction(SCORES, text="heard <this>", recognised=True, notices=("Mind <that>.",))
    html = result_html(prediction, LABELS, 0.5, "not calibrated")
    assert "<strong>sad</strong> 0.60" in html
    assert "heard &lt;this&gt;" in html
    assert "Mind &lt;that&gt;." in html
    assert "No decision: the best score, 0.60 for sad, is below 0.70" in result_html(prediction, LABELS, 0.7, "")


def picture(html):
    return base64.b64decode(re.search('svg[+]xml;base64,([^"]+)', html).group(1)).decode()


def test_the_sound_says_where_the_attention_is():
    seconds = np.arange(0.01, 1, 0.02)
    frames = {"seconds": seconds, "sad": np.where(abs(seconds - 0.55) < 0.03, 1.0, 0.0)}
    prediction = Prediction(
        SCORES, frames=frames, envelope=waveform_envelope(np.sin(np.arange(16000)), 16000), seconds=1
    )
    html = attention_html(prediction, "sad", [])
    assert 'alt="Waveform of 1.0 seconds; most attention for sad at 0.5 s"' in html
    svg = picture(html)
    assert "time (s)" in svg
    assert "font-family: system-ui, 'DejaVu Sans', sans-serif" in svg  # the visitor's own font first
    assert "most attention for <strong>sad</strong>" in html


def test_values_in_their_own_range():
    assert scaled(np.array([2.0, 4.0, 3.0])).tolist() == [0, 1, 0.5]
    assert scaled(np.array([2.0, 2.0])).tolist() == [0, 0]
    assert scaled(np.array([])).tolist() == []


def test_without_label_attention_there_is_a_waveform_alone():
    prediction = Prediction(SCORES, envelope=waveform_envelope(np.sin(np.arange(16000)), 16000), seconds=1)
    html = attention_html(prediction, "sad", [])
    assert 'alt="Waveform of 1.0 seconds"' in html
    assert "hm-word" not in html
    assert "hm-legend" not in html
    assert attention_html(Prediction(SCORES), "sad", []) == ""


def test_columns_have_their_names():
    html = comparison_html({"speech alone": SCORES, "words alone": SCORES}, LABELS, 0.5)
    assert html.count("<caption>") == 2
    assert "<caption>words alone</caption>" in html


def test_turns_say_what_they_were_recognised_with():
    turns = [Turn("one & two", SCORES, ()), Turn("", SCORES, ("one & two",))]
    html = dialogue_html(turns, LABELS, 0.5)
    assert "one &amp; two" in html
    assert "with 1 earlier turn<" in html
    assert "voice without words" in html
    assert dialogue_html([], LABELS, 0.5).count("<li>") == 0


def test_no_alert_without_a_message():
    assert alert_html("") == ""
    assert "&lt;b&gt;" in alert_html("<b>")


def test_colours_are_those_of_the_figures():
    html = result_html(Prediction(SCORES), LABELS, 0.5, "")
    for label in ("sad", "angry", "happy"):
        assert f'class="hm-bar" style="--c:{class_colors(LABELS)[label]};width:' in html
