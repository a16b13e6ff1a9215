"""Folds of several corpora."""

import logging

import pytest

from hf_mer.data.protocols.make_folds import make_folds
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset


def rows_of(**speakers):
    """`rows_of(north=6, south=3)`: two rows of every speaker, one of each class."""
    records = [
        make_record(id=f"{corpus}{i}{label}", corpus=corpus, speaker=f"{corpus}.A{i}", text="hello", label=label)
        for corpus, count in speakers.items()
        for i in range(count)
        for label in range(2)
    ]
    return records_to_dataset(records, ["happy", "sad"])


def values(rows, indices, name="corpus"):
    return {rows[index][name] for index in indices}


def test_leave_one_corpus_out():
    rows = rows_of(north=6, south=3, west=4)
    folds = make_folds(rows, "leave_one_corpus_out", seed=1)
    assert [fold.name for fold in folds] == ["north", "south", "west"]
    for fold in folds:
        assert values(rows, fold.test) == {fold.name}
        others = {"north", "south", "west"} - {fold.name}
        assert values(rows, fold.train) == values(rows, fold.validation) == others  # two speakers of each
        assert len(values(rows, fold.validation, "speaker")) == 4
        assert not values(rows, fold.train, "speaker") & values(rows, fold.validation, "speaker")


def test_one_corpus_cannot_be_left_out():
    with pytest.raises(CorpusError, match="needs two or more values of 'corpus'"):
        make_folds(rows_of(north=4), "leave_one_corpus_out")
    with pytest.raises(CorpusError, match="training speakers of south to draw from"):
        make_folds(rows_of(north=6, south=2), "leave_one_corpus_out")


def test_every_fold_tests_every_corpus(caplog):
    rows = rows_of(north=6, south=4)
    with caplog.at_level(logging.WARNING):
        folds = make_folds(rows, "groups", group_column="speaker", num_groups=3)
    assert not caplog.text
    for fold in folds:
        assert values(rows, fold.test) == values(rows, fold.train) == {"north", "south"}
    assert values(rows, folds[0].test, "speaker") == {"north.A0", "north.A1", "south.A0", "south.A1"}


def test_more_folds_than_speakers_of_a_corpus(caplog):
    rows = rows_of(north=3, south=2)
    with caplog.at_level(logging.WARNING):
        folds = make_folds(rows, "groups", group_column="speaker", num_groups=5, validation="none")
    assert "north: only 3 of 5 folds test it" in caplog.text
    assert [len(fold.test) for fold in folds] == [2] * 5


def test_a_speaker_of_two_corpora_is_in_one_group():
    records = [
        make_record(id=f"u{i}", corpus=f"c{i % 2}", speaker=f"A{i // 2}", text="hello", label=i % 2) for i in range(12)
    ]
    rows = records_to_dataset(records, ["happy", "sad"])
    folds = make_folds(rows, "groups", group_column="speaker", num_groups=3)
    assert values(rows, folds[0].test, "speaker") == {"A0", "A1"}
    with pytest.raises(CorpusError, match="share 6 speakers"):
        make_folds(rows, "leave_one_corpus_out", validation="none")
