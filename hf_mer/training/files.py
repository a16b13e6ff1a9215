"""JSON, CSV and text that are whole or not there at all."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hf_mer.files import remove_leftovers, write_atomically
from hf_mer.formats import csv_text, json_text

__all__ = ["remove_leftovers", "write_atomically", "write_csv", "write_json", "write_text"]


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
