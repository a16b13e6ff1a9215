"""The folder of an export: the graph beside configuration, processor, and what was measured. Light to import."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_mer.files import json_text, write_atomically
from hf_mer.hub.loading import reading

DESCRIPTION = "export.json"
MODEL_FILES = ("model.onnx", "model_int8.onnx", "model.pt2")


def find_exported(checkpoint: str | os.PathLike) -> Path | None:
    """The graph that a name stands for: the file itself, or the first of its folder's. None for all else."""
    path = Path(checkpoint)
    if path.name in MODEL_FILES and (path.parent / DESCRIPTION).is_file():
        return path
    if not (path / DESCRIPTION).is_file():
        return None
    return next((path / name for name in MODEL_FILES if (path / name).is_file()), None)


def read_export(folder: str | os.PathLike, file_name: str) -> tuple[Any, Any]:
    """Configuration of the model and specification of the graph.

    Raises:
        OSError: If the folder is not an export, or has no such file.
        ValueError: If configuration or description are damaged.
    """
    from transformers import AutoConfig

    from hf_mer.export.graph import GraphSpec
    from hf_mer.models.fields_mer import in_file

    description = Path(folder, DESCRIPTION)
    if not description.is_file():
        raise FileNotFoundError(f"{folder}: is not an export, it has no {DESCRIPTION}; `hf-mer export` makes one")
    if not Path(folder, file_name).is_file():
        found = [name for name in MODEL_FILES if Path(folder, name).is_file()]
        raise FileNotFoundError(f"{folder}: has no {file_name}; it has {', '.join(found) or 'no graph at all'}")
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{description} is damaged: {error}") from error
    with in_file(folder, DESCRIPTION):
        spec = GraphSpec.from_dict(content)
    with reading(f"{folder}/config.json"):
        return AutoConfig.from_pretrained(folder), spec


def check_out(out: str | os.PathLike, overwrite: bool = False) -> None:
    """Refuses to replace a folder with files that no export wrote; to be called before any work.

    Args:
        out: The folder.
        overwrite: Also replace an earlier export into which somebody has put files; any other folder, never.

    Raises:
        FileExistsError: If there are such files.
    """
    out = Path(out)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / DESCRIPTION).is_file():
        raise FileExistsError(f"{out}: exists and is not an export; name another folder")
    try:
        written = json.loads((out / DESCRIPTION).read_text(encoding="utf-8"))["files"]
    except (ValueError, LookupError, TypeError):  # damaged, or of a version that did not name them
        return
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in written)
    if foreign and not overwrite:
        raise FileExistsError(
            f"{out}: {', '.join(foreign)} would be deleted with the earlier export; move it, name another folder, "
            "or give --overwrite"
        )


def write_export(
    out: str | os.PathLike, model: Any, processor: Any, write: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """Writes a folder, whole or not at all; an earlier export of that name is replaced.

    Args:
        out: The folder.
        model: What is exported, for its configuration.
        processor: Saved beside the graph.
        write: Writes and checks the graph in a folder that it is given, and says what to put into `export.json`.

    Returns:
        What `export.json` holds.
    """
    out = Path(out)
    description: dict[str, Any] = {}

    def write_folder(folder: Path) -> None:
        folder.mkdir()
        _save_config(model.config, folder)
        processor.save_pretrained(folder)
        description.update(write(folder))
        description["sizes"] = {path.name: path.stat().st_size for path in sorted(folder.glob("model*"))}
        description["files"] = sorted([DESCRIPTION, *(path.name for path in folder.iterdir())])
        (folder / DESCRIPTION).write_text(f"{json_text(description, indent=2)}\n", encoding="utf-8")

    write_atomically(out, write_folder)
    return json.loads((out / DESCRIPTION).read_text(encoding="utf-8"))


def _save_config(config: Any, folder: Path) -> None:
    """The configuration, which no longer names code of a model that is not there."""
    config.save_pretrained(folder)
    path = folder / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop("custom_pipelines", None)
    content["auto_map"] = {name: entry for name, entry in content.get("auto_map", {}).items() if name == "AutoConfig"}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
