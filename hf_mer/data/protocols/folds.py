"""Folds: row indices of train, validation and test, their checks, and what a results file says about them."""

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset, DatasetDict

from hf_mer.data.schema import CorpusError, column

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fold:
    """One way to cut a corpus.

    Attributes:
        name: What is tested: a session, a speaker, a group.
        train: Row indices, ascending.
        validation: Row indices; empty if there is none.
        test: Row indices.
    """

    name: str
    train: list[int] = field(repr=False)
    validation: list[int] = field(repr=False)
    test: list[int] = field(repr=False)

    @property
    def parts(self) -> dict[str, list[int]]:
        """The three lists by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def select_fold(rows: Dataset, fold: Fold) -> DatasetDict:
    """The rows of a fold as `train`, `validation` (left out if empty) and `test`."""
    return DatasetDict({name: rows.select(indices) for name, indices in fold.parts.items() if indices})


def keep_ids(rows: Dataset, folds: Sequence[Fold], train_ids: str | None, test_ids: str | None) -> list[Fold]:
    """The same folds with fewer rows: to train in one condition, and test in another.

    Args:
        rows: The rows that the indices point to.
        folds: Of one protocol.
        train_ids: Regular expression that the ids of training and validation rows have a match of; None for all rows.
        test_ids: The same of test rows.

    Raises:
        CorpusError: If a fold has nothing left to train on or to test.
    """
    if train_ids is None and test_ids is None:
        return list(folds)
    ids = column(rows, "id")
    patterns = {"train": train_ids, "validation": train_ids, "test": test_ids}
    kept, problems = [], []
    for fold in folds:
        parts = {part: _matching(indices, ids, patterns[part]) for part, indices in fold.parts.items()}
        for part, indices in fold.parts.items():
            if indices and not parts[part]:
                problems.append(
                    f"fold {fold.name!r}: no {part} row has an id like '{patterns[part]}', such as {ids[indices[0]]}"
                )
        kept.append(Fold(fold.name, **parts))
    if problems:
        raise CorpusError.from_problems("train_ids and test_ids", problems)
    return kept


def _matching(indices: Sequence[int], ids: Sequence[str], pattern: str | None) -> list[int]:
    return [index for index in indices if pattern is None or re.search(pattern, ids[index])]


def find_fold(folds: Sequence[Fold], wanted: int | str) -> Fold:
    """A fold by name or by position; `"2"` is the third one where none has that name.

    Raises:
        ValueError: If there is no such fold.
    """
    position = int(wanted) if isinstance(wanted, str) and wanted.isdecimal() else wanted
    for known in (lambda index, fold: fold.name == wanted, lambda index, fold: index == position):
        for index, fold in enumerate(folds):
            if known(index, fold):
                return fold
    names = ", ".join(fold.name for fold in folds)
    raise ValueError(f"fold {wanted!r} does not exist; give 0 to {len(folds) - 1} or one of {names}")


def check_folds(
    rows: Dataset, folds: Sequence[Fold], *, speaker_independent: bool = True, every_class: bool = True
) -> None:
    """Refuses folds that would make a result worthless.

    Args:
        rows: The rows that the indices point to.
        folds: Of one protocol.
        speaker_independent: Whether the protocol promises that no speaker is in two parts of a fold. Where it does
            not, shared speakers are logged.
        every_class: Whether every fold must have training rows of every class.

    Raises:
        CorpusError: If parts of a fold, or the tests of two folds, share a row; if they share a speaker where that is
            promised; if a train or test part is empty; if a class that must have training rows has none; if the name
            of a fold cannot be that of a folder.
    """
    problems: list[str] = []
    names = rows.features["label"].names
    labels = np.asarray(column(rows, "label"))
    speakers = column(rows, "speaker") if "speaker" in rows.column_names else [None] * len(rows)
    tested_in: dict[int, str] = {}
    for fold in folds:
        if fold.name in ("", ".", "..") or set(fold.name) & {"/", "\\", "\0"}:
            problems.append(
                f"fold {fold.name!r}: results are in a folder of this name, which cannot be one; rename it"
            )
        found = _row_problems(fold, len(rows), tested_in)
        problems += found
        if any("outside" in problem for problem in found):
            continue
        shared = _shared_speakers(fold, speakers)
        if shared and speaker_independent:
            problems += shared
        elif shared:
            logger.warning("not speaker-independent: %s", "; ".join(shared))
        if fold.train and every_class:
            for missing in sorted(set(range(len(names))) - set(labels[fold.train].tolist())):
                problems.append(f"fold {fold.name!r}: class {names[missing]!r} has no training rows")
    if speaker_independent and any(speaker is None for speaker in speakers):
        logger.warning("some rows have no speaker: it cannot be checked that folds share no speaker")
    if problems:
        raise CorpusError.from_problems("folds", problems)


def _row_problems(fold: Fold, num_rows: int, tested_in: dict[int, str]) -> list[str]:
    problems = []
    for part, indices in fold.parts.items():
        if not indices and part != "validation":
            problems.append(f"fold {fold.name!r}: no {part} rows")
        if len(set(indices)) != len(indices):
            problems.append(f"fold {fold.name!r}: {part} has {len(indices) - len(set(indices))} rows twice")
        if any(not 0 <= index < num_rows for index in indices):
            problems.append(f"fold {fold.name!r}: {part} has indices outside 0 to {num_rows - 1}")
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = set(fold.parts[one]) & set(fold.parts[other])
        if shared:
            problems.append(
                f"fold {fold.name!r}: {one} and {other} share {len(shared)} rows (such as row {min(shared)})"
            )
    twice = {index: tested_in[index] for index in fold.test if index in tested_in}
    if twice:
        index, first = next(iter(twice.items()))
        problems.append(f"folds {first!r} and {fold.name!r} test the same {len(twice)} rows (such as row {index})")
    tested_in.update(dict.fromkeys(fold.test, fold.name))
    return problems


def _shared_speakers(fold: Fold, speakers: Sequence[str | None]) -> list[str]:
    of_part = {part: {speakers[index] for index in indices} - {None} for part, indices in fold.parts.items()}
    problems = []
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = sorted(str(speaker) for speaker in of_part[one] & of_part[other])
        if shared:
            some = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
            problems.append(f"fold {fold.name!r}: {one} and {other} share {len(shared)} speakers ({some})")
    return problems


def split_hash(rows: Dataset, folds: Sequence[Fold]) -> str:
    """A fingerprint of a protocol, for results files: SHA-256 over the sorted ids of every part of every fold.

    The same rows in another order give the same hash; one utterance more, or in another part, gives another.
    """
    ids = column(rows, "id")
    content = [
        [fold.name, {part: sorted(ids[index] for index in indices) for part, indices in fold.parts.items()}]
        for fold in folds
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def repeated_texts(rows: Dataset, fold: Fold) -> np.ndarray:
    """Which test rows say what a training row says, word for word; case and white space do not count.

    Scripted corpora leak text this way: results without these rows are the honest ones for the text. What was said
    counts, also where transcripts were given errors (`said`).

    Returns:
        Booleans in the order of `fold.test`. Shape `(len(fold.test),)`.
    """
    said = column(rows, "said" if "said" in rows.column_names else "text")
    texts = [" ".join((text or "").split()).casefold() for text in said]
    trained = {texts[index] for index in fold.train} - {""}
    return np.array([texts[index] in trained for index in fold.test], dtype=bool)
