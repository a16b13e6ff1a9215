"""Going on with a training that was stopped: its newest whole checkpoint, or the model that was trained to its end."""

import json
import logging
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from hf_mer.files import write_atomically, write_json

logger = logging.getLogger(__name__)

TRAINED = "trained"
"""The folder, beside the checkpoints, that says that training is over."""


def last_complete_checkpoint(folder: str | Path) -> Path | None:
    """The newest `checkpoint-N` that was written to its end; half-written ones are named in a warning and left out."""
    left_out: list[str] = []
    for path in _newest_first(folder):
        reason = incomplete(path)
        if reason is None:
            _warn(left_out, f"{path.name} is used instead")
            return path
        left_out.append(f"{path} is half-written ({reason})")
    _warn(left_out, "training starts from the beginning")
    return None


def _warn(left_out: list[str], instead: str) -> None:
    if left_out:
        logger.warning("%s; %s", ", ".join(left_out), instead)


def remove_later_checkpoints(folder: str | Path, checkpoint: Path | None) -> None:
    """Removes those newer than one, all without one: a second attempt to write them would mix with the first."""
    for path in _newest_first(folder):
        if path == checkpoint:
            return
        shutil.rmtree(path)


def _newest_first(folder: str | Path) -> list[Path]:
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda item: int(item.name.rpartition("-")[2]), reverse=True)


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


def keep_trained(folder: Path, model: Any, weights: Mapping[str, Any], history: list[dict[str, Any]]) -> None:
    """Writes what came of a training, so that nothing after it trains again; its checkpoints are done with.

    Args:
        folder: Of the checkpoints.
        model: Not wrapped.
        weights: Its whole state.
        history: Of the trainer's log.
    """

    def write(path: Path) -> None:
        model.save_pretrained(path, state_dict=weights)
        write_json(path / "history.json", history)

    write_atomically(folder / TRAINED, write)
    remove_later_checkpoints(folder, None)


def is_trained(folder: Path) -> bool:
    """Whether `keep_trained` has been here: training is over."""
    return (folder / TRAINED).exists()


def load_trained(folder: Path, model: Any) -> list[dict[str, Any]] | None:
    """Gives a model the weights of `keep_trained`.

    Returns:
        The history; None, with the model as it was, if training is not over.
    """
    trained = folder / TRAINED
    if not is_trained(folder):
        return None
    logger.warning("training is over: its model is in %s", trained)
    kept = type(model).from_pretrained(trained)
    model.load_state_dict(kept.state_dict())
    # training takes these from the tokenizer
    for name in {"bos_token_id", "eos_token_id", "pad_token_id"} & set(vars(kept.config)):
        setattr(model.config, name, getattr(kept.config, name))
    return json.loads((trained / "history.json").read_text(encoding="utf-8"))
