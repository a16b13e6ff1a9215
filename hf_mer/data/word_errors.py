"""Transcripts as a speech recogniser would write them: with a set share of wrong words.

Corpora come with transcripts by hand; a system in use reads a recogniser's. Errors here fall on words by chance, and
wrong words are drawn from the corpus itself by frequency, so they are worse than a recogniser's, which sound alike.
"""

import functools
import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import TAG, column
from hf_mer.data.words import is_character, spoken_words, word_key, word_spans

logger = logging.getLogger(__name__)

WORD_ERROR_PARTS = ("test", "all")
WORD_ERROR_SHARES = (0.2, 0.6, 0.2)
"""Of deletions, substitutions and insertions among the errors."""


def with_transcript_errors(rows: Dataset, fold: Fold, data_arguments: Any, seed: int) -> Dataset:
    """The rows of a fold with the errors that the settings ask for, and in `said` what was said.

    A transcript has the same errors in every fold, and the same whether the test part alone or all rows have errors.

    Args:
        rows: The corpus.
        fold: With `word_error_parts="test"` its test rows get errors, in text and history, and no others.
        data_arguments: `word_error_rate` (None for none), `word_error_parts` and `word_error_shares`.
        seed: Of the errors.
    """
    rate = data_arguments.word_error_rate
    if rate is None:
        return rows
    shares = data_arguments.word_error_shares or WORD_ERROR_SHARES
    wrong = corrupt_transcripts(rows, rate, shares, seed)
    if data_arguments.word_error_parts != "all":
        test = set(fold.test)
        wrong = _with_texts(
            rows,
            *(
                [new if index in test else old for index, (old, new) in enumerate(zip(*both, strict=True))]
                for both in ((column(rows, name), column(wrong, name)) for name in ("text", "history"))
            ),
        )
    texts, heard = ([column(one, "text")[index] for index in fold.test] for one in (rows, wrong))
    logger.info("fold %s: word error rate %.3f of the test split", fold.name, word_error_rate(texts, heard))
    return wrong.add_column("said", column(rows, "text"), feature=rows.features["text"])


def corrupt_transcripts(
    rows: Dataset, rate: float, shares: Sequence[float] = WORD_ERROR_SHARES, seed: int = 0
) -> Dataset:
    """Puts errors into texts and histories so that the texts have a word error rate.

    Every word is deleted, substituted or followed by an insertion with probabilities in proportion to `shares`, which
    are then adjusted until the rate of all texts, measured by `word_error_rate`, is the one asked for (to 0.001, or to
    a word in a small corpus): the best alignment finds fewer errors than were made. Errors of an utterance are drawn
    from the seed, its dialogue and its text, so it has the same errors as a row and in the histories of later rows. A
    higher rate adds errors to those of a lower one. Tags such as `[LAUGHTER]` stay, and an utterance never loses all
    its words. In scripts without spaces characters count as words.

    Args:
        rows: The corpus.
        rate: Errors per word, 0 to 1.
        shares: Of deletions, substitutions and insertions; only their proportions count.
        seed: Of the errors.

    Returns:
        The rows with other `text` and `history`.

    Raises:
        ValueError: If rate or shares are out of range, or the transcripts have no two different words.
    """
    check_word_errors(rate, shares)
    if rate == 0:
        return rows
    texts = column(rows, "text")
    dialogues = [dialogue or "" for dialogue in column(rows, "dialogue")]
    recogniser = _Recogniser([text or "" for text in texts], shares, seed)
    chance = _fitting_chance(recogniser, list(zip(dialogues, texts, strict=True)), rate)
    hear = functools.cache(functools.partial(recogniser.hear, chance=chance))
    heard = [hear(dialogue, text) for dialogue, text in zip(dialogues, texts, strict=True)]
    histories = [
        [hear(dialogue, turn) for turn in history]
        for dialogue, history in zip(dialogues, column(rows, "history"), strict=True)
    ]
    return _with_texts(rows, heard, histories)


def check_word_errors(rate: float, shares: Sequence[float]) -> None:
    """Refuses rates and shares out of range.

    Raises:
        ValueError: With the valid values.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"word_error_rate={rate} must be between 0 and 1")
    if len(shares) != 3 or min(shares) < 0 or sum(shares) <= 0:
        raise ValueError(
            f"word_error_shares={list(shares)} must be three numbers, of deletions, substitutions and insertions, "
            "none below 0 and not all 0"
        )


def word_error_rate(references: Sequence[str | None], hypotheses: Sequence[str | None]) -> float:
    """Errors per word of the references: `(deletions + substitutions + insertions) / words`, over all texts together.

    Errors are those of the best (Levenshtein) alignment of each pair. Case, punctuation and tags do not count.

    Raises:
        ValueError: If there are not equally many texts, or no words in the references.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    pairs = [
        (spoken_words(one or ""), spoken_words(two or "")) for one, two in zip(references, hypotheses, strict=True)
    ]
    words = sum(len(reference) for reference, _ in pairs)
    if words == 0:
        raise ValueError("the references have no words")
    return sum(_edits(reference, hypothesis) for reference, hypothesis in pairs) / words


def _edits(reference: list[str], hypothesis: list[str]) -> int:
    """Least number of deletions, substitutions and insertions."""
    from torchaudio.functional import edit_distance  # here, since torch comes with it

    return 0 if reference == hypothesis else edit_distance(reference, hypothesis)


def _with_texts(rows: Dataset, texts: list[str | None], histories: list[list[str]]) -> Dataset:
    """Rows with other texts, all else and the order of the columns as it was."""
    features = rows.features
    replaced = rows.remove_columns(["text", "history"])
    replaced = replaced.add_column("text", texts, feature=features["text"])
    replaced = replaced.add_column("history", histories, feature=features["history"])
    return replaced.select_columns(rows.column_names)


def _fitting_chance(recogniser: "_Recogniser", utterances: list[tuple[str, str | None]], rate: float) -> float:
    """The chance of an error at which the measured rate is the one asked for."""
    references = [spoken_words(text or "") for _, text in utterances]
    words = sum(map(len, references))
    chance, best = rate, (float("inf"), rate)
    for _ in range(10):
        chance = min(chance, recogniser.highest_chance)
        errors = 0
        for (dialogue, text), reference in zip(utterances, references, strict=True):
            heard = recogniser.hear(dialogue, text, chance)
            errors += 0 if heard == text else _edits(reference, spoken_words(heard))
        best = min(best, (abs(errors / words - rate), chance))
        if best[0] <= max(0.0005, 0.5 / words):
            break
        if errors < rate * words and chance == recogniser.highest_chance:
            raise ValueError(
                f"word_error_rate={rate} cannot be reached with these word_error_shares: {errors / words:.3f} at most"
            )
        chance *= rate * words / errors if errors else 2
    return best[1]


class _Recogniser:
    """Hears one word for another. Draws are made once per utterance; a higher chance makes more of them errors."""

    def __init__(self, texts: list[str], shares: Sequence[float], seed: int):
        self.seed = seed
        self.deletion, self.substitution, self.insertion = (share / sum(shares) for share in shares)
        self.highest_chance = 1 / max(self.deletion + self.substitution, self.insertion)
        counts, forms = _vocabulary(texts)
        if len(counts) < 2:
            raise ValueError(f"word_error_rate: the transcripts have {len(counts)} different words, not two or more")
        self.words = {key: forms.get(key, key) for key in sorted(counts)}
        self.forms = list(self.words.values())
        self.places = {key: place for place, key in enumerate(self.words)}
        self.shares = np.array([counts[key] for key in self.words]) / counts.total()
        self.cumulative = np.cumsum(self.shares)
        self.drawn: dict[tuple[str, str], tuple[list[tuple[int, int]], np.ndarray]] = {}

    def hear(self, dialogue: str, text: Any, chance: float) -> Any:
        """The text with errors; None and texts without words as they are."""
        spans, draws = self._draw(dialogue, text or "")
        if not spans:
            return text
        wrong, kind, insertion, substitute, inserted = draws
        either = self.deletion + self.substitution
        wrong = wrong < chance * either
        deleted = wrong & (kind * either < self.deletion)
        followed = insertion < chance * self.insertion
        if not wrong.any() and not followed.any():
            return text
        if deleted.all() and not followed.any():
            deleted[0] = False  # nothing would be left; a substitution is as much of an error
        words: list[list[str]] = []
        for place, (start, end) in enumerate(spans):
            word = text[start:end]
            own = [] if deleted[place] else [self._instead(word, substitute[place]) if wrong[place] else word]
            words.append(own + [self._any(inserted[place])] * bool(followed[place]))
        return _rebuild(text, spans, words)

    def _draw(self, dialogue: str, text: str) -> tuple[list[tuple[int, int]], np.ndarray]:
        """The words' places, and numbers from 0 to 1 that decide of their errors. Shape `(5, words)`."""
        if (dialogue, text) not in self.drawn:
            spans = word_spans(text)
            digest = hashlib.blake2b(f"{self.seed}\0{dialogue}\0{text}".encode(), digest_size=16).digest()
            draws = np.random.default_rng(int.from_bytes(digest, "big")).random((5, len(spans)))
            self.drawn[dialogue, text] = spans, draws
        return self.drawn[dialogue, text]

    def _any(self, draw: float) -> str:
        """A word by its frequency."""
        place = min(int(np.searchsorted(self.cumulative, draw, side="right")), len(self.shares) - 1)
        return self.forms[place]

    def _instead(self, word: str, draw: float) -> str:
        """Another word by its frequency, with a capital where only its place gave the word one."""
        key = word_key(word)
        own = self.places.get(key)
        if own is not None:  # as if the word itself were not among them
            before = self.cumulative[own] - self.shares[own]
            draw *= 1 - self.shares[own]
            draw += self.shares[own] * bool(draw >= before)
        other = self._any(draw)
        if word_key(other) == key:  # by rounding
            other = next(one for one in self.words.values() if word_key(one) != key)
        by_place = word[0].isupper() and self.words.get(key, word)[0].islower()
        return other[0].upper() + other[1:] if by_place else other


def _vocabulary(texts: list[str]) -> tuple[Counter, dict[str, str]]:
    """How often every word occurs, and how it is written where no sentence begins with it."""
    counts: Counter = Counter()
    forms: dict[str, Counter] = defaultdict(Counter)
    for text in texts:
        end = 0
        for place, (start, next_end) in enumerate(word_spans(text)):
            word = text[start:next_end]
            counts[word_key(word)] += 1
            if place and not set(text[end:start]) & set(".!?"):
                forms[word_key(word)][word] += 1
            end = next_end
    return counts, {key: max(sorted(found), key=found.__getitem__) for key, found in forms.items()}


def _rebuild(text: str, spans: list[tuple[int, int]], words: list[list[str]]) -> str:
    """The text with other words in the place of each; punctuation and tags stay between them."""
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    result, gap, last = "", gaps[0], ""
    for place, new in enumerate(words):
        after = gaps[place + 1]
        if not new:
            gap = _joined_gap(gap, after, first=not last, final=place == len(words) - 1)
            continue
        for word in new:
            if last and not gap and not is_character(last) and not is_character(word):
                gap = " "
            result, gap, last = result + gap + word, "", word
        gap = after
    return (result + gap).strip()


def _joined_gap(before: str, after: str, first: bool, final: bool) -> str:
    """What stands between the neighbours of a word that is no more: tags, else the mark that says more."""
    tags = bool(TAG.search(before)), bool(TAG.search(after))
    if all(tags) or (tags[0] and final):
        return before.rstrip() + after
    if any(tags):
        return before if tags[0] else after
    if first or final:
        return after if final else before
    return max(before, after, key=lambda gap: len(gap.strip()))
