"""How far explanations of a checkpoint of a generated corpus agree with its truth, utterance by utterance."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from kept import Kept
from rivals import METHODS, OF_MODALITIES, by_modality
from subject import Subject, drawn, tested_rows
from truth import KINDS, agreements, auc, class_cues, has_own_cue, hit, salient_places

from hf_mer.data.generated.folder import read_truth
from hf_mer.prediction.load import load_recognizer


def measure_checkpoint(
    checkpoint: str | Path,
    corpus: str | Path,
    *,
    methods: Iterable[str] = tuple(METHODS),
    with_modalities: bool = True,
    utterances: int | None = None,
    prepare: Callable[[Any], None] | None = None,
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Explains test utterances of a checkpoint by several methods, and compares with the truth.

    Args:
        checkpoint: Of a finished training, with the files beside it.
        corpus: Root of the generated corpus.
        methods: Of `METHODS`.
        with_modalities: Whether modalities are valued as well.
        utterances: So many of the test part at random; None for all.
        prepare: Changes the loaded model, such as its weights.
        kept: Where records are kept on the way.

    Returns:
        `ua`, mean recall over the classes of these utterances, and `utterances`, see `measure_utterance`.

    Raises:
        ValueError: If the checkpoint's test part is not known, or the corpus has no truth about it.
    """
    recognizer = load_recognizer(checkpoint, device="cpu")
    if prepare is not None:
        prepare(recognizer.model)
    labels = [recognizer.model.config.id2label[index] for index in range(recognizer.model.config.num_labels)]
    truths, cues = {row["id"]: row for row in read_truth(corpus)}, class_cues(labels)
    rows = list(drawn(tested_rows(checkpoint, corpus, labels), utterances))

    def measure(row: Mapping[str, Any]) -> dict[str, Any]:
        return measure_utterance(Subject(recognizer, row), truths[row["id"]], cues, methods, with_modalities)

    with quiet():
        found = (kept or Kept()).records(rows, measure)
    return {"checkpoint": str(checkpoint), "ua": mean_recall(found), "utterances": found}


def measure_utterance(
    subject: Subject,
    truth: Mapping[str, Any],
    cues: Mapping[str, Mapping[str, int]],
    methods: Iterable[str],
    with_modalities: bool,
) -> dict[str, Any]:
    """What every method says of one utterance, for the predicted class, against the truth.

    Returns:
        `id`, `label`, `predicted`, `right`, `own_cue` (of its words); `seconds` of processor time of each method and
        of a plain `prediction`; `places`, by kind (`words` where they carry the cue, `segments`, `face spans`):
        `salient`, 1 or 0 for each place, `chance`, their share, and by method `values`, `hit` and `auc`;
        `modalities`, by method: `predicted` and `others`, lists of (the modality that speaks for the class, the one
        that does not, whether the first has the larger value), of the predicted class and of all others.
    """
    name = subject.labels[subject.predicted]
    record: dict[str, Any] = {
        "id": subject.id,
        "label": subject.labels[subject.label],
        "predicted": name,
        "right": subject.predicted == subject.label,
        "own_cue": has_own_cue(truth),
        "seconds": {},
        "places": {},
        "modalities": {},
    }
    salient = salient_of(subject, truth)
    started = time.process_time()
    subject.recognizer(subject.item)
    record["seconds"]["prediction"] = time.process_time() - started
    for player, expected in salient.items():
        record["places"][KINDS[player]] = {"chance": float(expected.mean()), "salient": expected.astype(int).tolist()}
    for method in methods:
        started = time.process_time()
        values = METHODS[method](subject, subject.predicted)
        record["seconds"][method] = time.process_time() - started
        for player, expected in salient.items():
            if player in values:
                record["places"][KINDS[player]][method] = {
                    "hit": hit(values[player], expected),
                    "auc": auc(values[player], expected),
                    "values": values[player].round(5).tolist(),
                }
        if with_modalities and method == "integrated gradients":
            sums = {player: float(each.sum()) for player, each in values.items()}
            agreed = agreements(truth, cues[name], by_modality(sums))
            record["modalities"][method] = {"predicted": _listed(agreed), "others": []}
    for method in OF_MODALITIES if with_modalities else ():
        found: dict[str, list] = {"predicted": [], "others": []}
        for index, label in enumerate(subject.labels):
            agreed = agreements(truth, cues[label], OF_MODALITIES[method](subject, index))
            found["predicted" if label == name else "others"] += _listed(agreed)
        record["modalities"][method] = found
    return record


def _listed(agreed: Mapping[tuple[str, str], float]) -> list[tuple[str, str, float]]:
    return [(*pair, value) for pair, value in agreed.items()]


def salient_of(subject: Subject, truth: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Which places are salient, by player; only where some are and some are not, and for words with an own cue."""
    found = {
        player: salient_places(truth, player, places.entries)
        for player, places in subject.places.items()
        if player in KINDS and (player != "text" or has_own_cue(truth))
    }
    return {player: salient for player, salient in found.items() if salient.any() and not salient.all()}


def mean_recall(utterances: Iterable[Mapping[str, Any]]) -> float:
    """UA over the classes that occur."""
    right: dict[str, list[bool]] = {}
    for record in utterances:
        right.setdefault(record["label"], []).append(record["right"])
    return float(np.mean([np.mean(found) for found in right.values()]))


@contextmanager
def quiet():
    """Without a line of the log for every utterance."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
