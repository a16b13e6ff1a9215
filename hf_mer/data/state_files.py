"""States of frozen encoders on disk: files of many recordings each, of which a row names its place in one."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa


def state_schema(dtype: str) -> pa.Schema:
    """Columns of a file: what a recording is found by, its states row after row and their shape, and `history`.

    Args:
        dtype: `float16` or `float32`.
    """
    number = {"float16": pa.float16(), "float32": pa.float32()}[dtype]
    return pa.schema(
        [
            ("key", pa.string()),
            ("states", pa.list_(number)),
            ("shape", pa.list_(pa.int32())),
            ("history", pa.int32()),
        ]
    )


def state_batch(schema: pa.Schema, key: str, states: np.ndarray, history: int | None) -> pa.RecordBatch:
    """One entry of a file.

    Args:
        schema: Of `state_schema`.
        key: What the recording is found by.
        states: Shape `(L, D)` or `(L, K, D)`, of the schema's type.
        history: Tokens of history at the beginning; None of anything but text.
    """
    flat = pa.ListArray.from_arrays(pa.array([0, states.size], pa.int32()), pa.array(states.ravel()))
    shape = pa.array([states.shape], pa.list_(pa.int32()))
    return pa.record_batch([pa.array([key]), flat, shape, pa.array([history], pa.int32())], schema)


def references(folder: Path) -> dict[str, dict[str, Any]]:
    """What is in a folder: the reference of every recording, by its key.

    Raises:
        pyarrow.ArrowInvalid: If a file is damaged; the message names it.
    """
    return {key: reference for path in sorted(folder.glob("*.arrow")) for key, reference in _references_in(path)}


def read_states(reference: Mapping[str, Any]) -> np.ndarray:
    """The states that a reference names, not copied. Shape `(L, D)`, or `(L, K, D)` of K layers.

    Args:
        reference: With `path` and `row`.
    """
    table, row = _table(reference["path"]), reference["row"]
    shape = table["shape"][row].as_py()
    return table["states"][row].values.to_numpy().reshape(shape)


def _references_in(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        table = _table(str(path))
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(f"{path}: {error}") from error
    keys, histories = (table[name].to_pylist() for name in ("key", "history"))
    for row, (key, history) in enumerate(zip(keys, histories, strict=True)):
        yield key, {"path": str(path), "row": row, "history": history}


@functools.cache
def _table(path: str) -> pa.Table:
    """A file, mapped into memory once in a process; no name is ever given twice."""
    return pa.ipc.open_file(pa.memory_map(path)).read_all()
