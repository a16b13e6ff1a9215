"""What the page shows, without Gradio."""

import numpy as np
import pytest

from hf_mer.app.colors import _luminance, page_colors
from hf_mer.app.dialogue import Turn, dialogue_html
from hf_mer.app.html import alert_html, attention_html, comparison_html, result_html, words_html
from hf_mer.app.prediction import Prediction
from hf_mer.app.waveform import attention_of_bins, envelope_of, scaled, waveform_html
from hf_mer.plots.style import class_colors

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


def test_the_attention_of_frames_lands_on_their_stretch():
    samples = np.sin(np.arange(16000) / 9)
    envelope = envelope_of(samples, 16000)
    seconds = np.arange(0.01, 1, 0.02)
    attention = attention_of_bins(seconds, np.where((seconds > 0.5) & (seconds < 0.6), 1.0, 0.0), envelope)
    strong = np.flatnonzero(attention > 0.5) / len(attention)
    assert strong.min() == pytest.approx(0.5, abs=0.02)
    assert strong.max() == pytest.approx(0.6, abs=0.02)
    assert (attention_of_bins([0.5], [0.3], envelope) == 0).all()
    html = waveform_html(envelope, attention, "a <tone>")
    assert "a &lt;tone&gt;" in html
    assert html.count("<rect") == len(envelope.low)
    assert "<polyline" not in waveform_html(envelope, None, "")


def test_a_very_short_recording_has_a_waveform():
    assert len(envelope_of(np.ones(5), 16000).low) == 5


def test_values_in_their_own_range():
    assert scaled(np.array([2.0, 4.0, 3.0])).tolist() == [0, 1, 0.5]
    assert scaled(np.array([2.0, 2.0])).tolist() == [0, 0]
    assert scaled(np.array([])).tolist() == []


def test_without_label_attention_there_is_a_waveform_alone():
    prediction = Prediction(SCORES, envelope=envelope_of(np.sin(np.arange(16000)), 16000))
    html = attention_html(prediction, "sad", [])
    assert "hm-wave" in html
    assert "hm-curve" not in html
    assert "hm-word" not in html
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


def test_colours_are_those_of_the_figures_and_can_be_seen_on_both_grounds():
    names = ["angry", "happy", "neutral", "sad", "excited", "frustrated", "surprise", "fear", "other"]
    light, dark = 1.0, _luminance("#0f0f11")
    for style, color in zip(page_colors(names).values(), class_colors(names).values(), strict=True):
        on_light, on_dark = (part.split(":")[1] for part in style.split(";"))
        assert (_luminance(on_dark) + 0.05) / (dark + 0.05) >= 3
        assert (light + 0.05) / (_luminance(on_light) + 0.05) >= 1.9  # bars and dots have an outline too
        assert color in (on_light, on_dark)
