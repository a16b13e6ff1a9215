"""Protocols as data: functions from rows to folds of train, validation and test rows.

Validation never touches test rows and is speaker-independent, so that whatever picks an epoch or a setting by it knows
nothing of the test.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.protocols.corpus_groups import contiguous_groups, corpora_of
from hf_mer.data.protocols.folds import Fold, check_folds, find_fold, repeated_texts, select_fold, split_hash
from hf_mer.data.protocols.main_speakers import main_speaker_folds
from hf_mer.data.schema import SPLIT_NAMES, CorpusError, canonical_split, column

__all__ = [
    "PROTOCOLS",
    "Fold",
    "check_folds",
    "find_fold",
    "make_folds",
    "repeated_texts",
    "select_fold",
    "split_hash",
]

DEFAULT_VALIDATION = {
    "leave_one_session_out": "session",
    "leave_one_speaker_out": "other_speaker",
    "fixed_session": "session",
    "groups": "group",
    "official": "official",
    "leave_one_main_speaker_out": "main_speaker",
    "leave_one_corpus_out": "speakers:2",
}
PROTOCOLS = tuple(DEFAULT_VALIDATION)


def make_folds(
    rows: Dataset,
    protocol: str,
    *,
    validation: str | None = None,
    group_column: str = "group",
    groups: Sequence[Sequence[Any]] | None = None,
    num_groups: int | None = None,
    test_session: str | None = None,
    num_main_speakers: int = 6,
    seed: int = 0,
    every_class: bool = True,
) -> list[Fold]:
    """Cuts a corpus into folds.

    Args:
        rows: Rows of the schema.
        protocol: `leave_one_session_out`, `leave_one_speaker_out`, `leave_one_corpus_out` (one fold per corpus, where
            rows are of several), `fixed_session` (one fold), `groups` (one fold per group of any column), `official`
            (one fold from the `split` column), or `leave_one_main_speaker_out` (one fold per main speaker of a
            series, everybody else in training; the speaker-independent protocol of MELD, whose dialogues are not kept
            apart: what a held-out speaker said may be read in the history of a training row, without its label and
            without its sound).
        validation: Which rows select the epoch; none of them is a training row or shares a speaker with one.
            `session`: the session after the tested one that has other rows, round the end (for `fixed_session`: that
            before it).
            `other_speaker`: the other speakers of the tested speaker's session. `main_speaker`: the main speaker
            after the tested one. `group`: the group after the tested one. `speakers:N`: N speakers drawn from the
            training rows, of several corpora from each. `official`: the official validation split. `none`. Default:
            `session` for the protocols of sessions, `other_speaker` for `leave_one_speaker_out`, `speakers:2` for
            `leave_one_corpus_out`, `main_speaker` for `leave_one_main_speaker_out`, `group` for `groups`, `official`
            for `official`.
        group_column: Column of the protocol `groups`.
        groups: Lists of values of that column, one list per group; each value exactly once.
        num_groups: Instead of `groups`: the sorted values in so many contiguous groups, 24 speakers in 6 groups of 4
            for example; of several corpora, each one's values, so that every group has all corpora. With neither,
            every value is a group.
        test_session: Session that `fixed_session` tests; the last one if not given.
        num_main_speakers: How many speakers are main ones, those with most rows; MELD has six.
        seed: For `speakers:N`.
        every_class: Of `check_folds`; False where only some of the folds are run, which are looked at by themselves.

    Returns:
        Folds that `check_folds` accepted.

    Raises:
        CorpusError: If the rows do not carry what the protocol needs, a fold would have no validation rows although
            they are wanted, or `check_folds` refuses the folds.
        ValueError: If a name is not known.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    validation = validation or DEFAULT_VALIDATION[protocol]
    if protocol == "official":
        folds = [_official(rows, validation)]
    elif protocol == "leave_one_main_speaker_out":
        if validation not in ("main_speaker", "none"):
            raise ValueError(
                f"validation {validation!r} cannot be used with protocol {protocol!r}; choices: main_speaker, none"
            )
        speakers = _require_values(rows, "speaker", f"protocol {protocol!r}")
        folds = main_speaker_folds(speakers, num_main_speakers, validation)
    else:
        unit_column, units = protocol_units(rows, protocol, group_column, groups, num_groups)
        folds = _held_out_folds(rows, protocol, validation, unit_column, units, test_session)
    if validation.startswith("speakers:"):
        folds = [_hold_out_speakers(rows, fold, validation, seed + index) for index, fold in enumerate(folds)]
    promised = promises_speakers(protocol, group_column)
    check_folds(rows, folds, speaker_independent=promised, every_class=every_class)
    return folds


def promises_speakers(protocol: str, group_column: str = "group") -> bool:
    """Whether a protocol promises that no speaker is in two parts of a fold."""
    return protocol != "official" and (protocol != "groups" or group_column in ("speaker", "session"))


def _natural(value: Any) -> list[tuple[int, Any]]:
    """Sorts `A2` before `A10`."""
    return [(0, int(token)) if token.isdecimal() else (1, token) for token in re.split(r"(\d+)", str(value)) if token]


def _require_values(rows: Dataset, name: str, why: str) -> list[Any]:
    values = column(rows, name)
    empty = [row_id for row_id, value in zip(column(rows, "id"), values, strict=True) if value is None or value == ""]
    if empty:
        some = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        raise CorpusError(
            f"{why} needs the column {name!r}, which is empty in {len(empty)} of {len(values)} rows ({some})"
        )
    return values


def protocol_units(
    rows: Dataset, protocol: str, group_column: str, groups: Sequence[Sequence[Any]] | None, num_groups: int | None
) -> tuple[str, dict[str, set[Any]]]:
    """The column that is cut by, and the values of each held-out unit in order."""
    of_protocol = {"leave_one_speaker_out": "speaker", "leave_one_corpus_out": "corpus", "groups": group_column}
    name = of_protocol.get(protocol, "session")
    values = sorted(set(_require_values(rows, name, f"protocol {protocol!r}")), key=_natural)
    if protocol != "groups":
        if groups is not None or num_groups is not None:
            raise ValueError(f"`groups` and `num_groups` belong to the protocol 'groups', not to {protocol!r}")
        units = {str(value): {value} for value in values}
    elif groups is not None:
        if num_groups is not None:
            raise ValueError("give `groups` or `num_groups`, not both")
        given = [value for group in groups for value in group]
        wrong = sorted({str(value) for value in given if value not in values or given.count(value) > 1})
        missing = [str(value) for value in values if value not in given]
        if wrong or missing or not all(groups):
            raise CorpusError(
                f"groups of column {name!r}: every value must be in exactly one group. "
                f"Unknown or repeated: {wrong or 'none'}; "
                f"left out: {missing or 'none'}; the values are {', '.join(map(str, values))}"
            )
        units = {f"group{index + 1}": set(group) for index, group in enumerate(groups)}
    elif num_groups is not None:
        if not 2 <= num_groups <= len(values):
            raise ValueError(
                f"num_groups is {num_groups}; it must be 2 to {len(values)}, the number of values of {name!r}"
            )
        units = {
            f"group{index + 1}": set(group)
            for index, group in enumerate(contiguous_groups(rows, name, values, num_groups))
        }
    else:
        units = {str(value): {value} for value in values}
    if len(units) < 2:
        raise CorpusError(
            f"protocol {protocol!r} needs two or more values of {name!r}; "
            f"the rows have only {', '.join(units) or 'none'}"
        )
    return name, units


def _held_out_folds(
    rows: Dataset,
    protocol: str,
    validation: str,
    unit_column: str,
    units: dict[str, set[Any]],
    test_session: str | None,
) -> list[Fold]:
    """One fold per unit (one in all for `fixed_session`)."""
    names = list(units)
    tested = names
    if protocol == "fixed_session":
        if test_session is not None and test_session not in units:
            raise ValueError(f"test_session {test_session!r} is not one of {', '.join(names)}")
        tested = [test_session or names[-1]]
    elif test_session is not None:
        raise ValueError(f"`test_session` belongs to the protocol 'fixed_session', not to {protocol!r}")
    choose = _validation_rule(rows, protocol, validation, unit_column, units)
    values = column(rows, unit_column)
    folds, lacking = [], []
    for name in tested:
        test = {index for index, value in enumerate(values) if value in units[name]}
        held_out = choose(name, test) - test
        if not held_out and validation != "none" and not validation.startswith("speakers:"):
            lacking.append(f"fold {name!r}: validation {validation!r} leaves no rows to validate on")
        train = [index for index in range(len(values)) if index not in test and index not in held_out]
        folds.append(Fold(name, train, sorted(held_out), sorted(test)))
    if lacking:
        hint = "validation='speakers:N' draws N training speakers, 'none' tests the last epoch"
        raise CorpusError.from_problems("folds", lacking, hint=hint)
    return folds


def _validation_rule(
    rows: Dataset, protocol: str, validation: str, unit_column: str, units: dict[str, set[Any]]
) -> Callable[[str, set[int]], set[int]]:
    """A function from the tested unit and its rows to the validation rows."""
    if validation == "none" or validation.startswith("speakers:"):
        return lambda name, test: set()
    if validation == "other_speaker":
        if protocol != "leave_one_speaker_out":
            raise ValueError(f"validation 'other_speaker' belongs to 'leave_one_speaker_out', not to {protocol!r}")
        sessions = _require_values(rows, "session", "validation 'other_speaker'")
        return lambda name, test: _rows_with(sessions, {sessions[index] for index in test})
    if validation == "session" and unit_column != "session":
        sessions = _require_values(rows, "session", "validation 'session'")
        order = sorted(set(sessions), key=_natural)

        def next_untested(name: str, test: set[int]) -> set[int]:
            last = max((sessions[i] for i in test), key=_natural)
            later = (_rows_with(sessions, {_next(order, last, step)}) for step in range(1, len(order)))
            return next((held_out for held_out in later if held_out - test), set())

        return next_untested
    if (validation == "session" and unit_column == "session") or (validation == "group" and protocol == "groups"):
        step = -1 if protocol == "fixed_session" else 1
        values = column(rows, unit_column)
        if len(units) < 3:
            raise CorpusError(
                f"validation {validation!r} needs three or more of them, to leave something to train on; "
                f"there are {', '.join(units)}. "
                "Pass validation='none' or 'speakers:N'"
            )
        return lambda name, test: _rows_with(values, units[_next(list(units), name, step)])
    choices = "session, other_speaker (leave_one_speaker_out), group (groups), official (official), speakers:N, none"
    raise ValueError(f"validation {validation!r} cannot be used with protocol {protocol!r}; choices: {choices}")


def _rows_with(values: Sequence[Any], wanted: set[Any]) -> set[int]:
    return {index for index, value in enumerate(values) if value in wanted}


def _next(order: Sequence[Any], value: Any, step: int) -> Any:
    return order[(order.index(value) + step) % len(order)]


def _hold_out_speakers(rows: Dataset, fold: Fold, validation: str, seed: int) -> Fold:
    """Moves the rows of N training speakers to validation."""
    try:
        count = int(validation.removeprefix("speakers:"))
    except ValueError:
        count = 0
    if count < 1:
        raise ValueError(f"validation {validation!r}: write 'speakers:N' with N speakers, 'speakers:2' for example")
    speakers = _require_values(rows, "speaker", f"validation {validation!r}")
    tested = {speakers[index] for index in fold.test}
    corpora, rng = corpora_of(rows, "speaker"), np.random.default_rng(seed)
    training = {speakers[index] for index in fold.train}
    drawn: set[Any] = set()
    for corpus in sorted({corpora[speaker] for speaker in training}):
        own = {speaker for speaker in training if corpora[speaker] == corpus}
        available = sorted(own - tested, key=_natural)
        if count >= len(own) or count > len(available):
            raise CorpusError(
                f"validation {validation!r}: fold {fold.name!r} has only {len(available)} training speakers"
                f"{corpus and f' of {corpus}'} to draw from"
            )
        drawn |= {available[i] for i in rng.choice(len(available), count, replace=False)}
    held_out = [index for index in fold.train if speakers[index] in drawn]
    return Fold(fold.name, [index for index in fold.train if speakers[index] not in drawn], held_out, fold.test)


def _official(rows: Dataset, validation: str) -> Fold:
    """The fold of the `split` column."""
    splits = _require_values(rows, "split", "protocol 'official'")
    unknown = sorted({value for value in splits if canonical_split(value) is None})
    if unknown:
        raise CorpusError(f"column 'split' contains {unknown}; known names are {', '.join(SPLIT_NAMES)}")
    if validation not in ("official", "none") and not validation.startswith("speakers:"):
        raise ValueError(
            f"validation {validation!r} cannot be used with protocol 'official'; choices: official, speakers:N, none"
        )
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for index, value in enumerate(splits):
        parts[canonical_split(value) or ""].append(index)
    if validation == "official" and not parts["validation"]:
        raise CorpusError("column 'split' has no validation rows; pass validation='speakers:N' or 'none'")
    if validation != "official":
        parts["validation"] = []
    return Fold("official", **parts)
