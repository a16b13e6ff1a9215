"""The tokenizer that is learned from the training texts, in several languages."""

import numpy as np
import pytest
from transformers import AutoTokenizer

from hf_mer.data.generated.sentences import LANGUAGES, write_sentence
from hf_mer.training.tokenizer import train_tokenizer


def sentences(language, size=150):
    return [
        write_sentence(9, 1, 1 - 2 * (n % 2), np.random.default_rng(n), language=language, tag_share=0).text
        for n in range(size)
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_is_known_and_comes_back(language, tmp_path):
    texts = sentences(language)
    train_tokenizer(texts, 1000).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for text in texts:
        tokens = tokenizer.tokenize(text)
        assert "[UNK]" not in tokens
        assert "".join(tokens).replace("##", "") == text.lower().replace(" ", "")


def test_words_that_differ_in_an_accent_stay_two(tmp_path):
    tokenizer = train_tokenizer([*sentences("de"), "Er ist schön und schon hier."] * 2, 1000)
    assert tokenizer.encode("schön") != tokenizer.encode("schon")
    polish = train_tokenizer(["sąd i sad", "łaska i laska"] * 3, 100)
    assert polish.tokenize("Sąd łaska") == ["sąd", "łaska"]
    korean = train_tokenizer(["\ub098\ub294 \uc815\ub9d0 \ud589\ubcf5\ud574\uc694"] * 3, 100)
    assert korean.tokenize("\ub098\ub294") == ["\ub098\ub294"]  # not taken apart into single letters


def test_a_rare_accent_of_english_is_stripped():
    """As before accents were kept anywhere: vocabularies of English corpora are what they were."""
    texts = sentences("en")
    plain, rare = (train_tokenizer([*texts, word, word], 1000) for word in ("naive", "na\u00efve"))
    assert plain.get_vocab() == rare.get_vocab()
    assert rare.tokenize("Na\u00efve!") == ["naive", "[UNK]"]
    assert rare.strip_accents is None


def test_marks_alone_are_no_obstacle():
    assert "a" in train_tokenizer(["\u0301 a a", "a \u0301"], 50).get_vocab()
