"""What decides a fold's result: settings, and hashes of the split, of the rows and of their recordings."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from hf_mer.data.protocols.folds import Fold, split_hash
from hf_mer.data.schema import column
from hf_mer.training.fingerprints import recordings_hash
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.settings.model_arguments import ModelArguments
from hf_mer.training.settings.roles import deciding

RECORDINGS = "recordings_hash"


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
        "model": {"type": model.model_class.config_class.model_type, **deciding(model)},
        "label_store": {} if store is None else deciding(store),
        "training": deciding(training),
        "processes": training.world_size,
        **corpus_settings(rows, fold, data, model.modalities, training.soft_targets),
    }
    if not training.grid:
        settings["training"].pop("grid_folds", None)  # nothing is chosen in them
    return settings


def corpus_settings(
    rows: Dataset, fold: Fold, data: DataArguments, modalities: Sequence[str], soft_targets: bool = False
) -> dict[str, Any]:
    """The part of `fold_settings` that is of the corpus: what is learned from and what is tested."""
    hashes = {"split_hash": split_hash(rows, [fold]), "data_hash": data_hash(rows, soft_targets)}
    settings = {"data": deciding(data), **hashes}
    recordings = recordings_hash(rows, modalities)
    return settings if recordings is None else {**settings, RECORDINGS: recordings}


def data_hash(rows: Dataset, soft_targets: bool = False) -> str:
    """A fingerprint of what the rows say, wherever their files lie: ids, labels, texts, histories, durations.

    And votes, where they are trained towards: results of earlier versions are of the same rows without them.
    """
    digest = hashlib.sha256()
    names = ["id", "label", "text", "history", "duration", *(["votes"] if soft_targets else [])]
    columns = [column(rows, name) for name in names]
    for values in zip(*columns, strict=True):
        digest.update(json.dumps(values, ensure_ascii=False).encode())
    return digest.hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """Names of the settings of two runs that are not the same.

    Args:
        old: Settings that an earlier run wrote down, as JSON has them.
        new: Of the run that asks.
        usual: Defaults by name. A setting that one of the two does not name was at its default there, as far as
            anybody knows: earlier versions wrote down fewer settings than there were.
    """
    found = []
    for group in new:
        if not isinstance(new[group], dict):
            unknown = group == RECORDINGS and group not in old  # of a run before recordings were looked at
            if old.get(group) != new[group] and not unknown:
                found.append(group)
            continue
        theirs, mine = old.get(group, {}), new[group]
        found += [
            f"{group}.{name}"
            for name in {**mine, **theirs}
            if theirs.get(name, usual.get(name)) != mine.get(name, usual.get(name))
        ]
    return found
