"""Texts and labels that tell nothing."""

import logging

import datasets
import pytest

from hf_mer.data.checks import check_labels, check_test_labels, check_text, check_votes
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def corpus(records):
    return records_to_dataset(records, ["angry", "sad"])


def test_texts_are_counted(caplog):
    texts = ["Hi", None, " ", "[LAUGHTER]", "[LAUGHTER] Hi"]
    rows = corpus([make_record(id=str(i), text=text, label=0) for i, text in enumerate(texts)])
    with caplog.at_level(logging.WARNING, logger="hf_mer"):
        assert check_text(rows) == {"missing": 1, "empty": 1, "tag_only": 1}
    assert "of 5 texts, 1 are missing" in caplog.text
    caplog.clear()
    speech_only = corpus([make_record(id="a", label=0)])
    assert check_text(speech_only)["missing"] == 1
    assert not caplog.text


def test_every_class_needs_training_rows():
    rows = corpus([make_record(id=str(i), label=i % 2) for i in range(4)])
    assert check_labels(rows, [0, 1, 2]) == {"angry": 2, "sad": 1}
    with pytest.raises(CorpusError, match="class 'sad' has no rows in fold 1"):
        check_labels(rows, [0, 2], where="fold 1")


def test_one_class_is_nothing_to_learn():
    rows = records_to_dataset([make_record(id=str(i), label=0) for i in range(4)], ["angry"])
    with pytest.raises(CorpusError, match="the classes are 'angry'; there must be two or more"):
        check_labels(rows, [0, 1, 2])


def test_a_test_part_of_one_class_is_named(caplog):
    rows = corpus([make_record(id=str(i), label=i % 2) for i in range(4)])
    assert check_test_labels(rows, [0, 1]) == ["angry", "sad"]
    assert not caplog.text
    assert check_test_labels(rows, [1, 3], "the test split of fold 1") == ["sad"]
    assert "the test split of fold 1 has only rows of class 'sad'" in caplog.text


def test_soft_targets_need_votes():
    rows = corpus([make_record(id=str(i), label=i % 2, votes=[0.5, 0.5] if i == 3 else None) for i in range(4)])
    assert check_votes(rows, [0, 1, 3]) == 1
    for lacking in (rows, rows.remove_columns("votes")):
        with pytest.raises(CorpusError, match=r"^soft_targets=true: no row of fold 1 has raters' votes\. IEMOCAP has"):
            check_votes(lacking, [0, 1, 2], "fold 1")
