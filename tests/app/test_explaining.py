"""Explanations on the page, without Gradio."""

import base64
import re

import numpy as np
import pytest

from hf_mer.app import explaining
from hf_mer.app.explaining import explain, notices_of
from hf_mer.app.explanation_html import explanation_html
from hf_mer.app.utterance import Prediction, Utterance, predict
from hf_mer.plots.for_against import place_color, value_norm
from hf_mer.plots.waveform import waveform_envelope

EXPLANATION = {
    "label": "sad",
    "score": 0.6,
    "prior": 0.25,
    "prior_source": "uniform",
    "modalities": {"text": 1.2, "speech": -0.3245},
    "words": [
        {"word": "Before", "current": False, "value": 0.1, "error": 0.2},
        {"word": "so", "current": True, "value": -0.4, "error": 0.1},
        {"word": "<gone>,", "current": True, "value": 1.5, "error": 0.05},
    ],
    "segments": [
        {"start": 0.0, "end": 0.3, "value": 0.05, "error": 0.0},
        {"start": 0.3, "end": 1.0, "value": -0.3745, "error": 0.1},
    ],
    "segments_by": "windows",
    "video_spans": [{"start": None, "end": None, "value": 0.2, "error": 0.0}],
    "warnings": ["explain: 9 places of text are valued in 3 groups"],
}


@pytest.fixture
def html():
    envelope = waveform_envelope(np.sin(np.arange(16000)), 16000)
    return explanation_html(Prediction([], envelope=envelope, seconds=1.0), EXPLANATION, "le_mer")


@pytest.mark.parametrize(
    ("system", "told"), [("le_mer", "94&nbsp;%"), ("wavfusion", "69&nbsp;%"), ("mgcma", "was not measured")]
)
def test_how_true_it_is_belongs_to_the_system(system, told):
    assert told in explanation_html(Prediction([]), EXPLANATION, system)


def test_words_have_the_colours_of_their_values_and_the_error_beside_them(html):
    norm = value_norm(EXPLANATION)
    for word in EXPLANATION["words"]:
        assert f"background:{place_color(word, norm)};" in html
    assert 'title="&lt;gone&gt;,: ×4.5 for sad (+1.50 ± 0.05)">&lt;gone&gt;,</span>' in html
    assert place_color(EXPLANATION["words"][0], norm) == "#ffffff"
    assert "within one standard error" in html
    assert "<b>Earlier:</b>" in html
    assert "for <strong>sad</strong>" in html


def test_modalities_are_bars_to_either_side_that_lead_from_the_prior_to_the_score(html):
    lefts = re.findall(r'class="hm-signed[^"]*" style="--c:(#\w+);left:([\d.]+)%;width:([\d.]+)%', html)
    (for_color, text_left, text_width), (against, speech_left, speech_width), (_, left, width) = lefts
    assert for_color != against
    assert (float(text_left), float(text_width)) == (50, 50)
    assert float(speech_left) + float(speech_width) == pytest.approx(50, abs=0.11)
    assert (float(left), float(width)) == (50, pytest.approx(50 * np.log(0.6 / 0.25) / 1.2, abs=0.06))
    assert "sad has the probability 0.25, taken as equal for all classes, and with everything 0.60" in html


def test_the_sound_says_its_largest_value_and_the_table_has_all(html):
    assert 'alt="Waveform of 1.0 seconds; the largest value for sad is ÷1.45, 0.3 to 1.0 s' in html
    svg = base64.b64decode(re.search('svg[+]xml;base64,([^"]+)', html).group(1)).decode()
    assert "time (s)" in svg
    assert "font-family: system-ui, 'DejaVu Sans', sans-serif" in svg  # the visitor's own font first
    assert "<td>sound</td><td>0.3 to 1.0 s</td><td>÷1.45</td><td>-0.37</td><td>0.10</td>" in html
    assert "<td>video</td><td>frame 1</td><td>×1.22</td><td>+0.20</td><td>0.00</td>" in html
    assert html.count("<tr><td>") == 2 + 3 + 2 + 1


def test_warnings_are_sentences(html):
    assert notices_of(EXPLANATION) == ("9 places of text are valued in 3 groups.",)
    assert "valued in 3 groups." in html
    assert "three seconds" in html
    assert notices_of({}) == ()


def test_an_explanation_is_the_pipeline_s(model, write_wav, monkeypatch):
    monkeypatch.setattr(explaining, "SECONDS", 600.0)
    path = write_wav("a.wav", seconds=0.6)
    prediction = predict(model, Utterance(path, words="so  glad", history=("who is it",)))
    label = prediction.scores[-1]["label"]
    found = explain(model, prediction, label)
    expected = model.recognise(path, text="so glad", history=["who is it"], explain={"label": label})["explanation"]
    assert found["modalities"] == pytest.approx(expected["modalities"], abs=1e-5)
    assert [word["value"] for word in found["words"]] == pytest.approx(
        [word["value"] for word in expected["words"]], abs=1e-4
    )
    assert found["label"] == label
    assert sum(found["modalities"].values()) == pytest.approx(np.log(found["score"] / found["prior"]), abs=1e-4)


def test_what_takes_long_is_explained_once_and_roughly(model, write_wav, monkeypatch):
    budgets = []

    def answer(row, explain):
        budgets.append(explain["budget"])
        return {"explanation": {**EXPLANATION, "forward_passes": 90}}

    clock = iter([0.0, 2.0, 10.0, 10.75, 20.0, 20.1])
    monkeypatch.setattr(explaining, "monotonic", lambda: next(clock))
    monkeypatch.setattr(type(model), "__call__", lambda self, row, **settings: answer(row, **settings))
    prediction = Prediction([], Utterance(words="so glad"))
    for _ in range(3):
        explain(model, prediction, "sad")
    # 2 s: nothing is left for more than as much again; 0.75 s: 2.25 s are left, for three times as much; 0.1 s: as many as ever
    assert budgets == [100, 100, 270, 100, 1000]


def test_words_that_were_recognised_are_not_recognised_again(checkpoint, write_wav):
    from hf_mer.app.model import load_page_model

    heard = []

    def asr(samples, rate):
        heard.append(rate)
        chunks = [{"text": " so", "timestamp": (0.0, 0.3)}, {"text": " glad", "timestamp": (0.3, 0.6)}]
        return {"text": "so glad", "chunks": chunks}

    listening = load_page_model(checkpoint, asr=asr)
    prediction = predict(listening, Utterance(write_wav("a.wav", seconds=0.6)))
    found = explain(listening, prediction, prediction.scores[0]["label"])
    assert len(heard) == 1
    assert [word["word"] for word in found["words"]] == ["so", "glad"]
    assert found["segments_by"] == "words"
