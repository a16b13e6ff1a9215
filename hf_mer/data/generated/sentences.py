"""Sentences of the generated corpora: a few words that carry valence among many that carry nothing.

Length, structure and the position of the salient words are drawn before the valence is looked at, so that nothing but
the salient words themselves tells it. Nothing here depends on arousal. The words are in `languages.yaml`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hf_mer.data.words import split_units, spoken_words


@dataclass(frozen=True)
class Language:
    """What sentences of a language are made of; `languages.yaml` says what each of them is.

    Attributes:
        valence_words: By valence (1 positive, -1 negative, 0 neutral) and kind.
        salient_clauses: Words and `{slots}` of each clause with a slot for a valence word.
        neutral_clauses: The same without.
        fillers: Words.
        slots: Words by name of the slot.
        calls: Words.
        backchannel: One sentence.
        space: Between words.
        marks: Comma, full stop and colon.
    """

    valence_words: dict[int, dict[str, list[str]]]
    salient_clauses: list[list[str]]
    neutral_clauses: list[list[str]]
    fillers: list[str]
    slots: dict[str, list[str]]
    calls: list[str]
    backchannel: str
    space: str
    marks: list[str]

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Language":
        """A language as `languages.yaml` tells it."""
        valences = {1: "positive", -1: "negative", 0: "neutral"}
        words = {valence: told["valence_words"][name] for valence, name in valences.items()}
        clauses = {kind: [clause.split() for clause in told[kind]] for kind in ("salient_clauses", "neutral_clauses")}
        return cls(**{**told, "valence_words": words, **clauses})


LANGUAGES = {
    code: Language.of(told)
    for code, told in yaml.safe_load(Path(__file__).with_name("languages.yaml").read_text(encoding="utf-8")).items()
}
"""Languages of the generated corpora by their ISO 639-1 code."""
TAGS = ("[LAUGHTER]", "[BREATHING]", "[GARBAGE]", "[LIPSMACK]")

SHORTEST_CLAUSE = max(min(map(len, language.salient_clauses)) for language in LANGUAGES.values())

_FURTHER_WORDS = {"en": ("an", "y\u2019know")}  # of articles, and of MELD's layout


@dataclass(frozen=True)
class Sentence:
    """A transcript and where its valence is.

    Attributes:
        text: The transcript, with punctuation, perhaps with a tag such as `[LAUGHTER]`.
        salient: Positions of the words that carry valence, counted in `text.split()`; in Chinese of their characters,
            counted in `split_units(text)`, which is the same for text with spaces.
    """

    text: str
    salient: tuple[int, ...]


def vocabulary(language: str) -> set[str]:
    """Every word that sentences of a language can have, as `spoken_words` gives them."""
    own = LANGUAGES[language]
    kinds = [*(words for kinds in own.valence_words.values() for words in kinds.values()), *own.slots.values()]
    clauses = [word for clause in (*own.salient_clauses, *own.neutral_clauses) for word in clause if "{" not in word]
    words = [*(word for kind in kinds for word in kind), *clauses, *own.fillers, own.backchannel]
    return {part for word in (*words, *_FURTHER_WORDS.get(language, ())) for part in spoken_words(word)}


def could_have_written(texts: Iterable[str]) -> bool:
    """Whether all texts are of this module's words, which people's speech never is for long."""
    words = {word for text in texts for word in spoken_words(text.replace("\x92", "\u2019"))}
    return any(words <= vocabulary(language) for language in LANGUAGES)


def write_sentence(
    num_words: int,
    num_salient: int,
    valence: int,
    rng: np.random.Generator,
    *,
    tag_share: float = 0.04,
    language: str = "en",
) -> Sentence:
    """Write a sentence of `num_words` words, `num_salient` of which carry the valence.

    Args:
        num_words: Words without tags, at least `SHORTEST_CLAUSE * num_salient`.
        num_salient: Number of salient places.
        valence: 1 or -1; with 0 the salient places are filled with neutral words and none is salient.
        rng: Source of randomness; the same state gives the same sentence but for the salient words.
        tag_share: Share of sentences with a tag before the first word.
        language: One of `LANGUAGES`.
    """
    own = LANGUAGES[language]
    comma, stop, colon = own.marks
    clauses, is_salient = _draw_clauses(num_words, num_salient, own, rng)
    words: list[str] = []
    salient: list[int] = []
    for clause, carries in zip(clauses, is_salient, strict=True):
        for word in clause:
            kind = word.strip("{}")
            if word == kind:
                words.append(word)
            elif kind in own.slots:
                words.append(own.slots[kind][rng.integers(len(own.slots[kind]))])
            else:
                choices = own.valence_words[valence if carries else 0][kind]
                words.append(choices[rng.integers(len(choices))])
                if carries and valence:
                    salient.append(len(words) - 1)
        mark = colon if clause[0] in own.calls and rng.random() < 0.3 else comma
        words[-1] += mark if mark == colon or rng.random() < 0.7 else stop
    return _finish(words, salient, own, rng, tag_share)


def _draw_clauses(
    num_words: int, num_salient: int, language: Language, rng: np.random.Generator
) -> tuple[list[list[str]], list[bool]]:
    """Clauses of `num_words` words in all, in random order, and which of them are salient."""
    clauses: list[list[str]] = []
    room = num_words
    for left in range(num_salient, 0, -1):
        fitting = [clause for clause in language.salient_clauses if len(clause) <= room - SHORTEST_CLAUSE * (left - 1)]
        clauses.append(fitting[rng.integers(len(fitting))])
        room -= len(clauses[-1])
    while room:
        # Neutral words stand in the same kind of clause as salient ones, so that they do not mark a neutral utterance.
        pool = language.salient_clauses if rng.random() < 0.3 else language.neutral_clauses
        fitting = [clause for clause in pool if len(clause) <= room]
        if not fitting or rng.random() < 0.15:
            clauses.append([language.fillers[rng.integers(len(language.fillers))]])
        else:
            clauses.append(fitting[rng.integers(len(fitting))])
        room -= len(clauses[-1])
    order = rng.permutation(len(clauses))
    return [clauses[index] for index in order], [bool(index < num_salient) for index in order]


def _finish(
    words: list[str], salient: list[int], language: Language, rng: np.random.Generator, tag_share: float
) -> Sentence:
    """Articles, capitals, the last full stop, perhaps a tag."""
    stop = language.marks[1]
    if language is LANGUAGES["en"]:
        for position in range(len(words) - 1):
            if words[position] == "a" and words[position + 1][0] in "aeio":
                words[position] = "an"
    words[-1] = words[-1][:-1] + stop
    for position in range(len(words)):
        if position == 0 or words[position - 1].endswith(stop):
            words[position] = words[position][0].upper() + words[position][1:]
    sizes = [len(split_units(word)) for word in words]
    units = [position for word in salient for position in range(sum(sizes[:word]), sum(sizes[: word + 1]))]
    text = language.space.join(words)
    if rng.random() < tag_share:
        text = f"{TAGS[rng.choice(len(TAGS), p=(0.65, 0.2, 0.12, 0.03))]} {text}"
        units = [position + 1 for position in units]
    return Sentence(text, tuple(units))
