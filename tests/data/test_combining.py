"""Several corpora as one."""

import pytest

from hf_mer.data.combining import combine_corpora
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset


def corpus(*ids, labels=("happy", "sad"), **values):
    own = {"text": "hello", "history": ["oh"], "audio": "/there/a.wav", "label": 1, **values}
    return records_to_dataset([make_record(id=one, **own) for one in ids], list(labels))


def test_rows_say_where_they_are_from():
    rows = combine_corpora(
        {"ravdess": corpus("a", "b", speaker="A01", group="1"), "emodb": corpus("a", speaker="A01")}
    )
    assert rows["id"][:] == ["ravdess.a", "ravdess.b", "emodb.a"]
    assert rows["corpus"][:] == ["ravdess", "ravdess", "emodb"]
    assert rows["speaker"][:] == ["ravdess.A01", "ravdess.A01", "emodb.A01"]
    assert rows["group"][:] == ["ravdess.1", "ravdess.1", None]
    assert rows[2]["audio"] == {"bytes": None, "path": "/there/a.wav"}
    assert (rows[2]["label"], rows[2]["history"], rows[2]["session"]) == (1, ["oh"], None)


def test_a_corpus_of_corpora_keeps_their_names():
    rows = combine_corpora({"mine": corpus("a", corpus="calls"), "emodb": corpus("a")})
    assert rows["corpus"][:] == ["calls", "emodb"]
    assert rows["id"][:] == ["mine.a", "emodb.a"]


def test_the_same_corpora_are_the_same_dataset():
    first, again = (combine_corpora({"one": corpus("a"), "two": corpus("a")}) for _ in range(2))
    assert first._fingerprint == again._fingerprint
    assert first._fingerprint != combine_corpora({"two": corpus("a"), "one": corpus("a")})._fingerprint


def test_what_cannot_be_one():
    with pytest.raises(CorpusError, match="two has the classes sad, not happy, sad"):
        combine_corpora({"one": corpus("a"), "two": corpus("a", labels=["sad"], label=0)})
    with pytest.raises(CorpusError, match=r"have the id 'a\.b\.c'"):
        combine_corpora({"a": corpus("b.c"), "a.b": corpus("c")})
