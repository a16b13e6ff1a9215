"""What a user has as several inputs: lists, columns, arrays of paths, views of dictionaries, tables; all in order."""

import dataclasses
from collections.abc import ItemsView, KeysView, Mapping, Sequence, Set, ValuesView
from typing import Any

import numpy as np

from .sources_mer import is_bytes, is_file, is_samples


def as_list(value: Any) -> Any:
    """The list that several inputs are, whatever holds them; all else, one recording's samples too, as it is.

    Sequences, keys and values of dictionaries, arrays of objects or texts, and columns and tables of pandas, pyarrow
    and polars count; a table is the list of its rows.

    Raises:
        ValueError: If they have no order, which results could not be told apart without.
    """
    if isinstance(value, (list, str, Mapping, memoryview)) or is_bytes(value) or is_file(value):
        return value
    if isinstance(value, ItemsView) or (isinstance(value, Set) and not isinstance(value, KeysView)):
        what = "pairs" if isinstance(value, ItemsView) else "no order, and results come in that of the inputs"
        raise ValueError(f"a {type(value).__name__} has {what}: give a list of the inputs")
    if isinstance(value, (Sequence, KeysView, ValuesView)):
        return list(value)
    if hasattr(value, "iloc") and hasattr(value, "columns"):
        return value.to_dict("records")
    if hasattr(value, "iloc") or isinstance(value, np.ndarray):
        if getattr(value, "ndim", 1) == 1 and getattr(value.dtype, "kind", "") not in "biufc":
            return value.tolist()
        return np.asarray(value)
    for name in ("to_pylist", "to_dicts", "to_list"):
        if callable(getattr(value, name, None)):
            return getattr(value, name)()
    return value


def columns_of(audio: Any, text: Any, history: Any, video: Any) -> tuple[list, list, list, list]:
    """One list per modality, all of one length, of what may be single items or lists of them.

    A single item beside lists of one is an item of these.

    Raises:
        ValueError: If lists differ in length, or a single item stands beside more than one.
    """
    columns = {name: as_list(value) for name, value in (("audio", audio), ("text", text), ("video", video))}
    many = {name for name, column in columns.items() if isinstance(column, list)}
    if is_samples(columns["audio"]):
        many.discard("audio")
    sizes = [len(columns[name]) for name in columns if name in many]
    history = as_list(history)
    if set(sizes) == {1} and any(column is not None and name not in many for name, column in columns.items()):
        columns = {name: column[0] if name in many else column for name, column in columns.items()}
        history = history[0] if isinstance(history, list) and history and isinstance(history[0], list) else history
        sizes = []
    columns["history"] = history
    if not sizes:
        return [columns["audio"]], [columns["text"]], [history], [columns["video"]]
    if isinstance(history, list):
        many.add("history")
    for name, column in columns.items():
        if column is None:
            columns[name] = [None] * sizes[0]
        elif name not in many or len(column) != sizes[0]:
            given = f"{len(column)} items" if name in many else f"a {type(column).__name__}"
            raise ValueError(f"{name} must be a list of {sizes[0]} items like the others, got {given}")
    return columns["audio"], columns["text"], columns["history"], columns["video"]


def undecoded(rows: Any) -> Any:
    """A dataset or column of `datasets` that leaves files of sound and picture to the readers of this package.

    Raises:
        ValueError: For several splits, of which one is to be chosen.
    """
    if hasattr(rows, "source") and hasattr(rows, "column_name"):
        return undecoded(rows.source)[rows.column_name]
    if isinstance(rows, Mapping):
        raise ValueError(f"a {type(rows).__name__} of {', '.join(rows)}: give one of them, [{next(iter(rows), '')!r}]")
    for name, feature in (rows.features or {}).items():
        if getattr(feature, "decode", False) and type(feature).__name__ in ("Audio", "Video"):
            rows = rows.cast_column(name, dataclasses.replace(feature, decode=False))
    return rows
