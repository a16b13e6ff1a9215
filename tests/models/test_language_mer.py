import logging
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_mer.models import language_mer
from hf_mer.models.language_mer import Reading, check_languages, recogniser_language, unread_tokens, warn_of_unread


@pytest.fixture(scope="module")
def tokenizer():
    """A WordPiece vocabulary of a few English words and the letters of German."""
    pieces = ["[UNK]", "so", "glad", ".", "##ness", "f", "i", "我", *(f"##{letter}" for letter in "rohe")]
    wordpiece = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=wordpiece, unk_token="[UNK]")


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("so glad .", (0, 3)), ("so gladness", (0, 3)), ("i so", (0, 2)), ("froh", (4, 4)), ("so 我 高", (1, 3)),
        ("", (0, 0)),
    ],
)  # fmt: skip
def test_what_says_nothing(tokenizer, text, counts):
    assert unread_tokens(tokenizer, [text]) == counts


def test_texts_of_another_language_are_told_once(tokenizer, caplog):
    reading = Reading(tokenizer)
    for _ in range(12):
        reading.add("so froh")
    assert [record.getMessage().partition(" are ")[0] for record in caplog.records] == ["40 of 50 tokens of the texts"]


def test_texts_that_are_read_well(tokenizer, caplog, monkeypatch):
    monkeypatch.setattr(language_mer, "_COUNTED", 60)
    reading = Reading(tokenizer)
    for text in [None, "", *["so glad"] * 30, *["froh"] * 50]:  # the last ones are not looked at any more
        reading.add(text)
    assert (reading.unread, reading.total) == (0, 60)
    assert not warn_of_unread(0, 0, "texts")
    assert not warn_of_unread(5, 50, "texts")
    assert not caplog.records
    assert warn_of_unread(6, 50, "texts")


def recogniser(**settings):
    return SimpleNamespace(
        type="seq2seq_whisper", model=SimpleNamespace(generation_config=SimpleNamespace(**settings))
    )


def test_language_of_a_recogniser():
    assert recogniser_language(recogniser(is_multilingual=False)) == "en"
    assert recogniser_language(recogniser(is_multilingual=True, language="German")) == "de"
    assert recogniser_language(recogniser(is_multilingual=True, language="<|pl|>")) == "pl"
    assert recogniser_language(recogniser(is_multilingual=True, language="pl", task="translate")) == "en"
    assert recogniser_language(recogniser(is_multilingual=True)) is None
    assert recogniser_language(lambda samples, rate: "") is None


@pytest.mark.parametrize(
    ("trained", "written", "told"),
    [("de", "en", True), ("en-US", "en", False), (None, "en", False), ("de", None, False)],
)
def test_another_language_than_the_model_was_trained_on(trained, written, told, caplog):
    config = SimpleNamespace(modalities=["text", "speech"], language=trained)
    asr = recogniser(is_multilingual=written != "en", language=None)
    with caplog.at_level(logging.WARNING):
        check_languages(config, asr)
    assert [record.getMessage()[:80] for record in caplog.records] == (
        ["the speech recogniser writes 'en', but the model was trained on words in 'de': w"] if told else []
    )
