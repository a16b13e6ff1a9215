"""Training with `Trainer` and Accelerate; names are loaded when they are first used."""

import importlib
from typing import Any

_EXPORTS = {
    "MerTrainer": "hf_mer.training.trainer",
    "MerTrainingArguments": "hf_mer.training.arguments",
    "ModelArguments": "hf_mer.training.model_arguments",
    "LeMerArguments": "hf_mer.training.model_arguments",
    "MgcmaArguments": "hf_mer.training.model_arguments",
    "WavFusionArguments": "hf_mer.training.model_arguments",
    "run_recipe": "hf_mer.training.recipe",
    "run_baseline": "hf_mer.training.recipe",
    "BaselineExperiment": "hf_mer.training.baselines",
    "load_baseline": "hf_mer.training.baselines",
    "run_reproduction": "hf_mer.training.tables.reproduce",
    "load_table": "hf_mer.training.tables.table",
    "DataArguments": "hf_mer.training.arguments",
    "parse_arguments": "hf_mer.training.arguments",
    "LabelStoreArguments": "hf_mer.training.label_store_builder",
    "build_label_store": "hf_mer.training.label_store_builder",
    "Experiment": "hf_mer.training.experiment",
    "CrossValidation": "hf_mer.training.cross_validation",
    "cross_validate": "hf_mer.training.cross_validation",
    "PretrainingArguments": "hf_mer.training.pretraining.arguments",
    "pretrain_fold": "hf_mer.training.pretraining.fold",
    "select_candidate": "hf_mer.training.nested",
    "grid_candidates": "hf_mer.training.grid",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
