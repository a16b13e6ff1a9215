"""The systems that a recipe or a row of a table can name, and their settings."""

from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.settings.model_arguments import LeMerArguments, MgcmaArguments, ModelArguments, WavFusionArguments

SYSTEMS: dict[str, type[ModelArguments] | None] = {
    "le_mer": LeMerArguments,
    "mgcma": MgcmaArguments,
    "wavfusion": WavFusionArguments,
    "majority": None,
    "log_mel_statistics": None,
}
"""Settings of every system's model; baselines have none."""


def argument_types(system: str) -> list[type]:
    """The dataclasses that hold a system's settings: of its model if it has one, data, training, label store."""
    model = SYSTEMS[system]
    if model is None:
        return [DataArguments, MerTrainingArguments]
    types: list[type] = [model, DataArguments, MerTrainingArguments]
    return [*types, LabelStoreArguments] if issubclass(model, LeMerArguments) else types


def setting_names(system: str) -> set[str]:
    """Every setting of a system."""
    return {item.name for cls in argument_types(system) for item in fields(cls) if item.init}


def known_name(what: str, value: Any, valid: Iterable[str]) -> Any:
    """The value, if it is a valid one.

    Raises:
        ValueError: With the closest valid names, or all of them.
    """
    names = [str(name) for name in valid]
    if str(value) in names:
        return value
    close = get_close_matches(str(value), names, n=3)
    choices = f"did you mean {', '.join(close)}?" if close else f"choices: {', '.join(names)}"
    raise ValueError(f"{what}: '{value}' is not known; {choices}")
