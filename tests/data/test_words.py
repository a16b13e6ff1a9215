"""Words, characters and positions, in scripts with and without spaces."""

import pytest

from hf_mer.data.words import is_character, split_units, spoken_words, word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't KNOW, it\u2019s 3 o'clock!", ["i", "don't", "know", "it's", "3", "o'clock"]),
        ("[LAUGHTER] Well... [BREATHING]", ["well"]),
        ("Cz\u0119\u015bciowo \u2014 u\u0308ber", ["cz\u0119\u015bciowo", "\u00fcber"]),
        ("\u6211\u5f88\u9ad8\u5174\u3002OK\uff0c42", ["\u6211", "\u5f88", "\u9ad8", "\u5174", "ok", "42"]),
        ("\u304c\u3093\u3070\u308b\u30fb\u30e1\u30fc\u30eb", list("\u304c\u3093\u3070\u308b\u30e1\u30fc\u30eb")),
        ("\u0e09\u0e31\u0e19\u0e14\u0e35", ["\u0e09\u0e31", "\u0e19", "\u0e14\u0e35"]),  # a vowel above its consonant
        ("\u0928\u092e\u0938\u094d\u0924\u0947\u0964", ["\u0928\u092e\u0938\u094d\u0924\u0947"]),
        ("", []),
    ],
)
def test_spoken_words(text, words):
    assert spoken_words(text) == words


def test_spans_are_those_of_the_text_as_it_stands():
    text = "[LAUGHTER] Well, u\u0308ber \u9ad8\u5174!"
    assert [text[start:end] for start, end in word_spans(text)] == ["Well", "u\u0308ber", "\u9ad8", "\u5174"]


@pytest.mark.parametrize(
    "text", ["Well, I don't know.", "[LAUGHTER] So - what?", "  two  blanks ", "Gr\u00fc\u00df Gott!"]
)
def test_units_of_scripts_with_spaces_are_those_of_split(text):
    assert split_units(text) == text.split()


def test_units_of_scripts_without_spaces_are_characters_with_their_punctuation():
    text = "[LAUGHTER] \u6211\u5f88\u9ad8\u5174\u3002OK\uff0c\u597d"
    assert split_units(text) == ["[LAUGHTER]", "\u6211", "\u5f88", "\u9ad8", "\u5174\u3002", "OK\uff0c", "\u597d"]
    assert [is_character(word) for word in ("\u6211", "OK", "\u0e14\u0e35")] == [True, False, True]
