"""Weights of pretrained encoders: which are there is read from the files' beginnings, before any work."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from hf_mer.models.fields_mer import first_line
from hf_mer.models.speech_checkpoints_mer import load_speech_checkpoint

_LAYER = re.compile(r"(^|\.)(layers?|blocks?|h)\.\d+\.")


def load_encoder(name: str, modality: str, **kwargs: Any) -> PreTrainedModel:
    """A pretrained encoder.

    Args:
        name: Folder, or repository on the Hub.
        modality: `text`, `speech` or `video`.
        **kwargs: Of `from_pretrained`.

    Raises:
        ValueError: If weights of its layers are not there, or the files are damaged.
    """
    from hf_mer.hub.loading import reading

    with reading(f"checkpoint '{name}'"):
        if modality == "speech":
            return load_speech_checkpoint(name, **kwargs)[0]
        encoder, info = AutoModel.from_pretrained(name, output_loading_info=True, **kwargs)
        if lacking := sorted(filter(_LAYER.search, info["missing_keys"])):
            raise ValueError(
                f"checkpoint '{name}' lacks weights of its {encoder.config.model_type} encoder "
                f"({', '.join(lacking[:3])} and so on): they would start from random values"
            )
    return encoder


def check_encoder_weights(arguments: Any) -> None:
    """Refuses encoders in folders that hold no weights for them; no weight is read for that.

    Args:
        arguments: `ModelArguments`, or of the second stage, which have a `speech_encoder` alone. What belongs to a
            fold (`{fold}` in its name) is not looked at, and neither are image models.

    Raises:
        ValueError: Naming setting and folder.
    """
    if getattr(arguments, "trained", False):
        return
    for modality in getattr(arguments, "modalities", ["speech"]):
        setting = f"{modality}_encoder"
        source = getattr(arguments, setting, None)
        if modality == "video" or not isinstance(source, str) or "{fold}" in source or not Path(source).is_dir():
            continue
        overrides = getattr(arguments, f"{modality}_overrides", None) or {}
        try:
            with _quiet():
                load_encoder(source, modality, device_map="meta", **overrides)
        except OSError as error:
            told = first_line(error).removeprefix("Error ")
            raise ValueError(f"{setting}: '{source}' contains no weights of an encoder: {told}") from error
        except ValueError as error:
            raise ValueError(f"{setting}: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bar and its table of what is missing: the error says it."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
