"""What an answer of the pipeline rests on is said beside it, and in the log."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from model_tester import save_tiny_checkpoint, tone
from transformers import pipeline

from hf_mer.models import PIPELINE_TASK


@pytest.fixture(scope="module")
def recognise(tmp_path_factory):
    folder, _ = save_tiny_checkpoint(tmp_path_factory.mktemp("warnings") / "checkpoint", "wav2vec2", True)
    made = pipeline(PIPELINE_TASK, model=folder, device="cpu")
    made.processor.max_audio_seconds = 1.0
    return made


SILENCE = np.zeros(8000, np.float32)


def test_what_was_heard_of_what_there_is(recognise, write_wav, caplog):
    path = write_wav(seconds=2.5)
    result = recognise(path, threshold=0.0)
    (warning,) = result["warnings"]
    assert warning.startswith(f"{path}: heard the first 1.0 s of 2.5 s")
    assert warning in caplog.text
    assert "warnings" not in recognise(write_wav(seconds=0.9), threshold=0.0)


def test_silence_decides_nothing(recognise):
    result = recognise(SILENCE, threshold=0.0)
    assert result["label"] is None
    assert any("only silence to predict from" in told for told in result["warnings"])
    result = recognise({"audio": SILENCE, "text": "so glad"}, threshold=0.0)
    assert result["label"] is not None
    assert any("only the other inputs are used" in told for told in result["warnings"])


@pytest.mark.parametrize("beside", [{"text": "so glad"}, {"history": ["so glad"]}])
def test_silence_beside_words_is_not_heard(recognise, beside):
    settings = {"threshold": 0.0, "explain": True}
    result, alone = recognise({"audio": SILENCE, **beside}, **settings), recognise(beside, **settings)
    assert result["warnings"]
    assert (result["label"], result["scores"]) == (alone["label"], alone["scores"])
    assert result["explanation"] == alone["explanation"]


def test_words_that_are_heard_in_silence_are_no_evidence(recognise, monkeypatch):
    monkeypatch.setattr(recognise, "asr", lambda samples, rate: "hi you")
    result = recognise({"audio": SILENCE, "history": ["so glad"]}, threshold=0.0)
    alone = recognise({"history": ["so glad"]}, threshold=0.0)
    assert (result["label"], result["scores"]) == (alone["label"], alone["scores"])
    assert result["text"] == "hi you"
    turns = [{"text": "so glad"}, {"audio": SILENCE}, {"text": "yes"}]
    last = recognise(turns, dialogue=True, threshold=0.0)[-1]
    expected = recognise({"text": "yes", "history": ["so glad"]}, threshold=0.0)
    assert last["scores"] == expected["scores"]


def test_words_that_are_given_decide_in_silence(recognise):
    """Those that a recogniser hears in silence do not."""
    words = [{"text": "so glad", "timestamp": (0.1, 0.4)}]
    alone = recognise({"text": "so glad"}, threshold=0.0)
    result = recognise({"audio": SILENCE, "text": words}, window_seconds=0.5, hop_seconds=0.5, threshold=0.0)
    (window,) = result["timeline"]
    assert (window["label"], window["scores"]) == (alone["label"], alone["scores"])
    assert (result["label"], window["text"]) == (alone["label"], "so glad")


def test_turns_of_a_dialogue(recognise):
    turns = recognise([{"audio": SILENCE}, {"audio": tone(0.4)}], dialogue=True, threshold=0.0)
    assert [turn["label"] is None for turn in turns] == [True, False]
    assert ["warnings" in turn for turn in turns] == [True, False]


@pytest.mark.parametrize("merge_overlaps", [False, True])
def test_silent_windows_have_no_say(recognise, merge_overlaps, caplog):
    samples = np.concatenate([np.zeros(24000, np.float32), tone(0.5)])
    settings = {"threshold": 0.0, "window_seconds": 0.5, "hop_seconds": 0.5}
    result = recognise(samples, **settings, merge_overlaps=merge_overlaps)
    alone = recognise(tone(0.5), threshold=0.0)
    assert result["label"] == alone["label"]
    assert result["scores"][0]["score"] == pytest.approx(alone["scores"][0]["score"], abs=1e-4)
    assert result["warnings"] == ["input: the sound of 3 of 4 windows is silent"]
    assert result["warnings"][0] in caplog.text
    if not merge_overlaps:
        assert [window["label"] is None for window in result["timeline"]] == [True, True, True, False]
        assert "is silent" in result["timeline"][0]["warnings"][0]
    assert recognise(np.zeros(16000, np.float32), **settings)["label"] is None


def test_a_text_that_is_cut(recognise):
    (warning,) = recognise({"text": "so glad " * 200}, threshold=0.0)["warnings"]
    assert "tokens are read (max_text_tokens=" in warning


def test_open_files_and_lists_of_samples_are_one_input(recognise, write_wav, caplog):
    path = write_wav()
    expected = recognise(path)
    content = Path(path).read_bytes()
    with Path(path).open("rb") as file:
        for source in (file, io.BytesIO(content), memoryview(content), {"audio": io.BytesIO(content)}):
            assert recognise(source) == expected
        assert recognise([io.BytesIO(content), path])[0][0]["label"] == expected[0]["label"]
    with Path(path).open(encoding="latin-1") as file, pytest.raises(ValueError, match=r"speech\.wav.*text mode"):
        recognise(file)
    with caplog.at_level(logging.WARNING):
        assert len(recognise((tone() * 32767).astype(int).tolist())) == len(expected)
    assert "read as 16-bit samples" in caplog.text


def test_windows_of_an_open_file(recognise, write_wav):
    path = write_wav(seconds=2.0)
    settings = {"window_seconds": 1.0, "hop_seconds": 0.5}
    assert recognise(io.BytesIO(Path(path).read_bytes()), **settings) == recognise(path, **settings)


def test_a_recogniser_for_a_model_without_words(tmp_path, caplog):
    folder, _ = save_tiny_checkpoint(tmp_path / "speech", "wav2vec2", True, modalities=["speech"])
    pipeline(PIPELINE_TASK, model=folder, asr=lambda samples, rate: "so glad", device="cpu")
    assert "asr is not used: this model takes speech, and no words" in caplog.text
