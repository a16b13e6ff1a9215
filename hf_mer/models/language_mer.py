"""Whether words, recogniser and text encoder speak one language, as far as they say so or it can be counted."""

import logging
from collections.abc import Iterable
from typing import Any

from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

logger = logging.getLogger(__name__)

MOST_UNREAD = 0.1
"""Share of tokens that may say nothing. MiniLM's English vocabulary has 0.5 % on English dialogue (MELD), and on a few
everyday sentences 14 % on German, 24 % on Polish, 59 % on Chinese and 89 % on Russian; French (3 %) goes unnoticed."""
_ENOUGH, _COUNTED = 50, 5000  # tokens before anything is said, and after which no more are counted


def unread_tokens(tokenizer: Any, texts: Iterable[str]) -> tuple[int, int]:
    """How many tokens say nothing to a text encoder, and how many there are.

    A token says nothing if it is the one for what is unknown, or a single letter out of a longer word: so a vocabulary
    of one language spells words of another one, where it has their letters at all. Vocabularies of bytes spell too.
    Letters of scripts without spaces between words are words, and count only where they are unknown.

    Args:
        tokenizer: A fast one.
        texts: Without special tokens.
    """
    unread = total = 0
    for text in texts:
        encoding = tokenizer(text, add_special_tokens=False, verbose=False).encodings[0]
        for place, (number, (start, end)) in enumerate(zip(encoding.ids, encoding.offsets, strict=True)):
            total += 1
            word = encoding.word_ids[place]
            beside = [other for other in (place - 1, place + 1) if 0 <= other < len(encoding.ids)]
            spelt = end - start <= 1 and any(word is not None and encoding.word_ids[other] == word for other in beside)
            unread += number == tokenizer.unk_token_id or (spelt and text[start:end].isalpha())
    return unread, total


class Reading:
    """Counts, over the texts of a pipeline, what its tokenizer can read; warns once where that is too little."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.unread = self.total = 0

    def add(self, text: str | None) -> None:
        """Counts a text, until it is known how well texts are read."""
        if not text or self.total >= _COUNTED:
            return
        unread, total = unread_tokens(self.tokenizer, [text])
        self.unread, self.total = self.unread + unread, self.total + total
        if self.total >= _ENOUGH and warn_of_unread(self.unread, self.total, "texts"):
            self.total = _COUNTED


def warn_of_unread(unread: int, total: int, what: str) -> bool:
    """Says that a text encoder was made for another language than texts are in, where its tokenizer tells.

    Args:
        unread: Of `unread_tokens`.
        total: Of `unread_tokens`.
        what: The texts, for the message.

    Returns:
        Whether anything was said.
    """
    too_little = total > 0 and unread > MOST_UNREAD * total
    if too_little:
        logger.warning(
            "%d of %d tokens of the %s are unknown to the text encoder's tokenizer or single letters of a word: it "
            "may be made for another language, or have a small vocabulary; text then adds little",
            unread,
            total,
            what,
        )
    return too_little


def recogniser_language(asr: Any) -> str | None:
    """ISO 639 code of the language that a speech recogniser writes, where its settings state it; None otherwise.

    An English-only Whisper writes English, and one that is set to a language that; others do not say.
    """
    settings = getattr(getattr(asr, "model", None), "generation_config", None)
    if getattr(asr, "type", None) != "seq2seq_whisper":
        return None
    if getattr(settings, "is_multilingual", None) is False or getattr(settings, "task", None) == "translate":
        return "en"
    return _code(getattr(settings, "language", None))


def check_languages(config: Any, asr: Any) -> None:
    """Warns where a recogniser states another language than that of the words that a model was trained on.

    Args:
        config: The model's; its `language` is that of the training corpus, None where the corpus does not state one.
        asr: What `load_recogniser` gave.
    """
    trained, written = _code(getattr(config, "language", None)), recogniser_language(asr)
    if "text" in config.modalities and trained and written and trained != written:
        logger.warning(
            "the speech recogniser writes '%s', but the model was trained on words in '%s': what it recognises is of "
            "little use to the model; choose a recogniser for that language",
            written,
            trained,
        )


def _code(language: str | None) -> str | None:
    """`de` of `de`, `de-AT`, `German` and `<|de|>`."""
    if not language:
        return None
    name = language.lower().strip("<|>")
    return TO_LANGUAGE_CODE.get(name, name.replace("_", "-").split("-")[0])
