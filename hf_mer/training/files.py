"""Files that are whole or not there at all, and checkpoints that can be trusted."""

import json
import logging
import os
import zipfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from hf_mer.files import remove_leftovers, write_atomically

__all__ = [
    "incomplete",
    "last_complete_checkpoint",
    "remove_leftovers",
    "write_atomically",
    "write_json",
    "write_text",
]

logger = logging.getLogger(__name__)


def write_json(path: str | os.PathLike, content: Any) -> Path:
    """Writes JSON, whole or not at all."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: str | os.PathLike, text: str) -> Path:
    r"""Writes UTF-8, whole or not at all; what is no character, of a file's name, as JSON writes it (`\udce9`)."""
    content = text.encode("utf-8", "backslashreplace")
    return write_atomically(path, lambda temporary: temporary.write_bytes(content))


def last_complete_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The newest `checkpoint-N` that was written to its end; half-written ones are named in a warning and left out."""
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(found, key=lambda item: int(item.name.rpartition("-")[2]), reverse=True):
        reason = incomplete(path)
        if reason is None:
            return path
        logger.warning("%s is half-written (%s); an earlier checkpoint is used instead", path, reason)
    return None


def incomplete(checkpoint: Path) -> str | None:
    """Why a training checkpoint cannot be resumed from; None if it can."""
    try:
        weights = sorted(checkpoint.glob("model*.safetensors"))
        index = checkpoint / "model.safetensors.index.json"
        if index.exists():
            weights = [checkpoint / name for name in set(json.loads(index.read_text())["weight_map"].values())]
        if not weights:
            return "no model weights"
        for path in weights:
            with safe_open(path, framework="np") as file:
                file.keys()
        json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
        for name in ("optimizer.pt", "scheduler.pt"):
            if not zipfile.is_zipfile(checkpoint / name):
                return f"{name} is cut off" if (checkpoint / name).exists() else f"no {name}"
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        return str(error)
    return None
