"""Which settings decide a second stage's result, and whose a folder is."""

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainingArguments

from hf_mer.data.folds import Fold
from hf_mer.data.schema import column
from hf_mer.training.arguments import DataArguments
from hf_mer.training.corpus import has_modality
from hf_mer.training.files import remove_leftovers, write_json
from hf_mer.training.pretraining.arguments import PretrainingArguments, SpeechEncoderArguments
from hf_mer.training.settings import DECIDING

logger = logging.getLogger(__name__)

RESULTS = "pretraining.json"


def deciding_settings(
    encoder: SpeechEncoderArguments,
    data: DataArguments,
    arguments: PretrainingArguments,
    rows: Dataset,
    fold: Fold,
) -> dict[str, Any]:
    """What decides the result; of the corpus, which recordings are trained on and looked at."""
    own = {item.name for item in fields(PretrainingArguments)} - {item.name for item in fields(TrainingArguments)}
    names = sorted({*own, *(name for name in DECIDING if hasattr(arguments, name))} - {"overwrite"})
    ids, durations, audio = column(rows, "id"), column(rows, "duration"), has_modality(rows, "speech", False)
    heard = [
        sorted((ids[index], durations[index]) for index in part if audio[index])
        for part in (fold.train, fold.validation)
    ]
    settings = {
        "encoder": asdict(encoder),
        "data": {"max_audio_seconds": data.max_audio_seconds},
        "training": {name: getattr(getattr(arguments, name), "value", getattr(arguments, name)) for name in names},
        "processes": arguments.world_size,
        "recordings": hashlib.sha256(json.dumps(heard).encode()).hexdigest(),
    }
    return json.loads(json.dumps(settings, default=str))


def claim(folder: Path, settings: dict[str, Any], overwrite: bool, is_main: bool) -> bool:
    """Makes a folder this run's; True if the run is finished already.

    Raises:
        ValueError: If something finished or half-finished of other settings lies there.
    """
    results, begun, checkpoints = folder / RESULTS, folder / "settings.json", folder / "checkpoints"
    found = None
    if not overwrite and results.exists():
        found, what = _read(results)["settings"], "an encoder"
    elif not overwrite and begun.exists() and any(checkpoints.glob("*/checkpoint-*")):
        found, what = _read(begun), "a half-finished run"
    if found is not None:
        differing = _differences(found, settings)
        if differing:
            raise ValueError(
                f"{folder} holds {what} of other settings ({', '.join(differing[:5])}); choose another output_dir, or "
                "--overwrite true"
            )
        if results.exists():
            logger.info("the encoder of fold %s is finished: %s", folder.name, results)
            return True
    if is_main:
        if found is None:  # units of other settings, which no checkpoint has used yet
            shutil.rmtree(checkpoints, ignore_errors=True)
            results.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        write_json(begun, settings)
    return False


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    flat_old, flat_new = (
        {
            (group, name): value
            for group, content in settings.items()
            for name, value in (content if isinstance(content, dict) else {"": content}).items()
        }
        for settings in (old, new)
    )
    return [".".join(filter(None, key)) for key, value in flat_new.items() if flat_old.get(key) != value]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
