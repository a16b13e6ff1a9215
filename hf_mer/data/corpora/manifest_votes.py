"""Raters' votes in a manifest: a column of JSON objects, or a column for every class."""

import json
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hf_mer.data.schema import canonical_label
from hf_mer.data.votes import vote_shares

logger = logging.getLogger(__name__)

_EXAMPLE = '{"angry": 2, "sad": 1}'


def flat_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """`{"votes": {"angry": "a", "sad": "s"}}` as `{"votes[angry]": "a", "votes[sad]": "s"}`; all else as it is."""
    votes = columns.get("votes")
    if not isinstance(votes, Mapping):
        return dict(columns)
    rest = {name: column for name, column in columns.items() if name != "votes"}
    return {**rest, **{f"votes[{name}]": column for name, column in votes.items()}}


def read_votes(
    cells: Mapping[str, Any], names: Mapping[str, str], where: str, problems: list[str]
) -> dict[str, float]:
    """The votes of a row by what they are for, as labels are written (`canonical_label`).

    In columns of single classes an empty cell is no vote for the class, as tables of counts have it.

    Args:
        cells: Of the columns `votes`, or `votes[<class>]`; None where empty.
        names: These to the names in the manifest.
        where: File and line.
        problems: What cannot be read is added here.

    Returns:
        Empty where the row has none.
    """
    if "votes" in names:
        pairs = _pairs(cells["votes"], f"{where}, column {names['votes']!r}", problems)
        told = [(name, value, names["votes"]) for name, value in pairs]
    else:
        told = [(key[len("votes[") : -1], 0 if cells[key] is None else cells[key], names[key]) for key in cells]
    votes: dict[str, float] = {}
    for name, value, column in told:
        key, number = canonical_label(name), _number(value)
        if number is None:
            problems.append(
                f"{where}, column {column!r}: votes for {name!r} are {value!r:.40}; they must be a number, 0 or more"
            )
        elif key in votes:
            problems.append(f"{where}, column {column!r}: votes for {name!r} are given twice")
        else:
            votes[key] = number
    return votes


def _pairs(value: Any, where: str, problems: list[str]) -> list[tuple[str, Any]]:
    """What a JSON object has, duplicated names included."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return list(value.items())
    try:
        found = json.loads(value, object_pairs_hook=_Pairs)
    except (TypeError, ValueError):
        found = None
    if isinstance(found, _Pairs):
        return list(found)
    problems.append(f"{where}: votes {value!r:.60} are not a JSON object of classes and numbers, such as {_EXAMPLE}")
    return []


class _Pairs(list):
    """A JSON object; a JSON list is a plain one."""


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, list, Mapping)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def set_votes(entries: Sequence[dict[str, Any]], class_names: Sequence[str], title: str, problems: list[str]) -> None:
    """Makes every row's votes shares of the classes, None where no vote is for one; the log says what is left out.

    Args:
        entries: Their `votes` are those of `read_votes`.
        class_names: Names of the classes.
        title: Name of the manifest.
        problems: Where there are votes, and not a single one is for a class, that is added here.
    """
    keys = [canonical_label(name) for name in class_names]
    voted, others = 0, Counter[str]()
    contrary: list[str] = []
    for entry in entries:
        votes = entry["votes"]
        voted += any(votes.values())
        others.update(name for name, number in votes.items() if number and name not in keys)
        entry["votes"] = shares = vote_shares(votes, keys)
        if shares and entry["label"] in keys and shares[keys.index(entry["label"])] < max(shares):
            contrary.append(entry["where"])
    told = ", ".join(f"{name!r} (in {count} rows)" for name, count in others.most_common(5))
    if voted and not any(entry["votes"] for entry in entries):
        problems.append(f"no vote is for one of the classes, {', '.join(class_names)}; votes are for {told}")
    elif others:
        logger.warning("%s: votes for labels that are not classes are ignored: %s", title, told)
    if contrary:
        logger.warning("%s: in %d rows most votes are for another class than the label, such as %s; scores "
                       "still use the label", title, len(contrary), contrary[0])  # fmt: skip
