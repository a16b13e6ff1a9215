"""Folds within a fold: what a setting is chosen by, without a look at the rows that are tested."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from hf_mer.data.protocols.folds import Fold, check_folds
from hf_mer.data.protocols.main_speakers import ranked_speakers, voices
from hf_mer.data.protocols.make_folds import promises_speakers, protocol_units
from hf_mer.data.schema import CorpusError, column


def nested_folds(
    rows: Dataset,
    fold: Fold,
    protocol: str,
    *,
    at_most: int = 3,
    group_column: str = "group",
    groups: Sequence[Sequence[Any]] | None = None,
    num_groups: int | None = None,
    num_main_speakers: int = 6,
) -> list[Fold]:
    """Cuts a fold's training rows into inner folds, in the way its protocol cuts the corpus.

    An inner fold tests one session, speaker or group of the outer training rows and trains on the others; the outer
    validation rows stay validation rows, so that inner runs stop as the outer run does. For `official` there is one
    inner fold: the official training part is trained on, and the official validation part both picks the epoch and
    decides. The outer test rows are in no part of any inner fold.

    Args:
        rows: The corpus.
        fold: The outer fold.
        protocol: What made it, see `make_folds`.
        at_most: Inner folds at most, drawn evenly from the sessions, speakers or groups in their order.
        group_column: Of the protocol `groups`.
        groups: Of the protocol `groups`.
        num_groups: Of the protocol `groups`.
        num_main_speakers: Of the protocol `leave_one_main_speaker_out`.

    Returns:
        Inner folds that `check_nested_folds` accepted, named after what they test.

    Raises:
        CorpusError: If the training rows cannot be cut so, or `check_nested_folds` refuses the folds.
        ValueError: If `at_most` is less than one.
    """
    if at_most < 1:
        raise ValueError(f"at_most is {at_most}; there must be one inner fold or more")
    if protocol == "official":
        inner = [_validation_decides(fold)]
    else:
        if protocol == "leave_one_main_speaker_out":
            units = _main_speakers(rows, fold, num_main_speakers)
        else:
            units = _units(rows, fold, protocol, group_column, groups, num_groups)
        if len(units) < 2:
            raise CorpusError(
                f"fold {fold.name!r}: an inner fold tests one part of the training rows and trains on the others, but "
                f"there is only {', '.join(units) or 'nothing'}; pass validation='none' or 'speakers:N', which leave "
                "more to train on, or no grid"
            )
        names = list(units)
        count = min(at_most, len(names))
        inner = [Fold(name, *units[name]) for name in (names[i * len(names) // count] for i in range(count))]
    check_nested_folds(rows, fold, inner, speaker_independent=promises_speakers(protocol, group_column))
    return inner


def check_nested_folds(rows: Dataset, fold: Fold, inner: Sequence[Fold], *, speaker_independent: bool = True) -> None:
    """Refuses inner folds that know anything of the outer test, or leak among their own parts.

    Args:
        rows: The corpus.
        fold: The outer fold.
        inner: The inner folds. One whose validation part is its test part is let through: the same rows may pick the
            epoch and the setting, for neither is a result.
        speaker_independent: Whether the protocol promises that no speaker is in two parts.

    Raises:
        CorpusError: If an inner fold shares a row with the outer test, or a speaker where that is promised; or what
            `check_folds` refuses.
    """
    problems = []
    tested = set(fold.test)
    speakers = column(rows, "speaker") if "speaker" in rows.column_names else [None] * len(rows)
    heard = {speakers[index] for index in fold.test} - {None}
    for one in inner:
        for part, indices in one.parts.items():
            shared = tested & set(indices)
            if shared:
                problems.append(
                    f"inner fold {one.name!r}: {part} and the test of fold {fold.name!r} share {len(shared)} rows "
                    f"(such as row {min(shared)})"
                )
            names = sorted({str(speakers[index]) for index in indices if speakers[index] in heard})
            if names and speaker_independent:
                problems.append(
                    f"inner fold {one.name!r}: {part} and the test of fold {fold.name!r} share the speakers "
                    f"{', '.join(names[:5])}"
                )
    if problems:
        raise CorpusError.from_problems("nested folds", problems)
    plain = [Fold(one.name, one.train, [], one.test) if one.validation == one.test else one for one in inner]
    check_folds(rows, plain, speaker_independent=speaker_independent)


def _validation_decides(fold: Fold) -> Fold:
    if not fold.validation:
        raise CorpusError(
            f"fold {fold.name!r} has no validation rows to choose settings by; pass "
            "validation='official' or 'speakers:N', or no grid"
        )
    return Fold("validation", fold.train, fold.validation, fold.validation)


def _units(
    rows: Dataset,
    fold: Fold,
    protocol: str,
    group_column: str,
    groups: Sequence[Sequence[Any]] | None,
    num_groups: int | None,
) -> dict[str, tuple[list[int], list[int], list[int]]]:
    """Train, validation and test of the inner fold of every unit that has training rows."""
    name, units = protocol_units(rows, protocol, group_column, groups, num_groups)
    values = column(rows, name)
    parts = {}
    for unit, members in units.items():
        test = [index for index in fold.train if values[index] in members]
        if test:
            train = [index for index in fold.train if values[index] not in members]
            parts[unit] = (train, fold.validation, test)
    return parts


def _main_speakers(
    rows: Dataset, fold: Fold, num_main_speakers: int
) -> dict[str, tuple[list[int], list[int], list[int]]]:
    """The same for main speakers: those of the other folds, which are the ones with most of the training rows."""
    speakers = column(rows, "speaker")
    held_out = {speakers[index] for index in (*fold.test, *fold.validation)}
    ranked = ranked_speakers([speakers[index] for index in fold.train])
    main = sorted(ranked[: max(0, num_main_speakers - len(held_out))])
    parts = {}
    for name in main:
        test = [index for index in fold.train if speakers[index] == name]
        train = [index for index in fold.train if not voices(speakers[index]) & voices(name)]
        parts[name] = (train, fold.validation, test)
    return parts
