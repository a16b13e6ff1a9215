"""What predictions rest on, by content: a name stays the same when another checkpoint or recording is put there."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_mer.prediction.sources import Unit

_NO_PART = (".md", ".png", ".pt", ".pth")  # cards, figures, states of training


def checkpoint_content(checkpoint: str | os.PathLike, revision: str | None = None) -> str:
    """A checkpoint by its content.

    Args:
        checkpoint: Folder of a model or of a fold, export or one of its graphs, or repository on the Hub, loaded
            before.
        revision: Of the repository.

    Returns:
        A hash of the folder's files, or the repository's commit. What is neither (a name that the cache does not
        hold) stands for itself.
    """
    from huggingface_hub import try_to_load_from_cache

    from hf_mer.export.folder import MODEL_FILES, find_exported

    graph = find_exported(checkpoint)
    folder = graph.parent if graph is not None else Path(checkpoint)
    if not folder.exists():
        config = try_to_load_from_cache(os.fspath(checkpoint), "config.json", revision=revision)
        return Path(config).parent.name if isinstance(config, str) else f"{checkpoint} {revision}"
    if not (folder / "config.json").is_file():
        folder = folder / "model"  # of a fold
    others = {name for name in MODEL_FILES if graph is not None and name != graph.name}
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name[0] != "." and path.suffix not in _NO_PART and path.name not in others:
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()[:16]


def inputs_content(units: Sequence[Unit]) -> str:
    """Every unit by what the pipeline is given, and its files by size and time of change; a hash each, spaced."""
    return " ".join(_unit_content(unit, _file_states(unit)) for unit in units)


def inputs_names(units: Sequence[Unit]) -> str:
    """A hash of what the pipeline is given, files by their names alone: the same on every machine that has them."""
    digest = hashlib.sha256()
    for unit in units:
        digest.update(_unit_content(unit, []).encode())
    return digest.hexdigest()[:16]


def _file_states(unit: Unit) -> list[tuple[int, int]]:
    rows = [item.row for item in unit.items]
    named = {path for row in rows for name in ("audio", "video") if (path := _path_of(row.get(name))) is not None}
    states = []
    for path in sorted(named):
        try:
            state = os.stat(path)
            states.append((state.st_size, state.st_mtime_ns))
        except (OSError, ValueError):  # the row says that it is not there
            states.append((-1, -1))
    return states


def _unit_content(unit: Unit, states: Sequence[tuple[int, int]]) -> str:
    rows = [item.row for item in unit.items]
    shown = [item.shown for item in unit.items]
    text = json.dumps([rows, shown, states, unit.problem], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _path_of(source: Any) -> str | None:
    found = source.get("path") if isinstance(source, dict) else source
    return found if isinstance(found, str) else None
