"""What classes of a label store share, against counts and cosines by hand."""

import logging

import pytest
import torch

from hf_mer.models import LabelEmbeddingStore
from hf_mer.training.label_store.overlap import overlap_summary, overlap_table, overlaps, tell

LABELS = ["angry", "happy", "sad"]
WORDS = {"angry": ["hate", "no"], "happy": ["glad", "so"], "sad": ["so", "no"]}
CODES = {"angry": [1, 2, 3, 4], "happy": [2, 3, 4, 5], "sad": [7, 8, 9, 4]}


def store(**changes):
    fields = {
        "keywords": {label: [(word, 0.5) for word in words] for label, words in WORDS.items()},
        "tonal_codes": {label: [(code, 0.5) for code in codes] for label, codes in CODES.items()},
        "settings": {"text_label_init": "tfidf", "tonal_label_init": "codebook", "tfidf_contrast": False},
        "text_embeddings": torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]),
        "tonal_embeddings": torch.tensor([[1.0, 0.0], [1.0, 0.01], [1.0, 1.0]]),
        **changes,
    }
    return LabelEmbeddingStore(LABELS, **fields)


def test_shared_terms_and_cosines_by_hand():
    semantic, tonal = overlaps(store())
    assert [(pair.first, pair.second, pair.shared) for pair in semantic.pairs] == [
        ("angry", "happy", 0),
        ("angry", "sad", 1),
        ("happy", "sad", 1),
    ]
    assert [pair.cosine for pair in semantic.pairs] == pytest.approx([0.0, 0.6, 0.8])
    assert [pair.shared for pair in tonal.pairs] == [3, 1, 1]
    assert tonal.pairs[0].cosine == pytest.approx(1 / 1.0001**0.5)
    assert overlap_summary(store()).splitlines() == [
        "semantic labels, two classes: 0 to 1 of 2 keywords shared, cosine of the embeddings 0.0000 to 0.8000",
        "tonal labels, two classes: 1 to 3 of 4 codes shared, cosine of the embeddings 0.7071 to 1.0000",
    ]


def test_the_table_begins_with_the_most_alike():
    lines = overlap_table(store()).splitlines()
    assert lines[1:4] == [
        "  happy, sad    1 of 2 keywords, cosine 0.8000",
        "  angry, sad    1 of 2 keywords, cosine 0.6000",
        "  angry, happy  0 of 2 keywords, cosine 0.0000",
    ]
    assert lines[5] == "  angry, happy  3 of 4 codes, cosine 1.0000"


def test_what_a_store_lacks_is_left_out():
    random_start = store(text_embeddings=None, tonal_codes=None, tonal_embeddings=None)
    assert overlap_summary(random_start) == "semantic labels, two classes: 0 to 1 of 2 keywords shared"
    assert overlap_table(random_start).splitlines()[1] == "  angry, sad    1 of 2 keywords"
    without_codes = store(keywords=None, text_embeddings=None, tonal_codes=None)
    assert overlap_summary(without_codes) == ("tonal labels, two classes: cosine of the embeddings 0.7071 to 1.0000")
    assert overlap_table(LabelEmbeddingStore(LABELS)) == ""
    assert overlap_table(LabelEmbeddingStore(["sad"], keywords={"sad": [("so", 1.0)]})) == ""


def test_nearly_one_vector_is_warned_of(caplog):
    caplog.set_level(logging.INFO)
    tell(store())
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "the tonal label embeddings of 1 of 3 pairs of classes start as nearly one vector" in warning
    assert "nearest: angry and happy, 3 of 4 codes, cosine 1.0000" in warning
    assert warning.endswith("tfidf_contrast: true makes their terms differ, the embeddings less so")
    assert "semantic labels, two classes: 0 to 1 of 2 keywords shared" in caplog.text


@pytest.mark.parametrize(
    "settings", [{"tonal_label_init": "codebook", "tfidf_contrast": True}, {"tonal_label_init": "bert"}]
)
def test_no_advice_where_plain_tfidf_is_not_the_cause(settings, caplog):
    tell(store(settings=settings))
    assert "nearly one vector" in caplog.text
    assert "tfidf_contrast" not in caplog.text


def test_classes_that_differ_are_not_warned_of(caplog):
    tell(store(tonal_embeddings=torch.eye(3)))
    assert not caplog.records
