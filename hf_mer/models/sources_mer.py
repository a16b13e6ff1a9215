"""What a user has in hand: whatever holds a file's bytes becomes bytes, for sound and picture alike."""

import contextlib
import io
import mmap
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .notes_mer import note

_BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"fLaC", b"OggS", b"ID3", b"FORM", b"\x1aE\xdf\xa3", b".snd",
               b"caff", b"wvpk", b"#!AMR", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba")  # fmt: skip
_LONGEST_NAME = 300  # characters of a path in a message


def as_source(source: Any, error: type[ValueError] = ValueError) -> Any:
    """Bytes for everything that holds the bytes of a file; all else as it is.

    Bytes-like objects and binary file objects (read from their beginning where they can be rewound, and left where
    they stood) count, and so do arrays of bytes that begin like a sound or video file; that is noted. In a dictionary
    this holds for `bytes`, `path`, `array` and `raw`.

    Args:
        source: Whatever was given.
        error: What is raised.

    Raises:
        ValueError: Of the class `error`, for a file in text mode, one that cannot be read, or `bytes` that are none.
    """
    if isinstance(source, Mapping):
        return _as_dictionary(source, error)
    if is_bytes(source):
        return bytes(source)
    if is_file(source):
        name = getattr(source, "name", None)
        content = _content(source, error)
        return {"path": name, "bytes": content} if isinstance(name, str) else content
    if isinstance(source, memoryview):
        return np.asarray(source)
    return _of_array(source)


def is_bytes(source: Any) -> bool:
    """Whether an object is bytes, in whatever form; not a memoryview of numbers."""
    if isinstance(source, memoryview):
        return source.itemsize == 1 and source.format in ("B", "b", "c")
    return isinstance(source, (bytes, bytearray, mmap.mmap))


def is_file(source: Any) -> bool:
    """Whether an object is an open file."""
    return callable(getattr(source, "read", None)) and not isinstance(source, (Mapping, mmap.mmap))


def is_samples(source: Any) -> bool:
    """Whether a list is one recording's samples and not a list of inputs."""
    numbers = (int, float, np.number)
    return isinstance(source, (list, tuple)) and len(source) > 0 and isinstance(source[0], numbers)


def shown_name(source: Any, default: str = "input") -> str:
    """What a source is called in messages; never what is in it."""
    name = source.get("path") if isinstance(source, Mapping) else source
    if not isinstance(name, (str, os.PathLike)):
        name = getattr(name, "name", None)
    if not isinstance(name, (str, os.PathLike)):
        return default
    name = os.fspath(name)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    name = name.encode("utf-8", "backslashreplace").decode("utf-8")  # bytes of a file's name that are no UTF-8
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        return f"a str of {len(name)} characters" if name else default
    return name


def _as_dictionary(source: Mapping[str, Any], error: type[ValueError]) -> Mapping[str, Any]:
    changed: dict[str, Any] = {}
    for key in ("bytes", "path", "array", "raw"):
        value = source.get(key)
        if value is None or isinstance(value, str) or (key in ("array", "raw") and hasattr(value, "get_all_samples")):
            if key == "bytes" and value is not None:
                raise error(f"{shown_name(source)}: 'bytes' must be bytes, not a str")
            continue
        made = as_source(value, error)
        if made is value and key != "bytes":
            continue
        made = made["bytes"] if isinstance(made, Mapping) and made is not value else made
        if isinstance(made, bytes):
            changed["bytes"] = made
            if key != "bytes":
                changed[key] = getattr(value, "name", None) if key == "path" else None
        elif key == "bytes":
            raise error(f"{shown_name(source)}: 'bytes' must be bytes, not {type(value).__name__}")
        else:
            changed[key] = made
    return {**source, **changed} if changed else source


def _content(file: Any, error: type[ValueError]) -> bytes:
    name = shown_name(file, "the file object")
    if isinstance(file, io.TextIOBase):
        raise error(f"{name}: the file is open in text mode; open it with mode 'rb'")
    try:
        place = None
        with contextlib.suppress(OSError, AttributeError, io.UnsupportedOperation):
            place = file.tell()
            file.seek(0)
        content = file.read()
        if place is not None:
            file.seek(place)
    except (OSError, ValueError) as problem:
        raise error(f"{name}: the file object cannot be read ({type(problem).__name__}: {problem})") from problem
    if isinstance(content, str):
        raise error(f"{name}: the file is open in text mode; open it with mode 'rb'")
    return bytes(content)


def _of_array(source: Any) -> Any:
    """The file that an array of bytes holds, or the array."""
    if not (is_samples(source) or hasattr(source, "shape")) or getattr(source, "ndim", 1) != 1 or len(source) < 12:
        return source
    if hasattr(source, "is_floating_point") and (source.is_floating_point() or source.is_complex()):
        return source  # bfloat16 is nothing to numpy
    head = np.asarray(source[:12].detach().cpu() if hasattr(source, "detach") else source[:12])
    if not np.issubdtype(head.dtype, np.integer) or head.min() < -128 or head.max() > 255:
        return source
    if not begins_like_a_file((head.astype(np.int64) & 255).astype(np.uint8).tobytes()):
        return source
    values = np.asarray(source.detach().cpu() if hasattr(source, "detach") else source)
    if values.min() < -128 or values.max() > 255:
        return source
    note(f"an array of {len(values)} bytes begins like a file and is read as one, not as samples")
    return (values.astype(np.int64) & 255).astype(np.uint8).tobytes()


def begins_like_a_file(head: bytes) -> bool:
    """Whether the first 12 bytes are those of a sound or video file."""
    if head.startswith(_BEGINNINGS) or head[4:8] in (b"ftyp", b"moov", b"mdat"):
        return True
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:  # AAC
        return True
    version, layer, rate, frequency = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer != 0 and rate not in (0, 15) and frequency != 3


def border(source: Mapping[str, Any], name: str, error: type[ValueError]) -> float | None:
    """Seconds at which a span begins or ends, by a source's `start` or `end`; None where it says nothing, or NaN.

    Raises:
        ValueError: Of the class `error`, for what is no number.
    """
    value = source.get(name)
    if value is None or value != value:
        return None
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise error(f"{shown_name(source, 'a source')}: {name} must be seconds, a number, not {value!r}")
    return float(value)
