"""Which columns of a row the collator reads, and what it says of rows that have others."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NO_LABEL = -100
COLUMNS = {
    "text": ("text", "history", "text_states"),
    "speech": ("audio", "features", "speech_states"),
    "video": ("video", "frames", "video_states"),
}
"""Modality to the columns that hold it, that of the schema first."""
LABELS = ("label", "labels")
OTHER_NAMES = {
    "text": ("transcript", "transcription", "sentence", "utterance", "words"),
    "speech": ("speech", "file", "path", "filename", "wav", "audio_path"),
    "video": ("clip", "film", "video_path"),
    "label": ("emotion", "label_ids", "class"),
}
"""What people call these columns elsewhere. They are named in errors and never read: they may be something else."""


def check_columns(rows: Sequence[Mapping[str, Any]], modalities: Sequence[str], use_history: bool = True) -> None:
    """Refuses rows that have no column at all of a modality; where a row lacks it, its value is None.

    Raises:
        ValueError: With the columns that there are and those that are wanted.
    """
    for modality in modalities:
        wanted = [name for name in COLUMNS[modality] if use_history or name != "history"]
        if any(name in row for row in rows for name in wanted):
            continue
        columns = sorted({name for row in rows for name in row})
        raise ValueError(
            f"the rows have no column for {modality}: it is read from {' or '.join(wanted)}, and they have "
            f"{', '.join(columns) or 'none'}. {_advice(columns, modality, wanted[0])} To leave {modality} out on "
            "purpose, take it out of the collator's modalities; a single row without it has None"
        )


def labels_of(rows: Sequence[Mapping[str, Any]], soft_targets: bool = False) -> np.ndarray | None:
    """Labels of a batch: class ids `(B,)` or shares of the classes `(B, C)`, -100 where a row has none.

    Args:
        rows: Of the batch.
        soft_targets: Whether `votes` are taken in the place of labels, where a row has any; beside these the class id
            of a row without votes is one share. A batch without votes has class ids.

    Returns:
        int64 or float32; None where no row has one.

    Raises:
        ValueError: If a label is no number, or labels differ in shape; the message names the row.
    """
    values = [next((row[name] for name in LABELS if row.get(name) is not None), None) for row in rows]
    if soft_targets:
        values = _with_votes(rows, values)
    arrays = [None if value is None else np.asarray(value) for value in values]
    given = [array for array in arrays if array is not None]
    if not given:
        return None
    for row, value, array in zip(rows, values, arrays, strict=True):
        where = f"row {row['id']}" if "id" in row else "a row"
        if array is not None and array.dtype.kind not in "biuf":
            raise ValueError(
                f"{where} has the label {value!r}; it must be a class id or shares of the classes; "
                "rows.class_encode_column('label') or model.config.label2id[name] give ids"
            )
        if array is not None and array.shape != given[0].shape:
            raise ValueError(f"{where} has a label of shape {array.shape}, another one of shape {given[0].shape}")
    filled = np.stack([np.full(given[0].shape, NO_LABEL) if array is None else array for array in arrays])
    return filled.astype(np.float32 if filled.dtype.kind == "f" else np.int64)


def _with_votes(rows: Sequence[Mapping[str, Any]], labels: Sequence[Any]) -> list[Any]:
    """Shares of the votes; where a row has none, all of its class."""
    votes = [row.get("votes") for row in rows]
    width = next((len(one) for one in votes if one is not None), None)
    if width is None:
        return list(labels)
    return [_share(label, width) if one is None else one for one, label in zip(votes, labels, strict=True)]


def _share(label: Any, width: int) -> Any:
    """A class id as shares, all of it; None for no label, and anything else as it is, for the message to come."""
    try:
        place = operator.index(label)
    except TypeError:
        return label
    if place == NO_LABEL:
        return None
    return np.eye(width, dtype=np.float32)[place] if 0 <= place < width else label


def label_column_advice(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """What to do where no row has a column of labels but one that people call so; None where there is none."""
    columns = sorted({name for row in rows for name in row})
    if set(LABELS) & set(columns) or not set(OTHER_NAMES["label"]) & set(columns):
        return None
    return f"the rows have no column label, and the batch has no labels. {_advice(columns, 'label', 'label')}"


def _advice(columns: Sequence[str], what: str, wanted: str) -> str:
    alike = [name for name in OTHER_NAMES[what] if name in columns]
    if alike:
        return f"If {alike[0]} is that column: rows.rename_column({alike[0]!r}, {wanted!r})."
    if set(columns) <= {*LABELS, "label_ids"}:
        return "Trainer removes columns that it does not know: set TrainingArguments(remove_unused_columns=False)."
    return f"Rename its column to {wanted}."
