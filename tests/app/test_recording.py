"""Long recordings: windows, words with times, table and file."""

import csv
import io

import numpy as np
import pytest
import soundfile
from model_tester import tone

from hf_mer.app.lane import Watch
from hf_mer.app.media import PageError
from hf_mer.app.recording import Timeline, csv_of, read_timed_words, recognise_recording, timeline_rows
from hf_mer.app.timeline import table_html, timeline_html
from hf_mer.models.audio_mer import AudioError

LABELS = ["angry", "happy", "neutral", "sad"]


def window(start, end, best, score, text=None):
    rest = [{"label": label, "score": (1 - score) / 3} for label in LABELS if label != best]
    modalities = ["text", "speech"] if text else ["speech"]
    scores = [{"label": best, "score": score}, *rest]
    return {"start": start, "end": end, "modalities": modalities, "label": best, "scores": scores, "text": text}


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
        threshold=0.0,
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


def test_windows_of_silence_have_no_label_at_any_threshold(model, tmp_path):
    samples = np.concatenate([tone(1.0), np.zeros(16000, np.float32), tone(1.0)])
    soundfile.write(tmp_path / "call.wav", samples, 16000)
    found = recognise_recording(model, str(tmp_path / "call.wav"), 1.0, 1.0)
    assert [label is None for label in found.decisions([0.0] * 3)] == [False, True, False]
    assert [row["emotion"] == "" for row in timeline_rows(found, LABELS, [0.0] * 3)] == [False, True, False]
    spoken = recognise_recording(model, str(tmp_path / "call.wav"), 1.0, 1.0, "1.2 1.8 so glad")
    assert [label is None for label in spoken.decisions([0.0] * 3)] == [False] * 3
    assert [one["modalities"] for one in spoken.windows] == [["speech"], ["text"], ["speech"]]
    assert (found.modalities, spoken.modalities) == (("speech",), ("text", "speech"))


def test_a_picture_is_enough_where_the_model_sees_it(model, film_model, write_video):
    """Windows have the modalities by which thresholds are chosen; sound may be silent or not there."""
    film, mute = write_video("film.mp4", seconds=2.0), write_video("mute.mp4", seconds=2.0, sound=False)
    heard, seen = (recognise_recording(film_model, path, 1.0, 1.0) for path in (film, mute))
    assert {tuple(one["modalities"]) for one in heard.windows} == {("speech", "video")}
    assert {tuple(one["modalities"]) for one in seen.windows} == {("video",)}
    assert None not in seen.decisions([0.0] * len(seen.windows))
    with pytest.raises(PageError, match="longer than 0.01 minutes"):
        recognise_recording(film_model, mute, 1.0, 1.0, watch=Watch(longest=0.6))
    with pytest.raises(AudioError, match="mute.mp4"):
        recognise_recording(model, mute, 1.0, 1.0)


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
