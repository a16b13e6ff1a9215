"""Which settings decide a fold's result, and which cannot go together; both are checked before anything is trained."""

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoConfig

from hf_mer.data.protocols.folds import Fold, split_hash
from hf_mer.data.schema import column
from hf_mer.files import remove_leftovers, write_json
from hf_mer.hub.errors import hub_errors
from hf_mer.training.fingerprints import recordings_hash
from hf_mer.training.label_store.builder import LabelStoreArguments
from hf_mer.training.resume import TRAINED
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.model_arguments import ModelArguments

logger = logging.getLogger(__name__)

DECIDING = (
    "seed", "data_seed", "do_train", "learning_rate", "learning_rates", "lr_scheduler_type", "lr_scheduler_kwargs",
    "num_train_epochs", "max_steps", "warmup_steps", "weight_decay", "optim", "optim_args", "adam_beta1", "adam_beta2",
    "adam_epsilon", "max_grad_norm", "per_device_train_batch_size", "gradient_accumulation_steps", "modality_dropout",
    "spec_augment", "early_stopping_patience", "metric_for_best_model", "train_sampling_strategy", "bf16", "fp16",
    "label_smoothing_factor", "grid", "grid_folds",
)  # fmt: skip
RECORDINGS = "recordings_hash"
INDIFFERENT = ("folds", "num_proc", "data_dir", "encoding", "cache_features")  # how it is read, not what is in it


def check_settings(
    model: ModelArguments, data: DataArguments, store: LabelStoreArguments | None, training: MerTrainingArguments
) -> None:
    """Refuses settings that cannot go together.

    Raises:
        ValueError: With what is wrong and what to do.
    """
    unimodal = {name: getattr(model, name, None) for name in ("unimodal_text", "unimodal_speech")}
    if any(unimodal.values()) and not all(unimodal.values()):
        missing = next(name for name, value in unimodal.items() if not value)
        raise ValueError(f"score fusion needs a text-only and a speech-only checkpoint; {missing} is missing")
    if model.checkpoint and any(unimodal.values()):
        raise ValueError("give a checkpoint, or unimodal_text and unimodal_speech, not both")
    if not training.do_train and not model.trained:
        score_fusion = ", or unimodal_text and unimodal_speech" if hasattr(model, "unimodal_text") else ""
        raise ValueError(f"do_train=false only evaluates: name a checkpoint{score_fusion}")
    if model.trained:
        return
    for name in model.modalities:
        if getattr(model, f"{name}_encoder", "") is None:
            raise ValueError(f"modalities={model.modalities}, but {name}_encoder is null")
    config = model.model_class.config_class(
        **_known_configs(model), modalities=model.modalities, **model.config_fields()
    )
    if model.has_label_store and store is not None:
        _check_label_store(model, config, store)


def _known_configs(model: ModelArguments) -> dict[str, Any]:
    """Configurations of the encoders: what depends on their kinds and widths is checked before any work.

    A checkpoint that cannot be reached yet, or belongs to a fold, is left to the model's default.
    """
    configs: dict[str, Any] = {}
    for name in model.modalities:
        source = getattr(model, f"{name}_encoder", None)
        if isinstance(source, dict):
            configs[f"{name}_config"] = source
        elif isinstance(source, str) and "{fold}" not in source:
            with contextlib.suppress(OSError, ValueError), hub_errors(source, writing=False):
                configs[f"{name}_config"] = AutoConfig.from_pretrained(source)
    return configs


def _check_label_store(model: ModelArguments, config: Any, store: LabelStoreArguments) -> None:
    if config.has_tonal_labels and config.tonal_label_init == "codebook":
        if store.discretizer == "codebook" and not isinstance(model.speech_encoder, str):
            raise ValueError(
                "discretizer='codebook' needs a speech checkpoint with a quantizer; use discretizer='kmeans' with an "
                "encoder that starts from scratch"
            )
        if store.discretizer == "kmeans" and config.tonal_space == "contrastive":
            raise ValueError("tonal_space='contrastive' needs the codebook of a checkpoint: discretizer='codebook'")


def fold_settings(
    rows: Dataset,
    fold: Fold,
    model: ModelArguments,
    data: DataArguments,
    store: LabelStoreArguments | None,
    training: MerTrainingArguments,
) -> dict[str, Any]:
    """What decides a fold's result, by group, with hashes of the split, of the rows and of their recordings."""
    settings = {
        "model": {"type": model.model_class.config_class.model_type, **asdict(model)},
        "label_store": asdict(store) if store is not None else {},
        "training": {name: _plain(getattr(training, name)) for name in DECIDING},
        "processes": training.world_size,
        **data_settings(rows, fold, data, model.modalities),
    }
    # what is off says nothing
    if not training.grid:
        del settings["training"]["grid"], settings["training"]["grid_folds"]
    if not training.label_smoothing_factor:
        del settings["training"]["label_smoothing_factor"]
    return json.loads(json.dumps(settings, default=str))


def data_settings(rows: Dataset, fold: Fold, data: DataArguments, modalities: Sequence[str]) -> dict[str, Any]:
    """The part of `fold_settings` that is of the corpus: what is learned from and what is tested."""
    settings = {
        "data": corpus_settings(data),
        "split_hash": split_hash(rows, [fold]),
        "data_hash": data_hash(rows),
    }
    recordings = recordings_hash(rows, modalities)
    return settings if recordings is None else {**settings, RECORDINGS: recordings}


def corpus_settings(data: DataArguments) -> dict[str, Any]:
    """What of these settings decides a result; the usual half of a film says nothing, as before it could be chosen."""
    usual = ("split_screen", "named_left")
    return {name: value for name, value in asdict(data).items() if name not in INDIFFERENT and (name, value) != usual}


def data_hash(rows: Dataset) -> str:
    """A fingerprint of what the rows say, wherever their files lie: ids, labels, texts, histories, durations."""
    digest = hashlib.sha256()
    columns = [column(rows, name) for name in ("id", "label", "text", "history", "duration")]
    for values in zip(*columns, strict=True):
        digest.update(json.dumps(values, ensure_ascii=False).encode())
    return digest.hexdigest()


def finished_fold(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The results that lie in a fold's folder, of the same settings; None if it is not finished.

    Args:
        folder: Of the fold.
        settings: Of `fold_settings`.

    Raises:
        ValueError: If something finished or half-finished of other settings lies there.
    """
    results, claim = folder / "results.json", folder / "settings.json"
    begun = any((folder / "checkpoints").glob(f"[{TRAINED[0]}c]*"))  # else nothing would be mixed
    for path, what in ((results, "results"), (claim, "a half-finished run")):
        if not path.exists() or (path == claim and not begun):
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        differing = differences(content["settings"] if path == results else content, settings)
        if differing:
            raise ValueError(
                f"{folder} holds {what} of other settings ({', '.join(differing[:5])}); choose another "
                "output_dir, or --overwrite true"
            )
        if path == results:
            logger.info("fold %s is finished: %s", folder.name, path)
            return content
    return None


def claim_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Writes down which run a fold's folder belongs to, and removes what a killed one left half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    remove_leftovers(folder / "checkpoints")
    write_json(folder / "settings.json", settings)


def clear_folder(folder: Path) -> None:
    """Makes a fold's folder one of which nothing is found any more."""
    for path in (folder / "checkpoints", folder / "label_store"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "results.json").unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Names of the settings of two runs that are not the same."""
    found = []
    for group in new:
        if not isinstance(new[group], dict):
            unknown = group == RECORDINGS and group not in old  # of a run before recordings were looked at
            if old.get(group) != new[group] and not unknown:
                found.append(group)
            continue
        theirs = old.get(group, {})
        found += [f"{group}.{name}" for name in {**new[group], **theirs} if theirs.get(name) != new[group].get(name)]
    return found
