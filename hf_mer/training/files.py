"""JSON and text that are whole or not there at all."""

import json
import os
from pathlib import Path
from typing import Any

from hf_mer.files import remove_leftovers, write_atomically

__all__ = ["remove_leftovers", "write_atomically", "write_json", "write_text"]


def write_json(path: str | os.PathLike, content: Any) -> Path:
    """Writes JSON, whole or not at all."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: str | os.PathLike, text: str) -> Path:
    r"""Writes UTF-8, whole or not at all; what is no character, of a file's name, as JSON writes it (`\udce9`)."""
    content = text.encode("utf-8", "backslashreplace")
    return write_atomically(path, lambda temporary: temporary.write_bytes(content))
