"""Earlier utterances of the rows of a manifest: out of a column, or of the dialogue that a row is a turn of."""

import itertools
import json
import logging
from collections.abc import Sequence
from typing import Any

from hf_mer.data.schema import canonical_split, dialogue_histories

logger = logging.getLogger(__name__)


def history_list(value: Any, where: str, problems: list[str]) -> list[str]:
    """The texts of a cell, oldest first: a list, or one as JSON; none where it is empty.

    Args:
        value: Of the cell.
        where: File and line, for messages.
        problems: What is wrong with it is added here.
    """
    if value is None:
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            problems.append(f"{where}: history {value[:40]!r} is not a JSON list of texts, oldest first")
            return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        problems.append(f"{where}: history must be a list of texts, oldest first, not {value!r:.60}")
        return []
    return value


def set_histories(entries: Sequence[dict[str, Any]], max_history: int, from_column: bool, problems: list[str]) -> None:
    """Histories from dialogue and turn; a `history` column counts without a dialogue, or if the user named it.

    A dialogue lies in one split: where several splits have one of the same name, they are several.
    """
    dialogues: dict[str, list[dict[str, Any]]] = {}
    _part_by_split(entries)
    for entry in entries:
        entry["history"] = entry["history"][max(0, len(entry["history"]) - max_history) :]
        if entry["dialogue"] is not None:
            dialogues.setdefault(entry["dialogue"], []).append(entry)
    for name, members in dialogues.items():
        turns = [entry["turn"] for entry in members]
        if all(turn is None for turn in turns):
            for turn, entry in enumerate(members):
                entry["turn"] = turn
        elif None in turns:
            problems += [
                f"{entry['where']}: dialogue {name!r} has turn numbers, but this row has none"
                for entry in members
                if entry["turn"] is None
            ]
            continue
        members.sort(key=lambda entry: entry["turn"])
        for one, other in itertools.pairwise(members):
            if one["turn"] == other["turn"]:
                problems.append(
                    f"{other['where']}: turn {other['turn']} of dialogue {name!r} is already used in {one['where']}"
                )
        if not from_column:
            for entry, history in zip(
                members, dialogue_histories([m["text"] for m in members], max_history), strict=True
            ):
                entry["history"] = history


def _part_by_split(entries: Sequence[dict[str, Any]]) -> None:
    """Dialogues that are numbered anew in every split get the split's name before their own."""
    splits: dict[str, set[str]] = {}
    for entry in entries:
        if entry["dialogue"] is not None and (split := _split_of(entry)):
            splits.setdefault(entry["dialogue"], set()).add(split)
    shared = {name for name, found in splits.items() if len(found) > 1}
    for entry in entries:
        if entry["dialogue"] in shared and (split := _split_of(entry)):
            entry["dialogue"] = f"{split}/{entry['dialogue']}"
    if shared:
        logger.warning(
            "%d dialogues have rows in several splits, such as '%s': those of each split are a dialogue of their own",
            len(shared),
            min(shared),
        )


def _split_of(entry: dict[str, Any]) -> str:
    """Its split, by one name for all that mean the same; empty without one."""
    return canonical_split(entry["split"]) or entry["split"] or ""
