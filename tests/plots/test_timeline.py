"""Emotions over time."""

import numpy as np
import pytest

from hf_mer.plots.timeline import emotion_timeline, prediction_timeline

LABELS = ["angry", "happy", "neutral", "sad"]
SPANS = np.array([[0.0, 4.0], [2.0, 6.0], [4.0, 7.0]])
SCORES = np.array([[0.1, 0.1, 0.1, 0.7], [0.2, 0.4, 0.2, 0.2], [0.9, 0.0, 0.1, 0.0]])


def test_a_curve_for_each_class_and_a_gap_without_a_decision(drawn_texts):
    fig = emotion_timeline(SPANS, SCORES, LABELS, ["sad", None, "angry"], 0.5)
    ribbon, curves = fig.axes
    assert [(block.get_x(), block.get_x() + block.get_width()) for block in ribbon.patches] == [(0, 3), (4.75, 7)]
    lines = {line.get_label(): line for line in curves.lines}
    assert set(lines) == {*LABELS, "threshold"}
    assert lines["sad"].get_xdata().tolist() == [0, 2, 4, 5.5, 7]
    assert lines["sad"].get_ydata().tolist() == [0.7, 0.7, 0.2, 0, 0]
    assert len({lines[label].get_linestyle() for label in LABELS}) == 4
    assert (lines["threshold"].get_linestyle(), lines["threshold"].get_linewidth()) == ("-", 0.7)
    assert {*LABELS, "threshold", "no label", "time (s)", "probability"} <= set(drawn_texts(fig))
    assert "no label" not in drawn_texts(emotion_timeline(SPANS, SCORES, LABELS, ["sad", "happy", "angry"]))


def test_thresholds_of_windows_are_steps_where_they_differ():
    _, curves = emotion_timeline(SPANS, SCORES, LABELS, ["sad", None, "angry"], [0.5, 0.3, 0.3]).axes
    (steps,) = curves.patches
    assert steps.get_label() == "threshold"
    values, edges, _ = steps.get_data()
    assert (values.tolist(), edges.tolist()) == ([0.5, 0.3, 0.3], [0, 3, 4.75, 7])
    _, curves = emotion_timeline(SPANS, SCORES, LABELS, ["sad", None, "angry"], [0.5] * 3).axes
    assert not curves.patches


@pytest.mark.parametrize(("minutes", "shown"), [(3, "1:30"), (10, "4:00"), (120, "60:00")])
def test_long_ones_have_minutes(minutes, shown, drawn_texts):
    texts = drawn_texts(emotion_timeline(20 * minutes * np.array([[0, 1], [1, 3]]), SCORES[:2], LABELS, [None, "sad"]))
    assert {"time (min:s)", shown} <= set(texts)
    assert "threshold" not in texts


def test_many_windows_and_classes(drawn_texts):
    labels = [f"class {index}" for index in range(9)]
    starts = np.arange(0, 7200, 4.0)
    scores = np.random.default_rng(0).dirichlet(np.ones(9), len(starts))
    decisions = [labels[index] for index in scores.argmax(axis=1)]
    assert set(labels) <= set(drawn_texts(emotion_timeline(np.c_[starts, starts + 8], scores, labels, decisions, 0.5)))


def test_words_stand_where_they_are_said(drawn_texts):
    words = [("so", 0.5, 1.0), ("glad", 1.0, 1.6), ("awful", 6.5, 7.0)]
    fig = emotion_timeline(SPANS, SCORES, LABELS, ["sad", None, "angry"], None, words)
    assert {"so", "glad", "awful"} <= set(drawn_texts(fig))
    panel = next(axes for axes in fig.axes if axes.get_ylabel() == "words")
    (bars,) = panel.collections
    assert [tuple(path.get_extents().intervalx) for path in bars.get_paths()] == [
        (start, pytest.approx(end)) for _, start, end in words
    ]
    assert panel.get_xlim() == (0, 7)


@pytest.mark.parametrize("number", [70, 170])
def test_of_very_many_words_only_the_bars(number, drawn_texts):
    words = [(f"word{index}", index / 25, index / 25 + 0.02) for index in range(number)]
    fig = emotion_timeline(SPANS, SCORES, LABELS, ["sad", None, "angry"], None, words)
    assert not any(text.startswith("word") and text != "words" for text in drawn_texts(fig))
    (bars,) = next(axes for axes in fig.axes if axes.get_ylabel() == "words").collections
    assert len(bars.get_paths()) == number


def test_of_a_prediction(drawn_texts):
    entry = {"word": "glad", "start": 1.0, "end": 1.5}
    ranked = [{"label": label, "score": score} for label, score in zip(LABELS, SCORES[0], strict=True)]
    windows = [
        {"start": 0.0, "end": 2.0, "label": "sad", "scores": ranked, "timed_words": [entry]},
        {"start": 1.0, "end": 3.0, "label": None, "scores": ranked[:1], "timed_words": [entry]},
    ]
    fig = prediction_timeline({"timeline": windows}, LABELS, 0.5)
    assert drawn_texts(fig).count("glad") == 1
    lines = {line.get_label(): list(line.get_ydata()) for axes in fig.axes for line in axes.lines}
    assert lines["angry"][:3] == [0.1, 0.1, 0.1]
    assert np.isnan(lines["sad"][2])
