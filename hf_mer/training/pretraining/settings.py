"""Which settings decide a second stage's result, and whose a folder is."""

import hashlib
import json
import logging
import shutil
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainingArguments

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import column
from hf_mer.files import remove_leftovers, write_json
from hf_mer.locks import exclusive, remove_dead_lock
from hf_mer.training.corpus import has_modality
from hf_mer.training.fingerprints import recordings_hash
from hf_mer.training.pretraining.arguments import PretrainingArguments, SpeechEncoderArguments
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.deciding import DECIDING, RECORDINGS, differences

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
        RECORDINGS: recordings_hash(rows.select([i for i in (*fold.train, *fold.validation) if audio[i]]), ["speech"]),
    }
    return json.loads(json.dumps(settings, default=str))


def claim(folder: Path, settings: dict[str, Any], overwrite: bool, held: ExitStack) -> bool:
    """Makes a folder this run's, and its alone until `held` is left; True if the run is finished already.

    Raises:
        BusyError: If another run is at work there.
        ValueError: If something finished or half-finished of other settings lies there.
    """
    if not overwrite and _finished(folder, settings):
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # a run may have been killed before it came to this
        remove_dead_lock(folder)
        return True
    held.enter_context(exclusive(folder))
    if not overwrite and _finished(folder, settings):  # another run may have been at its end just now
        return True
    if overwrite or not _begun(folder):  # units of other settings, which no checkpoint has used yet
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        (folder / RESULTS).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    remove_leftovers(folder / "checkpoints")
    write_json(folder / "settings.json", settings)
    return False


def _begun(folder: Path) -> bool:
    return (folder / "settings.json").exists() and any((folder / "checkpoints").glob("*/checkpoint-*"))


def _finished(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the results are there; they, or what is half-finished, must be of these settings."""
    results = folder / RESULTS
    if results.exists():
        found, what = _read(results)["settings"], "an encoder"
    elif _begun(folder):
        found, what = _read(folder / "settings.json"), "a half-finished run"
    else:
        return False
    differing = differences(found, settings)
    if differing:
        raise ValueError(
            f"{folder} holds {what} of other settings ({', '.join(differing[:5])}); choose another output_dir, or "
            "--overwrite true"
        )
    if results.exists():
        logger.info("the encoder of fold %s is finished: %s", folder.name, results)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return results.exists()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
