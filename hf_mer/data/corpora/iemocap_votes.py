r"""The raters' votes of IEMOCAP: lines such as `C-E2:\tNeutral; Frustration;\t()` of an EmoEvaluation file."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

_CATEGORIES = {
    "anger": "ang",
    "happiness": "hap",
    "excited": "exc",
    "sadness": "sad",
    "neutral": "neu",
    "neutral state": "neu",
    "frustration": "fru",
    "surprise": "sur",
    "fear": "fea",
    "disgust": "dis",
    "other": "oth",
}
_RATER = re.compile(r"C-E\d+\s*:(?P<said>[^(]*)(?:\(.*)?")


def count_vote(votes: dict[str, float], line: str) -> None:
    """Adds one rater's vote to those of an utterance, shared equally among the categories that the rater chose.

    Raters are the evaluators, `C-E1` and on. What the actors say of themselves (`C-F1`, `C-M1`) is no vote.

    Args:
        votes: By the corpus's label; a category that is not known stays as it is written, and is for no class.
        line: Any line of a block; those that are no vote change nothing.
    """
    match = _RATER.fullmatch(line)
    if match is None:
        return
    said = dict.fromkeys(" ".join(part.split()).lower() for part in match["said"].split(";"))
    chosen = [part for part in said if part]
    for part in chosen:
        label = _CATEGORIES.get(part, part)
        votes[label] = votes.get(label, 0.0) + 1 / len(chosen)


def log_unknown_categories(votes: Iterable[tuple[str, Mapping[str, float]]], source: str) -> None:
    """One line in the log for categories that the corpus is not known to have; they are for no class.

    Args:
        votes: Utterance ids, and their votes of `count_vote`.
        source: Where they were read.
    """
    known = set(_CATEGORIES.values())
    found = [(name, utterance_id) for utterance_id, one in votes for name in one if name not in known]
    if found:
        counts = Counter(name for name, _ in found)
        told = ", ".join(f"{name!r} ({count})" for name, count in counts.most_common(5))
        logger.warning("%s: votes for unknown categories are ignored: %s; the first in %s", source, told,
                       found[0][1])  # fmt: skip
