"""Long recordings: windows, words with times, table and file."""

import csv
import io

import numpy as np
import pytest
import soundfile

from hf_mer.app.media import PageError
from hf_mer.app.recording import Timeline, csv_of, read_timed_words, recognise_recording, timeline_rows
from hf_mer.app.timeline import table_html, timeline_html

LABELS = ["angry", "happy", "neutral", "sad"]


def window(start, end, best, score, text=None):
    rest = [{"label": label, "score": (1 - score) / 3} for label in LABELS if label != best]
    return {"start": start, "end": end, "scores": [{"label": best, "score": score}, *rest], "text": text}


@pytest.fixture
def timeline():
    windows = [window(0, 4, "sad", 0.7, "so <sad>"), window(2, 6, "happy", 0.4), window(4, 7, "angry", 0.9)]
    return Timeline(windows, windows[0]["scores"])


def test_a_recording_is_recognised_in_windows(model, write_wav):
    path = write_wav("call.wav", seconds=2.0)
    found = recognise_recording(model, path, 0.8, 0.4, "0.0 0.9 what a day\n0:01.0 - 0:02.0 so glad")
    expected = model.recognise(
        path,
        window_seconds=0.8,
        hop_seconds=0.4,
        text=[{"text": "what a day", "timestamp": (0.0, 0.9)}, {"text": "so glad", "timestamp": (1.0, 2.0)}],
    )
    assert found.windows == expected["timeline"]
    assert found.seconds == pytest.approx(2.0)
    assert found.has_words
    assert len(found.windows) == 4


def test_windows_must_make_sense(model, write_wav):
    with pytest.raises(PageError, match="recording first"):
        recognise_recording(model, None, 8, 4)
    with pytest.raises(PageError, match="leaves gaps"):
        recognise_recording(model, write_wav("a.wav"), 4, 8)


@pytest.mark.parametrize("line", ["so glad", "3 2 so glad", "1 2", "1..5 3 so"])
def test_words_without_times_are_refused_by_line(line):
    with pytest.raises(PageError, match="Line 2 of the words"):
        read_timed_words(f"0 1 fine\n{line}")


def test_rows_have_every_class_and_no_emotion_below_the_threshold(timeline):
    rows = timeline_rows(timeline, LABELS, [0.5] * 3)
    assert [row["emotion"] for row in rows] == ["sad", "", "angry"]
    assert list(rows[0]) == ["start", "end", "emotion", *LABELS, "text"]
    read = list(csv.DictReader(io.StringIO(csv_of(rows))))
    assert [row["angry"] for row in read] == ["0.1", "0.2", "0.9"]
    assert read[0]["text"] == "so <sad>"
    assert [row["emotion"] for row in timeline_rows(timeline, LABELS, [0.8, 0.3, 0.3])] == ["", "happy", "angry"]


def test_a_window_has_what_it_has(timeline):
    assert [timeline.modalities_of(one) for one in timeline.windows] == [("text", "speech"), ("speech",), ("speech",)]


def test_a_silent_recording_is_refused(model, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(32000), 16000)
    with pytest.raises(PageError, match=r"silent.wav is silent"):
        recognise_recording(model, str(tmp_path / "silent.wav"), 1, 1)


def test_the_figure_says_what_it_shows(timeline):
    html = timeline_html(timeline, LABELS, [0.5] * 3)
    assert 'alt="Emotions over 7 seconds in 3 windows; the table below has the numbers"' in html
    assert 'tabindex="0"' in html  # it scrolls, so that the keyboard must reach it


def test_the_figure_has_the_words_once(timeline, monkeypatch):
    from hf_mer.app import timeline as page
    from hf_mer.plots import timeline as plots

    drawn = []
    monkeypatch.setattr(plots, "emotion_timeline", lambda *given: drawn.append(given[-1]))
    monkeypatch.setattr(page, "figure_html", lambda draw, _: draw() or "")
    said = {"word": "glad", "start": 2.5, "end": 3.2}
    for window in timeline.windows[:2]:
        window["timed_words"] = [said]
    timeline_html(timeline, LABELS, [0.5] * 3)
    assert drawn == [[("glad", 2.5, 3.2)]]


def test_the_table_escapes_what_was_said(timeline):
    html = table_html(timeline, LABELS, [0.5] * 3)
    assert "so &lt;sad&gt;" in html
    assert html.count("<tr>") == 4
    assert "no label" in html
