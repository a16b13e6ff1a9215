"""What counts as a value, and what as words: one notion for tables, histories, batches and the pipeline."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

# Letters and symbols by their category, which show nothing: fillers of Hangul, the empty pattern of Braille.
_BLANK = {"\u115f", "\u1160", "\u3164", "\uffa0", "\u2800"}
_JOINERS = {"\u200c", "\u200d"}  # which change how the letters and pictures around them look


def is_missing(value: Any) -> bool:
    """Whether a value is none: None, NaN, pandas' NA and NaT, or a text in which nothing can be seen."""
    return not says_anything(value) if isinstance(value, str) else value is None or is_nan(value)


def is_nan(value: Any) -> bool:
    """Whether a value is NaN, or pandas' NA or NaT, by which tables mark an empty cell."""
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)


def _is_plain(text: str) -> bool:
    """Whether all of a text is ASCII that shows, and spaces: what most texts are, and need not be looked through."""
    return text.isascii() and text.isprintable()


def says_anything(text: str | None) -> bool:
    """Whether a text has anything but white space, control characters and characters that show nothing."""
    if text is None or _is_plain(text):
        return bool(text and text.strip())
    return any(unicodedata.category(character)[0] in "LNPS" and character not in _BLANK for character in text)


def visible(text: str) -> str:
    """A text in the composed form (NFC), without characters that show nothing and white space around it.

    White space inside stays, and so do joiners between characters.
    """
    if _is_plain(text):
        return text.strip()
    kept = "".join(
        character
        for character in unicodedata.normalize("NFC", text)
        if character.isspace() or character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf")
    )
    return kept.strip().strip("".join(_JOINERS)).strip()


def words_of(text: str | None) -> str | None:
    """The words of an utterance as a model reads them: `visible`; None where it says nothing."""
    return visible(text) if text is not None and says_anything(text) else None


def turns_with_words(history: Any) -> list[str]:
    """The turns of a history that say anything, as a model reads them.

    Raises:
        ValueError: If it is one text instead of a list of them, or something else.
    """
    given = [] if history is None or is_nan(history) else history
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ValueError(f"history must be a list of utterances, got a {type(given).__name__}")
    given = list(given)
    for number, turn in enumerate(given, start=1):
        if not (turn is None or isinstance(turn, str) or is_nan(turn)):
            raise ValueError(f"history must be a list of utterances, and its turn {number} is a {type(turn).__name__}")
    turns = (None if is_nan(turn) else words_of(turn) for turn in given)
    return [turn for turn in turns if turn]


def has_words(text: str | None, history: list[str] | None) -> bool:
    """Whether text or history say anything."""
    return says_anything(text) or bool(turns_with_words(history))
