"""What the page shows, without Gradio."""

import pytest

from hf_mer.app.dialogue import Turn, dialogue_html
from hf_mer.app.html import alert_html, comparison_html, result_html, score_text
from hf_mer.app.utterance import Prediction
from hf_mer.plots.style import class_colors

LABELS = ["angry", "happy", "neutral", "sad"]
SCORES = [{"label": "sad", "score": 0.6}, {"label": "angry", "score": 0.2}, {"label": "happy", "score": 0.15}]


def test_the_verdict_is_none_below_the_threshold():
    prediction = Prediction(SCORES, text="heard <this>", recognised=True, notices=("Mind <that>.",))
    html = result_html(prediction, LABELS, 0.5, "not calibrated", "Type the words.")
    assert "<strong>sad</strong> 0.60" in html
    assert "heard &lt;this&gt;" in html
    assert "Mind &lt;that&gt;." in html
    assert "Type the words" not in html
    html = result_html(prediction, LABELS, 0.7, "", "Type the words.")
    assert "No label: the best score, 0.60 for sad, is below the threshold of 0.70" in html
    assert "Type the words" in html


@pytest.mark.parametrize(
    ("score", "threshold", "shown"),
    [
        (0.42, 0.5, "0.42"),
        (0.5, 0.5, "0.50"),
        (0.4963, 0.5, "0.496"),
        (0.49996, 0.5, "0.49996"),
        (0.9799, 0.98, "0.9799"),
    ],
)
def test_a_score_below_the_threshold_looks_it(score, threshold, shown):
    assert score_text(score, threshold) == shown


def test_columns_have_their_names():
    columns = {f"{name} alone": Prediction(SCORES, modalities=(name,)) for name in ("speech", "text")}
    html = comparison_html(columns, LABELS, lambda modalities: 0.7 if modalities == ("speech",) else 0.5)
    assert html.count("<caption>") == 2
    assert "<caption>text alone <small>" in html
    assert html.count("below the threshold of 0.70") == 1


def test_turns_say_what_they_were_recognised_with():
    turns = [Turn("one & two", SCORES, ()), Turn("", SCORES, ("one & two",), modalities=("speech",))]
    html = dialogue_html(turns, LABELS, lambda modalities: 0.5)
    assert "one &amp; two" in html
    assert "with 1 earlier turn<" in html
    assert "sound without words" in html
    assert dialogue_html([], LABELS, lambda modalities: 0.5).count("<li>") == 0
    html = dialogue_html(
        turns, LABELS, lambda modalities: 0.9, lambda modalities: "Type them." if modalities == ("speech",) else ""
    )
    assert html.count("no label (sad 0.60)") == 2
    assert html.count("Type them.") == 1


def test_no_alert_without_a_message():
    assert alert_html("") == ""
    assert "&lt;b&gt;" in alert_html("<b>")


def test_colours_are_those_of_the_figures():
    html = result_html(Prediction(SCORES), LABELS, 0.5, "")
    for label in ("sad", "angry", "happy"):
        assert f'class="hm-bar" style="--c:{class_colors(LABELS)[label]};width:' in html
