"""Sentences of the generated corpus: a few words that carry valence among many that carry nothing.

Length, structure and the position of the salient words are drawn before the valence is looked at, so that nothing but
the salient words themselves tells it. Nothing here depends on arousal.
"""

from dataclasses import dataclass

import numpy as np

# Word lists by valence (1 positive, -1 negative, 0 neutral), equally long and used equally often.
VALENCE_WORDS: dict[int, dict[str, tuple[str, ...]]] = {
    1: {
        "adjective": ("wonderful", "great", "lovely", "perfect", "amazing", "happy", "delightful", "brilliant"),
        "noun": ("joy", "triumph", "blessing", "treat"),
        "verb": ("loved", "adored", "enjoyed", "admired"),
    },
    -1: {
        "adjective": ("terrible", "awful", "horrible", "dreadful", "miserable", "nasty", "disgusting", "hopeless"),
        "noun": ("disaster", "nightmare", "mess", "shame"),
        "verb": ("hated", "despised", "dreaded", "resented"),
    },
    0: {
        "adjective": ("usual", "ordinary", "typical", "recent", "regular", "separate", "official", "local"),
        "noun": ("report", "matter", "detail", "plan"),
        "verb": ("noticed", "mentioned", "checked", "described"),
    },
}
TAGS = ("[LAUGHTER]", "[BREATHING]", "[GARBAGE]", "[LIPSMACK]")

_SALIENT_CLAUSES = tuple(
    clause.split()
    for clause in (
        "it was {adjective}",
        "I feel {adjective}",
        "I {verb} it",
        "what a {noun}",
        "that was a {noun}",
        "it felt rather {adjective}",
        "we {verb} the {thing}",
        "the {thing} is {adjective}",
        "such a {adjective} {thing}",
        "my {person} {verb} the {thing}",
        "you called it a {noun}",
    )
)
_NEUTRAL_CLAUSES = tuple(
    clause.split()
    for clause in (
        "he is still here",
        "we can talk later",
        "I told your {person}",
        "she called on {day}",
        "we met at the {place}",
        "I went to the {place}",
        "they came back on {day}",
        "put it there",
        "you were at the {place}",
        "the {thing} is on the table",
    )
)
_FILLERS = ("well", "so", "okay", "anyway", "now", "look", "listen", "then")
_SLOTS = {
    "thing": ("letter", "car", "house", "dinner", "meeting", "phone", "ticket", "picture"),
    "person": ("brother", "sister", "mother", "father", "friend", "neighbour"),
    "place": ("office", "station", "bank", "school", "beach", "airport"),
    "day": ("Monday", "Tuesday", "Friday", "Sunday"),
}
SHORTEST_CLAUSE = min(len(clause) for clause in _SALIENT_CLAUSES)


@dataclass(frozen=True)
class Sentence:
    """A transcript and where its valence is.

    Attributes:
        text: The transcript, with punctuation, perhaps with a tag such as `[LAUGHTER]`.
        salient: Positions of the words that carry valence, counted in `text.split()`.
    """

    text: str
    salient: tuple[int, ...]


def write_sentence(
    num_words: int, num_salient: int, valence: int, rng: np.random.Generator, *, tag_share: float = 0.04
) -> Sentence:
    """Write a sentence of `num_words` words, `num_salient` of which carry the valence.

    Args:
        num_words: Words without tags, at least `SHORTEST_CLAUSE * num_salient`.
        num_salient: Number of salient places.
        valence: 1 or -1; with 0 the salient places are filled with neutral words and none is salient.
        rng: Source of randomness; the same state gives the same sentence but for the salient words.
        tag_share: Share of sentences with a tag before the first word.

    Raises:
        ValueError: If so many salient words do not fit.
    """
    if num_salient * SHORTEST_CLAUSE > num_words:
        raise ValueError(
            f"{num_salient} salient words need {num_salient * SHORTEST_CLAUSE} words or more, not {num_words}"
        )
    clauses, is_salient = _draw_clauses(num_words, num_salient, rng)
    words: list[str] = []
    salient: list[int] = []
    for clause, carries in zip(clauses, is_salient, strict=True):
        for word in clause:
            kind = word.strip("{}")
            if word == kind:
                words.append(word)
            elif kind in _SLOTS:
                words.append(_SLOTS[kind][rng.integers(len(_SLOTS[kind]))])
            else:
                choices = VALENCE_WORDS[valence if carries else 0][kind]
                words.append(choices[rng.integers(len(choices))])
                if carries and valence:
                    salient.append(len(words) - 1)
        mark = ":" if clause[0] in ("look", "listen") and rng.random() < 0.3 else ","
        words[-1] += mark if mark == ":" or rng.random() < 0.7 else "."
    return _finish(words, salient, rng, tag_share)


def _draw_clauses(num_words: int, num_salient: int, rng: np.random.Generator) -> tuple[list[list[str]], list[bool]]:
    """Clauses of `num_words` words in all, in random order, and which of them are salient."""
    clauses: list[list[str]] = []
    room = num_words
    for left in range(num_salient, 0, -1):
        fitting = [clause for clause in _SALIENT_CLAUSES if len(clause) <= room - SHORTEST_CLAUSE * (left - 1)]
        clauses.append(fitting[rng.integers(len(fitting))])
        room -= len(clauses[-1])
    while room:
        # Neutral words stand in the same kind of clause as salient ones, so that they do not mark a neutral utterance.
        pool = _SALIENT_CLAUSES if rng.random() < 0.3 else _NEUTRAL_CLAUSES
        fitting = [clause for clause in pool if len(clause) <= room]
        if not fitting or rng.random() < 0.15:
            clauses.append([_FILLERS[rng.integers(len(_FILLERS))]])
        else:
            clauses.append(fitting[rng.integers(len(fitting))])
        room -= len(clauses[-1])
    order = rng.permutation(len(clauses))
    return [clauses[index] for index in order], [bool(index < num_salient) for index in order]


def _finish(words: list[str], salient: list[int], rng: np.random.Generator, tag_share: float) -> Sentence:
    """Articles, capitals, the last full stop, perhaps a tag."""
    for position in range(len(words) - 1):
        if words[position] == "a" and words[position + 1][0] in "aeio":
            words[position] = "an"
    words[-1] = words[-1][:-1] + "."
    for position in range(len(words)):
        if position == 0 or words[position - 1].endswith("."):
            words[position] = words[position][0].upper() + words[position][1:]
    if rng.random() < tag_share:
        words = [TAGS[rng.choice(len(TAGS), p=(0.65, 0.2, 0.12, 0.03))], *words]
        salient = [position + 1 for position in salient]
    return Sentence(" ".join(words), tuple(salient))
