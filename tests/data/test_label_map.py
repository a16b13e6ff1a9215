"""Label maps: how they are written, what they do to rows, and what they refuse."""

import logging

import pytest

from hf_mer.data.label_map import map_labels, mapped_classes, parse_label_map
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset


def corpus(*labels, names=None):
    names = names or sorted(set(labels))
    records = [make_record(id=f"u{i}", text=f"text {i}", label=names.index(label)) for i, label in enumerate(labels)]
    return records_to_dataset(records, names)


@pytest.mark.parametrize(
    "given",
    [
        "happy=joy,Excited=joy, calm=",
        ["happy=joy", "excited=joy,calm="],
        {"Happy": "joy", "excited": "joy", "calm": None},
    ],
)
def test_ways_to_write_one(given):
    assert parse_label_map(given) == {"happy": "joy", "excited": "joy", "calm": None}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("happy", "'happy': write CORPUS_LABEL=CLASS"),
        ("happy=joy,", "'': write CORPUS_LABEL=CLASS"),
        ("=joy", "a label of the corpus must stand before the ="),
        ("happy=joy,Happy=anger", "'happy' is both joy and anger"),
        ("happy=joy,Happy=", "'happy' is both joy and left out"),
        ({False: "joy"}, "quote words such as 'no' in YAML"),
    ],
)
def test_what_is_no_map(given, said):
    with pytest.raises(ValueError, match=said):
        parse_label_map(given)


def test_no_map():
    assert parse_label_map(None) is None
    assert parse_label_map({}) is None


def test_rows_get_the_classes_of_a_model(caplog):
    rows = corpus("happy", "excited", "calm", "sad", "calm", "happy")
    with caplog.at_level(logging.WARNING):
        mapped, left_out = map_labels(
            {"one": rows}, {"happy": "Joy", "excited": "joy", "calm": None}, ["sad", "joy", "fear"]
        )
    assert mapped["one"].features["label"].names == ["sad", "joy", "fear"]
    assert mapped["one"]["id"][:] == ["u0", "u1", "u3", "u5"]
    assert mapped["one"]["label"][:] == [1, 1, 0, 1]
    assert left_out == {"calm": 2}
    assert "2 of calm" in caplog.text


def test_votes_follow_their_labels():
    """Those of two labels that become one class are added, those of labels that are left out are dropped."""
    votes = {0: [0.0, 0.25, 0.25, 0.5], 1: [1.0, 0.0, 0.0, 0.0], 2: None}
    names = ["calm", "excited", "happy", "sad"]
    records = [make_record(id=f"u{i}", text="t", label=3, votes=shares) for i, shares in votes.items()]
    rows = records_to_dataset(records, names)
    label_map = parse_label_map("happy=joy,excited=joy,calm=")
    mapped = map_labels({"a": rows}, label_map, ["sad", "joy"])[0]["a"]
    assert mapped["votes"][:] == [[0.5, 0.5], None, None]
    assert mapped["label"][:] == [0, 0, 0]


def test_rows_that_fit_stay_what_they_are():
    rows = corpus("happy", "sad")
    mapped, left_out = map_labels({"one": rows}, {}, ["happy", "sad"])
    assert mapped["one"] is rows
    assert not left_out


def test_classes_are_called_as_asked_for():
    """Also by a corpus that needs no map, or it could not stand beside one that does."""
    corpora = {"one": corpus("happy", "sad"), "two": corpus("calm", "happy", "sad")}
    mapped, _ = map_labels(corpora, {"calm": None}, ["Happy", "Sad"])
    assert [rows.features["label"].names for rows in mapped.values()] == [["Happy", "Sad"]] * 2
    assert [rows["label"][:] for rows in mapped.values()] == [[0, 1], [0, 1]]


def test_labels_may_change_places():
    mapped, _ = map_labels({"one": corpus("happy", "sad", "sad")}, {"happy": "sad", "sad": "happy"}, ["happy", "sad"])
    assert mapped["one"]["label"][:] == [1, 0, 0]


def test_everything_that_does_not_fit_is_said_at_once():
    label_map = {"hapy": "joy", "happy": "joi", "calm": None}
    with pytest.raises(CorpusError) as caught:
        map_labels({"one": corpus("happy", "bored", "bored", "calm")}, label_map, ["joy", "anger"], "the checkpoint")
    assert caught.value.problems == [
        "hapy=joy: 'hapy' is not a label of one (bored, calm, happy); did you mean happy?",
        "happy=joi: 'joi' is not a class of the checkpoint (joy, anger); did you mean joy?",
        "one: label 'bored' (2 rows) is not a class of the checkpoint; map it, bored=CLASS, or leave its rows out, bored=",
    ]


def test_a_label_without_rows_need_not_be_mapped():
    rows = corpus("happy", names=["happy", "bored"])
    assert map_labels({"one": rows}, {}, ["happy", "sad"])[0]["one"]["label"][:] == [0]


def test_nothing_left():
    with pytest.raises(CorpusError, match="one: the label map leaves every row out"):
        map_labels({"one": corpus("calm", "calm")}, {"calm": None}, ["joy"])


def test_one_map_for_several_corpora():
    """An entry is right if any corpus has its label."""
    corpora = {"one": corpus("happy", "sad"), "two": corpus("joy", "sad")}
    mapped, _ = map_labels(corpora, {"happy": "joy"}, mapped_classes(corpora, {"happy": "joy"}))
    assert [rows.features["label"].names for rows in mapped.values()] == [["joy", "sad"]] * 2


def test_classes_that_one_corpus_lacks():
    with pytest.raises(CorpusError) as caught:
        mapped_classes({"one": corpus("happy", "sad"), "two": corpus("joy", "Sad")}, {})
    assert caught.value.problems == ["one: happy, sad; not in all: happy", "two: joy, sad; not in all: joy"]
    assert mapped_classes({"one": corpus("happy", "sad"), "two": corpus("joy", "Sad")}, {"joy": "happy"}) == [
        "happy",
        "Sad",
    ]
