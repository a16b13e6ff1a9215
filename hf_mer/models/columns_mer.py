"""What a user has as several inputs: lists, columns, arrays of paths, views of dictionaries, tables; all in order."""

import contextlib
import dataclasses
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, Set, ValuesView
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from .sources_mer import is_bytes, is_file, is_samples, shown_name


class Rows(Dataset):
    """A dataset of `datasets`, or one of its columns, as one of PyTorch."""

    def __init__(self, rows: Any):
        self.rows = rows
        self.is_column = hasattr(rows, "column_name")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)


def as_inputs(inputs: Any) -> Any:
    """What a pipeline was given: `Rows`, a list, something to iterate over, or a single input as it is."""
    if hasattr(inputs, "cast_column") or hasattr(inputs, "column_name"):
        rows = undecoded(inputs)
        return Rows(rows) if hasattr(rows, "__len__") else rows
    return inputs if isinstance(inputs, Dataset) else as_list(inputs)


def is_iterable(inputs: Any) -> bool:
    """Whether what is no list gives inputs one after the other; arrays, texts and dictionaries are single inputs."""
    single = isinstance(inputs, (str, Mapping, memoryview)) or is_bytes(inputs) or is_file(inputs)
    return isinstance(inputs, Iterable) and not single and not hasattr(inputs, "shape")


def place_of(inputs: Any, index: int, given: Any = None) -> str:
    """Where one of several inputs stands, and its file: `row 3 (the first is 0), a.wav`; empty for the only one."""
    if hasattr(inputs, "__len__") and len(inputs) == 1:
        return ""
    kind = "row" if isinstance(inputs, Rows) or hasattr(inputs, "column_names") else "item"
    sources = [given.get("audio"), given.get("video"), given] if isinstance(given, Mapping) else [given]
    names = [name for source in sources if (name := shown_name(source, ""))]
    return ", ".join([f"{kind} {index} (the first is 0)", *names[:1]])


@contextlib.contextmanager
def naming(inputs: Any, index: int, given: Any = None) -> Iterator[None]:
    """Errors of one of several inputs say which it was."""
    try:
        yield
    except (TypeError, ValueError) as error:
        place = place_of(inputs, index, given)
        if place and len(error.args) == 1:
            told = str(error)
            file = place.partition("), ")[2]
            error.args = (f"{place.removesuffix(', ' + file) if file and file in told else place}: {told}",)
        raise


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
    if isinstance(value, (Rows, Sequence, KeysView, ValuesView)):
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

    All else stays as it is.

    Raises:
        ValueError: For several splits, of which one is to be chosen.
    """
    if hasattr(rows, "source") and hasattr(rows, "column_name"):
        return undecoded(rows.source)[rows.column_name]
    if isinstance(rows, Mapping):  # a DatasetDict
        raise ValueError(f"a {type(rows).__name__} of {', '.join(rows)}: give one of them, [{next(iter(rows), '')!r}]")
    if not hasattr(rows, "__len__") and hasattr(rows, "decode"):  # a stream, which a cast would decode first
        return rows.decode(False) if rows.features else rows
    for name, feature in (getattr(rows, "features", None) or {}).items():
        if getattr(feature, "decode", False) and type(feature).__name__ in ("Audio", "Video"):
            rows = rows.cast_column(name, dataclasses.replace(feature, decode=False))
    return rows
