"""Files that are whole or not there at all."""

import glob
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hf_mer.formats import csv_text, json_text

_MARK = ".unfinished"


def write_atomically(path: str | os.PathLike, write: Callable[[Path], Any]) -> Path:
    """Lets `write` make a file or folder under a temporary name, then gives it its own; an older one is replaced.

    Args:
        path: Final name.
        write: Gets the temporary path, in the same folder and with the same suffix.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    token = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    temporary = target.with_name(f".{target.stem}.{token}{_MARK}{target.suffix}")
    try:
        write(temporary)
        if target.is_dir():
            old = target.with_name(f".{target.name}.{token}.old{_MARK}")
            os.replace(target, old)
            os.replace(temporary, target)
            _remove(old)
        else:
            os.replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise
    return target


def remove_leftovers(folder: str | os.PathLike, stem: str | None = None) -> None:
    """Removes what a killed process began to write in a folder and never named; of one name where that is given."""
    own = "*" if stem is None else f"{glob.escape(stem)}.[0-9]*"
    for path in Path(folder).glob(f".{own}{_MARK}*"):
        _remove(path)


def write_json(path: str | os.PathLike, content: Any) -> Path:
    """Writes JSON, whole or not at all."""
    return write_text(path, json_text(content, indent=2) + "\n")


def write_csv(path: str | os.PathLike, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes CSV for people, whole or not at all, see `csv_text`; `read_csv` reads what was given."""
    return write_text(path, csv_text([columns, *rows]))


def write_text(path: str | os.PathLike, text: str) -> Path:
    r"""Writes UTF-8, whole or not at all; what is no character, of a file's name, as JSON writes it (`\udce9`)."""
    content = text.encode("utf-8", "backslashreplace")
    return write_atomically(path, lambda temporary: temporary.write_bytes(content))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
