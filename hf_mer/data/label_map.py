"""From the labels of a corpus to the classes of a model or a run: said label by label, and never guessed.

A map says `CORPUS_LABEL=CLASS`: on the left a label as the corpus names it, on the right a class of the model.
`happy=joy` reads rows that the corpus calls happy as joy; `excited=joy` beside it puts two labels into one class;
`calm=` leaves the rows out that are calm. A label that is a class already needs no entry. Case does not count.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset

from hf_mer.data.schema import CorpusError, as_name, canonical_label, column

logger = logging.getLogger(__name__)

LabelMap = Mapping[str, str | None]
"""Label of a corpus, in canonical form, to the class that it is; None leaves its rows out."""


def parse_label_map(given: Any) -> dict[str, str | None] | None:
    """A label map out of what somebody wrote.

    Args:
        given: `happy=joy,calm=`; a list of such texts; a mapping from labels to classes, None for those that are left
            out; or None for no map.

    Raises:
        ValueError: If an entry is no `CORPUS_LABEL=CLASS`, or a label has two classes; the message names the entry.
    """
    if given is None:
        return None
    if isinstance(given, str):
        given = [given]
    pairs: Iterable[tuple[Any, Any]] = (
        given.items() if isinstance(given, Mapping) else [_pair(one) for text in given for one in str(text).split(",")]
    )
    found: dict[str, str | None] = {}
    for label, name in pairs:
        if isinstance(label, bool) or isinstance(name, (bool, list, dict)):
            raise ValueError(
                f"label_map: {label!r}: {name!r} is not a label and its class; quote words such as 'no' in YAML"
            )
        key, value = canonical_label(label), None if name is None else as_name(name) or None
        if not key:
            raise ValueError(f"label_map: '={name}': a label of the corpus must stand before the =")
        if key in found and canonical_label(found[key]) != canonical_label(value):
            raise ValueError(f"label_map: '{key}' is both {found[key] or 'left out'} and {value or 'left out'}")
        found[key] = value
    return found or None


def _pair(text: str) -> tuple[str, str]:
    label, equals, name = text.partition("=")
    if not equals:
        raise ValueError(
            f"label_map: '{text}': write CORPUS_LABEL=CLASS, such as happy=joy, or {text or 'calm'}= to leave rows out"
        )
    return label, name


def mapped_classes(corpora: Mapping[str, Dataset], label_map: LabelMap) -> list[str]:
    """The classes that all corpora have under a map, in alphabetical order.

    Args:
        corpora: Rows by the corpus' name.
        label_map: Of `parse_label_map`.

    Raises:
        CorpusError: If one corpus has a class that another one lacks: it may have another name there, and nobody
            should learn it twice. All are listed.
    """
    found = {name: _targets(rows, label_map) for name, rows in corpora.items()}
    keys = {name: {canonical_label(target) for target in targets} for name, targets in found.items()}
    shared, every = set.intersection(*keys.values()), set().union(*keys.values())
    if shared != every:
        raise CorpusError.from_problems(
            "the corpora have different classes",
            [
                f"{name}: {', '.join(sorted(own))}; not in all: {', '.join(sorted(own - shared)) or 'none'}"
                for name, own in keys.items()
            ],
            hint="Map labels to classes that all corpora have, such as --label_map happiness=happy, leave rows out, "
            "such as --label_map calm= , or name the classes with --labels: a corpus may then lack some",
        )
    spelled = {canonical_label(target): target for targets in found.values() for target in targets}
    return [spelled[key] for key in sorted(every)]


def map_labels(
    corpora: Mapping[str, Dataset], label_map: LabelMap, classes: Sequence[str], of: str = "the run"
) -> tuple[dict[str, Dataset], dict[str, int]]:
    """Corpora whose labels are given classes, of which they may lack some.

    Args:
        corpora: Rows by the corpus' name.
        label_map: Of `parse_label_map`; the same for all.
        classes: In the order of their ids.
        of: Whose classes they are, for messages.

    Returns:
        The rows by the corpus' name, and how many were left out, by their label.

    Raises:
        CorpusError: With every entry of the map whose label or class nobody knows, and every label that is no class.
    """
    known = {canonical_label(name): index for index, name in enumerate(classes)}
    problems = [*_entry_problems(corpora, label_map, classes, of)]
    problems += [line for name, rows in corpora.items() for line in _label_problems(name, rows, label_map, known, of)]
    if problems:
        raise CorpusError.from_problems(f"classes of {of} ({', '.join(classes)})", problems)
    mapped: dict[str, Dataset] = {}
    left_out: dict[str, int] = {}
    for corpus, rows in corpora.items():
        names, ids = list(rows.features["label"].names), np.array(column(rows, "label"))
        targets = [label_map.get(canonical_label(name), name) for name in names]
        of_name = np.array([-1 if one is None else known.get(canonical_label(one), -1) for one in targets])
        kept = np.flatnonzero(of_name[ids] >= 0)
        if not len(kept):
            raise CorpusError(f"{corpus}: the label map leaves every row out")
        for index, count in enumerate(np.bincount(ids, minlength=len(names)).tolist()):
            if count and of_name[index] < 0:
                left_out[names[index]] = left_out.get(names[index], 0) + count
        mapped[corpus] = _with_labels(rows, kept, of_name, names, classes)
    if left_out:
        told = ", ".join(f"{count} of {label}" for label, count in left_out.items())
        logger.warning("rows left out by the label map: %s", told)
    return mapped, left_out


def _with_labels(
    rows: Dataset, kept: np.ndarray, of_name: np.ndarray, names: Sequence[str], classes: Sequence[str]
) -> Dataset:
    """The kept rows with new class ids and votes; the very same rows where nothing is another."""
    rows = rows if len(kept) == len(rows) else rows.select(kept)
    old = column(rows, "label")
    ids = of_name[old].tolist()
    if names == list(classes) and old == ids:
        return rows
    votes = column(rows, "votes") if "votes" in rows.column_names else [None] * len(rows)
    if any(shares is not None for shares in votes):
        votes = [None if shares is None else _mapped_shares(shares, of_name, len(classes)) for shares in votes]
        feature = rows.features["votes"]
        rows = rows.remove_columns("votes").add_column("votes", votes, feature=feature)
    return rows.remove_columns("label").add_column("label", ids, feature=ClassLabel(names=list(classes)))


def _mapped_shares(shares: Sequence[float], of_name: np.ndarray, num_classes: int) -> list[float] | None:
    """Shares of the new classes among the votes that are for any of them; None where none is."""
    totals = np.zeros(num_classes)
    np.add.at(totals, of_name[of_name >= 0], np.asarray(shares)[of_name >= 0])
    return (totals / totals.sum()).tolist() if totals.sum() else None


def _targets(rows: Dataset, label_map: LabelMap) -> list[str]:
    """What the labels that occur are under a map, without those that are left out."""
    names = rows.features["label"].names
    found = [
        label_map.get(canonical_label(names[index]), names[index]) for index in sorted(set(column(rows, "label")))
    ]
    return [target for target in found if target is not None]


def _entry_problems(
    corpora: Mapping[str, Dataset], label_map: LabelMap, classes: Sequence[str], of: str
) -> Iterable[str]:
    labels = dict.fromkeys(canonical_label(name) for rows in corpora.values() for name in rows.features["label"].names)
    known = {canonical_label(name): name for name in classes}
    for label, name in label_map.items():
        if label not in labels:
            yield (
                f"{label}={name or ''}: '{label}' is not a label of {', '.join(corpora)} ({', '.join(labels)})"
                f"{_meant(label, labels)}"
            )
        if name is not None and canonical_label(name) not in known:
            yield f"{label}={name}: '{name}' is not a class of {of} ({', '.join(classes)}){_meant(name, known)}"


def _label_problems(
    corpus: str, rows: Dataset, label_map: LabelMap, known: Mapping[str, int], of: str
) -> Iterable[str]:
    names, ids = list(rows.features["label"].names), column(rows, "label")
    for index in sorted(set(ids)):
        key = canonical_label(names[index])
        if key not in label_map and key not in known:
            yield (
                f"{corpus}: label '{names[index]}' ({ids.count(index)} rows) is not a class of {of}; map it, "
                f"{key}=CLASS, or leave its rows out, {key}="
            )


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(canonical_label(word), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
