"""Cells that say nothing, and names that print alike, in tables."""

import json
import logging
import unicodedata

import pytest
import soundfile
from model_tester import tone

from hf_mer.data.corpora.manifest import load_corpus
from hf_mer.data.schema import CorpusError, canonical_label
from hf_mer.prediction import collect_units

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "fröhlich") for form in ("NFC", "NFD"))


def json_lines(path, *rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))  # NaN is written as NaN
    return path


def csv(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


NAN = float("nan")


class TestNothing:
    def test_nan_is_no_word_no_history_and_no_dialogue(self, tmp_path):
        rows = load_corpus(
            json_lines(
                tmp_path / "t.jsonl",
                {"text": "who is it", "label": "sad", "dialogue": NAN, "speaker": NAN},
                {"text": "no", "label": "glad", "dialogue": NAN, "history": NAN},
                {"text": "yes", "label": "sad", "dialogue": None, "start": NAN},
                {"text": "what", "label": "sad", "dialogue": " \u200b"},
            )
        )
        assert rows["history"][:] == [[], [], [], []]
        assert rows["dialogue"][:] == [None] * 4
        assert rows["speaker"][:] == [None] * 4

    def test_a_label_of_nan_is_none(self, tmp_path):
        table = json_lines(tmp_path / "t.jsonl", {"text": "a", "label": "sad"}, {"text": "b", "label": NAN})
        with pytest.raises(CorpusError, match="line 2: the label is empty"):
            load_corpus(table)

    @pytest.mark.parametrize("marker", ["nan", "NaN", "<NA>", "NaT", "\u200b"])
    def test_written_markers_are_empty_and_said(self, marker, tmp_path, caplog):
        table = csv(
            tmp_path / "t.csv",
            "text,label,dialogue,speaker,valence",
            f"so glad,glad,{marker},{marker},{marker}",
            f"{marker},sad,d,s,1.5",
            f"no,sad,{marker},s,2",
        )
        with caplog.at_level(logging.WARNING, logger="hf_mer"), pytest.raises(CorpusError) as caught:
            load_corpus(table)
        assert caught.value.problems == [f"{table}, line 3: neither audio nor video nor text"]
        if marker != "\u200b":
            assert "1 of 'text', 1 of 'speaker', 2 of 'dialogue', 1 of 'valence'" in caplog.text

    @pytest.mark.parametrize("word", ["None", "null", "NA", "n/a"])
    def test_what_people_say_stays_a_word(self, word, tmp_path):
        table = csv(tmp_path / "t.csv", "text,label,dialogue", f"{word},sad,{word}", f"so,glad,{word}")
        rows = load_corpus(table)
        assert rows["text"][:] == [word, "so"]
        assert rows["dialogue"][:] == [None, None]
        assert rows["history"][:] == [[], []]

    def test_a_class_may_be_none(self, tmp_path):
        rows = load_corpus(csv(tmp_path / "t.csv", "text,label", "so,None", "no,sad"))
        assert rows.features["label"].names == ["none", "sad"]

    @pytest.mark.parametrize("value", ["inf", "-inf", "1e999"])
    def test_numbers_without_an_end_are_refused(self, value, tmp_path):
        table = csv(
            tmp_path / "t.csv", "text,label,dialogue,turn,valence", f"so,sad,d,{value},{value}", "no,glad,d,1,1"
        )
        with pytest.raises(CorpusError) as caught:
            load_corpus(table)
        assert f"line 2: valence '{value}' is not a finite number" in str(caught.value)
        assert f"line 2: turn '{value}' is not a finite number" in str(caught.value)

    def test_in_tables_of_predictions_too(self, tmp_path):
        table = json_lines(
            tmp_path / "t.jsonl",
            {"text": "who is it", "dialogue": NAN},
            {"text": "no", "dialogue": NAN},
            {"text": "\u200b", "dialogue": "nan"},
        )
        first, second, third = collect_units([str(table)])
        assert not first.input.get("history")
        assert not second.input.get("history")
        assert "neither audio nor video nor text" in third.problem


class TestNamesThatPrintAlike:
    @pytest.mark.parametrize(
        "other", [DECOMPOSED, f"{COMPOSED}\u200b", f"\ufeff{COMPOSED}", "Fröhlich", f" {COMPOSED}\u00a0"]
    )
    def test_are_one_class(self, other, tmp_path):
        table = csv(
            tmp_path / "t.csv", "text,label,speaker", f"a,{COMPOSED},{COMPOSED}", f"b,{other},{other}", "c,sad,x"
        )
        rows = load_corpus(table)
        assert rows.features["label"].names == [COMPOSED, "sad"]
        assert rows["label"][:] == [0, 0, 1]
        if other.lower() != "fröhlich":
            assert len(set(rows["speaker"][:])) == 2

    def test_are_one_dialogue(self, tmp_path):
        table = csv(tmp_path / "t.csv", "text,label,dialogue", f"a,sad,{COMPOSED}", f"b,glad,{DECOMPOSED}")
        assert load_corpus(table)["history"][:] == [[], ["a"]]

    def test_numbers_are_one_class_however_they_are_written(self, tmp_path):
        table = json_lines(
            tmp_path / "t.jsonl",
            *({"text": str(value), "label": value, "speaker": value} for value in (1, 1.0, "1", 0, 0.0)),
        )
        rows = load_corpus(table)
        assert rows.features["label"].names == ["0", "1"]
        assert rows["speaker"][:] == ["1", "1", "1", "0", "0"]

    def test_labels_that_are_given(self):
        assert canonical_label(f"{DECOMPOSED}\u200b") == COMPOSED
        assert canonical_label(1.0) == canonical_label("1")

    @pytest.mark.parametrize(("on_disk", "in_table"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
    def test_files_are_found(self, on_disk, in_table, tmp_path):
        soundfile.write(tmp_path / f"{on_disk}.wav", tone(), 16000)
        for name in (f"{in_table}.wav", f"{on_disk}.wav", f"\ufeff{on_disk}.wav"):
            table = csv(tmp_path / "t.csv", "audio,label,text", f"{name},sad,a", ",glad,b")
            path = load_corpus(table)["audio"][0]["path"]
            soundfile.info(path)
