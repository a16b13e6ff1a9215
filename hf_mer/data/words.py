"""What counts as a word of a transcript, in scripts with spaces between words and in scripts without."""

import re
import unicodedata

from hf_mer.data.schema import TAG

# written without spaces between words: kana and Han, Thai, Lao, Burmese, Khmer; every letter counts by itself ...
_UNSPACED = (
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\uff66-\uff9f\U00020000-\U000323af\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6"
    r"\u0edc-\u0edf\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3\u17d7\u17dc"
)
# ... with the signs above, below and beside it
_UNSPACED_MARKS = (
    r"\u3099\u309a\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059"
    r"\u17b4-\u17d3\u17dd"
)
# vowel signs and accents that are characters of their own (Indic scripts, Arabic, Hebrew) belong to their word
_MARKS = r"\u0300-\u036f\u05b0-\u05c7\u064b-\u0670\u0900-\u0963\u0971-\u0dff"
_LETTERS = rf"(?:(?!\d)[{_MARKS}]|[^\W\d_{_UNSPACED}])+"
_LETTERS_AND_DIGITS = rf"(?:[{_MARKS}]|[^\W_{_UNSPACED}])+"

CHARACTER = rf"[{_UNSPACED}][{_UNSPACED_MARKS}]*"
"""Pattern of a character that stands for a word, in a script without spaces."""
WORD = rf"{_LETTERS}(?:['\u2019]{_LETTERS})*"
"""Pattern of a word of letters, in a script with spaces."""

_SPOKEN = re.compile(rf"{TAG.pattern}|(?P<word>{CHARACTER}|{_LETTERS_AND_DIGITS}(?:['\u2019]{_LETTERS_AND_DIGITS})*)")
_UNIT = re.compile(rf"{CHARACTER}[^\w\s]*|(?:(?!{CHARACTER})\S)+")
_CHARACTER = re.compile(CHARACTER)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Start and end in the text of every word or number; of every character in scripts without spaces.

    Tags such as `[LAUGHTER]` and punctuation belong to no word.
    """
    return [match.span("word") for match in _SPOKEN.finditer(text) if match["word"] is not None]


def word_key(word: str) -> str:
    """What is the same in two spellings of a word: case, kind of apostrophe and form of an accent do not count."""
    return unicodedata.normalize("NFC", word.lower().replace("\u2019", "'"))


def spoken_words(text: str) -> list[str]:
    """The words of `word_spans` as they are compared and counted."""
    return [word_key(text[start:end]) for start, end in word_spans(text)]


def split_units(text: str) -> list[str]:
    """What positions in a transcript count: `text.split()`, with characters of scripts without spaces by themselves.

    Punctuation stays with what stands before it; a tag such as `[LAUGHTER]` is a unit.
    """
    return _UNIT.findall(text)


def is_character(word: str) -> bool:
    """Whether a word is a character of a script without spaces."""
    return _CHARACTER.match(word) is not None
