"""What is known of an utterance of a generated corpus, and how well the values of its places agree with it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hf_mer.data.corpora.iemocap_counts import TASKS
from hf_mer.data.generated import plan_iemocap, plan_meld

CUES = {"text": "valence_cue", "speech": "arousal_cue", "video": "face_cue"}
"""The column of the truth that says what a modality tells; of text whether the words or the history tell it."""
KINDS = {"text": "words", "speech": "segments", "video": "face spans"}
"""What the places of a player are called in tables."""


def hit(values: np.ndarray, salient: np.ndarray) -> float:
    """Whether the place with the highest value is a salient one; of several highest ones the salient share.

    Args:
        values: Shape `(P,)`.
        salient: Bool. Shape `(P,)`.
    """
    return float(salient[values == values.max()].mean())


def auc(values: np.ndarray, salient: np.ndarray) -> float | None:
    """How often a salient place has a higher value than another, ties counted half; None where there are not both.

    The area under the ROC curve of one utterance, as Mann and Whitney's U over the number of pairs.

    Args:
        values: Shape `(P,)`.
        salient: Bool. Shape `(P,)`.
    """
    if salient.all() or not salient.any():
        return None
    differences = values[salient][:, None] - values[~salient][None, :]
    return float((np.sign(differences) + 1).mean() / 2)


def salient_words(truth: Mapping[str, Any], count: int) -> np.ndarray:
    """Which of an utterance's own words carry the valence. Shape `(count,)`.

    Raises:
        ValueError: If the truth names a word that is not there.
    """
    if max(truth["salient_words"], default=-1) >= count:
        raise ValueError(f"{truth['id']}: salient words {truth['salient_words']}, but there are {count} words")
    return np.isin(np.arange(count), truth["salient_words"])


def salient_spans(spans: Sequence[tuple[float, float]], entries: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Which places, with `start` and `end`, lie for half of their length or more in one of the spans. Shape `(P,)`."""
    inside = [
        sum(max(0.0, min(end, entry["end"]) - max(start, entry["start"])) for start, end in spans) for entry in entries
    ]
    return np.array([
        seconds >= (entry["end"] - entry["start"]) / 2 for seconds, entry in zip(inside, entries, strict=True)
    ])  # fmt: skip


def salient_places(truth: Mapping[str, Any], player: str, entries: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Which places of a player are truly salient: of `text`, `speech` or `video`. Shape `(P,)`."""
    if player == "text":
        return salient_words(truth, len(entries))
    return salient_spans(truth["salient_spans" if player == "speech" else "face_spans"], entries)


def has_own_cue(truth: Mapping[str, Any]) -> bool:
    """Whether the utterance's own words carry its valence, and not those of an earlier one."""
    return bool(truth["salient_words"]) and truth["source"] == truth["id"]


def class_cues(labels: Iterable[str]) -> dict[str, dict[str, int]]:
    """What cues speak for every class: 1 or -1 by modality; without those that a class leaves open.

    Args:
        labels: Of IEMOCAP's layout with four classes, or of MELD's with seven.

    Raises:
        ValueError: If one is none of them.
    """
    cells = [(TASKS["4class"][label], cell) for cell, label in plan_iemocap.LABELS.items()]
    cells += [(label, cell) for cell, label in plan_meld.LABELS.items()]
    found: dict[str, dict[str, int]] = {}
    for label in labels:
        told = [dict(zip(CUES, cell, strict=False)) for name, cell in cells if name == label]
        if not told:
            raise ValueError(f"class '{label}' is none of a generated corpus")
        found[label] = {
            name: values.pop() for name in CUES if len(values := {one[name] for one in told if name in one}) == 1
        }
    return found


def agreements(
    truth: Mapping[str, Any], cues: Mapping[str, int], values: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Of every two modalities of which exactly one speaks for a class, whether that one has the larger value.

    A modality speaks for a class if its cue in the truth (`CUES`) is that of the class.

    Args:
        truth: Of the utterance.
        cues: Of the class, of `class_cues`.
        values: Of the modalities for that class; history is added to text.

    Returns:
        By pair (the one that speaks for the class, the other one) 1 or 0; half for equal values.
    """
    speaks = {name: truth[CUES[name]] == cues[name] for name in values if name in cues}
    return {
        (one, other): (math.copysign(1, values[one] - values[other]) + 1) / 2 if values[one] != values[other] else 0.5
        for one in speaks
        for other in speaks
        if speaks[one] and not speaks[other]
    }
