"""Raters' votes of tables and of IEMOCAP, down to shares of the classes."""

import json
import logging

import pytest

from hf_mer.data.corpora.iemocap_votes import count_vote, log_unknown_categories
from hf_mer.data.corpora.manifest import load_corpus
from hf_mer.data.schema import CorpusError, column
from hf_mer.data.votes import vote_shares


@pytest.fixture
def table(tmp_path):
    def write(votes, labels=("angry", "sad", "angry", "sad")):
        path = tmp_path / "corpus.jsonl"
        rows = [
            {"id": f"u{place}", "text": "So it is.", "label": label, "raters": vote}
            for place, (vote, label) in enumerate(zip(votes, labels, strict=True))
        ]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return path

    return write


def votes_of(path, columns, **options):
    return column(load_corpus(path, columns=columns, **options), "votes")


def test_shares():
    assert vote_shares({"a": 1, "b": 3, "other": 9}, ["b", "a", "c"]) == [0.75, 0.25, 0.0]
    assert vote_shares({"other": 2}, ["a", "b"]) is None
    assert vote_shares({}, ["a", "b"]) is None


def test_a_column_of_objects(table, caplog):
    path = table(['{"angry": 3, "SAD ": 1}', {"sad": 0.5, "bored": 7}, "", '{"bored": 2, "angry": 0}'])
    with caplog.at_level(logging.WARNING):
        found = votes_of(path, {"votes": "raters"})
    assert found == [[0.75, 0.25], [0.0, 1.0], None, None]
    assert "votes for labels that are not classes are ignored: 'bored' (in 2 rows)" in caplog.text
    assert "most votes are for another class" not in caplog.text


def test_a_column_for_every_class(tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("text,emotion,n1,n2,nobody\nYes.,Happy,2,,4\nNo.,sad,1,3,\nSo?,sad,,,5\n", encoding="utf-8")
    columns = {"votes": {"HAPPY": "n1", "Sad": "n2", "nobody": "nobody"}}
    rows = load_corpus(path, columns=columns)
    assert rows.features["label"].names == ["happy", "sad"]
    assert column(rows, "votes") == [[1.0, 0.0], [0.25, 0.75], None]
    assert column(load_corpus(path), "votes") == [None] * 3  # nobody named them


def test_a_column_that_is_called_so_is_not_taken_for_it(tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("text,label,votes\nYes.,happy,3\nNo.,sad,5\n", encoding="utf-8")
    assert votes_of(path, {}) == [None, None]


@pytest.mark.parametrize(
    ("vote", "message"),
    [
        ({"angry": "two"}, r"line 2, column 'raters': votes for 'angry' are 'two'; they must be a number, 0 or more"),
        ({"angry": -1}, r"line 2, column 'raters': votes for 'angry' are -1; they must be"),
        ('{"angry": NaN}', r"line 2, column 'raters': votes for 'angry' are nan; they must be"),
        ({"angry": None}, r"votes for 'angry' are None; they must be"),
        ({"angry": True}, r"votes for 'angry' are True; they must be"),
        ({"angry": [1]}, r"votes for 'angry' are \[1\]; they must be"),
        ('{"angry": 1, "Angry": 2}', r"line 2, column 'raters': votes for 'Angry' are given twice"),
        ('{"angry": 1, "angry": 2}', r"line 2, column 'raters': votes for 'angry' are given twice"),
        ("angry", r"line 2, column 'raters': votes 'angry' are not a JSON object of classes and numbers, such as"),
        ("[1, 2]", r"line 2, column 'raters': votes '\[1, 2\]' are not a JSON object"),
        (3, r"line 2, column 'raters': votes 3 are not a JSON object"),
    ],
)
def test_votes_that_are_none_are_refused(table, vote, message):
    with pytest.raises(CorpusError, match=rf"corpus\.jsonl, {message}|{message}"):
        votes_of(table([{"sad": 1}, vote, "", ""]), {"votes": "raters"})


def test_votes_in_columns_that_are_none_are_refused(tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("text,label,n1,n2\nYes.,happy,2,1\nNo.,sad,many,3\n", encoding="utf-8")
    with pytest.raises(
        CorpusError, match=r"corpus\.csv, line 3, column 'n1': votes for 'happy' are 'many'; they must"
    ):
        votes_of(path, {"votes": {"happy": "n1", "sad": "n2"}})
    with pytest.raises(CorpusError, match=r"no column for votes\[sad\]='n3'; the columns are: text, label, n1, n2"):
        votes_of(path, {"votes": {"happy": "n1", "sad": "n3"}})
    with pytest.raises(CorpusError, match=r"no column for votes='n3'"):
        votes_of(path, {"votes": "n3"})


def test_votes_of_other_names_than_the_classes_are_refused(table):
    with pytest.raises(
        CorpusError, match=r"no vote is for one of the classes, angry, sad; votes are for 'ang' \(in 2"
    ):
        votes_of(table([{"ang": 2}, {"ang": 1, "sd": 1}, "", ""]), {"votes": "raters"})


def test_votes_against_the_label_are_told(table, caplog):
    path = table([{"sad": 2, "angry": 1}, {"sad": 1, "angry": 1}, {"sad": 1}, ""])
    with caplog.at_level(logging.WARNING):
        votes_of(path, {"votes": "raters"})
    assert "in 2 rows most votes are for another class than the label, such as" in caplog.text
    assert "corpus.jsonl, line 1;" in caplog.text


def test_lines_of_iemocap():
    votes = {}
    for line in (
        "C-E2:\tNeutral;\t()",
        "C-E3:\tNeutral state; Frustration;\t(a little bored; really)",
        "C-E12:\texcited;\t()",
        "C-E4:\t\t()",
        "C-F1:\tAnger;\t()",
        "C-M1:\tAnger;\t()",
        "A-E3:\tval 3; act 2; dom  2;\t()",
        "",
    ):
        count_vote(votes, line)
    assert votes == {"neu": 1.5, "fru": 0.5, "exc": 1.0}


def test_categories_that_are_not_known_are_told(caplog):
    votes = {}
    count_vote(votes, "C-E2:\tBoredom; Sadness;\t()")
    assert votes == {"boredom": 0.5, "sad": 0.5}
    with caplog.at_level(logging.WARNING):
        log_unknown_categories([("u0", {"sad": 1.0}), ("u1", votes)], "IEMOCAP")
    assert "IEMOCAP: votes for unknown categories are ignored: 'boredom' (1); the first in u1" in caplog.text
