"""Folds that hold out one main speaker of a series at a time, for corpora whose own split shares its speakers."""

import logging
import re
from collections import Counter
from collections.abc import Sequence

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import CorpusError

logger = logging.getLogger(__name__)

_SEVERAL = re.compile(r"/|,|&|\band\b")
# Names that do not say who speaks; a main speaker may be among them.
_CROWDS = {"all", "both", "everyone", "everybody", "the guys", "the girls"}
# Roles of MELD that the actor of a main speaker plays too: the voice and the face are the same.
_SAME_ACTOR = {"ursula": "phoebe", "dr. drake remoray": "joey"}


def main_speaker_folds(speakers: Sequence[str], num_main: int, validation: str) -> list[Fold]:
    """One fold per main speaker: tested on it, selected on the next main speaker, trained on everybody else.

    Main speakers are the `num_main` with most rows, in alphabetical order; the next of the last is the first. Rows
    that may hold the voice of a speaker held out belong to no part of that fold: those of several speakers ("Ross and
    Joey", "Phoebe/Waitress") one of whom is held out, of a crowd ("All"), and of another role of the same actor.

    Args:
        speakers: Of every row.
        num_main: Number of main speakers.
        validation: `main_speaker`, or `none`.

    Raises:
        CorpusError: If there are too few speakers to leave anybody to train on.
        ValueError: If `num_main` is less than two.
    """
    if num_main < 2:
        raise ValueError(f"num_main_speakers is {num_main}; it must be 2 or more")
    ranked = ranked_speakers(speakers)
    if len(ranked) < max(3, num_main):
        raise CorpusError(
            f"protocol 'leave_one_main_speaker_out' with {num_main} main speakers needs {max(3, num_main)} speakers; "
            f"the rows have {', '.join(ranked) or 'none'}"
        )
    main = sorted(ranked[:num_main])
    heard = [voices(name) for name in speakers]
    folds = []
    for place, tested in enumerate(main):
        chosen = main[(place + 1) % num_main] if validation == "main_speaker" else None
        held_out = voices(tested) | (voices(chosen) if chosen else set())
        parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
        for index, name in enumerate(speakers):
            if name in (tested, chosen):
                parts["test" if name == tested else "validation"].append(index)
            elif not heard[index] & (held_out | {""}):
                parts["train"].append(index)
        left_out = len(speakers) - sum(len(part) for part in parts.values())
        logger.info("fold %r: %d rows may contain a held-out voice and are left out", tested, left_out)
        folds.append(Fold(tested, **parts))
    return folds


def ranked_speakers(speakers: Sequence[str]) -> list[str]:
    """Names of single people, those with most rows first."""
    counts = Counter(name for name in speakers if len(voices(name)) == 1 and "" not in voices(name))
    return sorted(counts, key=lambda name: (-counts[name], name))


def voices(speaker: str) -> set[str]:
    """Whose voices a row may hold, by the name of its speaker, in lower case; the empty name for anybody's."""
    names = [name for part in _SEVERAL.split(" ".join(speaker.split()).lower()) if (name := part.strip())]
    return {"" if name in _CROWDS else _SAME_ACTOR.get(name, name) for name in names} or {""}
