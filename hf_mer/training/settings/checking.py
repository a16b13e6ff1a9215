"""Which settings cannot go together; checked before anything is loaded."""

import contextlib
import importlib.util
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from hf_mer.models.encoder_configuration_mer import QUANTIZED_SPEECH_TYPES
from hf_mer.models.fitting_mer import check_speech
from hf_mer.models.speech_checkpoints_mer import speech_config_of
from hf_mer.training.required_checkpoints import remote_checkpoints
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.settings.model_arguments import ModelArguments


def check_settings(
    model: ModelArguments,
    data: DataArguments,
    store: LabelStoreArguments | None,
    training: MerTrainingArguments,
    hub: bool = True,
) -> None:
    """Refuses settings that cannot go together.

    Args:
        model: The system.
        data: The corpus.
        store: The label embeddings.
        training: The training.
        hub: Whether encoders on the Hub are looked up; without, nothing is said of what depends on them.

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
    if training.linear_reference and not _cached_states(model, data):
        raise ValueError(
            "linear_reference: there are no states that are computed once; freeze an encoder, as in "
            f"--freeze {model.modalities[0]}_encoder, and leave cache_features on"
        )
    if model.lora_rank is not None:
        _check_lora(training)
    if model.trained or (not hub and remote_checkpoints(model)):
        return
    for name in model.modalities:
        if getattr(model, f"{name}_encoder", "") is None:
            raise ValueError(f"modalities={model.modalities}, but {name}_encoder is null")
    configs = _known_configs(model)
    if "speech_config" in configs:
        _check_speech(model, data, configs["speech_config"])
    config = model.model_class.config_class(**configs, modalities=model.modalities, **model.config_fields())
    if model.lora_rank is not None and training.do_train and len(configs) == len(model.modalities):
        _check_projections(model, config)
    if model.has_label_store and store is not None:
        _check_label_store(model, config, store, configs.get("speech_config"))


def _cached_states(model: ModelArguments, data: DataArguments) -> bool:
    """Whether states of a frozen encoder are computed once, as far as is known before a checkpoint is loaded."""
    frozen = model.trained or any(f"{name}_encoder" in (model.freeze or []) for name in model.modalities)
    return frozen and data.cache_features is not False


def _check_lora(training: MerTrainingArguments) -> None:
    if importlib.util.find_spec("peft") is None:
        raise ValueError("lora_rank needs peft: pip install 'hf_mer[peft]'")
    checkpointing: Any = training.gradient_checkpointing_kwargs or {}
    if training.gradient_checkpointing and checkpointing.get("use_reentrant"):
        raise ValueError(
            "lora_rank: reentrant checkpointing gives adapters in a frozen encoder no gradients; use "
            "use_reentrant=False, or leave gradient_checkpointing_kwargs out"
        )


def _check_projections(model: ModelArguments, config: Any) -> None:
    """Whether every encoder has attention to adapt: asked of a model without memory for its weights."""
    import torch

    from hf_mer.training.lora import attention_projections

    made = None
    with contextlib.suppress(NotImplementedError, RuntimeError), torch.device("meta"):  # not every encoder can do that
        made = model.model_class(config)
    if made is not None:
        attention_projections(made, model.lora_rank)


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
            # what a speech encoder is refused for is said now; others' kinds may need an advice of their own
            unsaid = (OSError,) if name == "speech" else (OSError, ValueError)
            load: Any = speech_config_of if name == "speech" else AutoConfig.from_pretrained
            with contextlib.suppress(*unsaid), _asking(source):
                overrides: Any = model.speech_overrides if name == "speech" else None
                configs[f"{name}_config"] = load(source, **(overrides or {}))
    return configs


def _check_speech(model: ModelArguments, data: DataArguments, config: Any) -> None:
    """Whether the feature extractor, where it can be read, makes what the encoder takes."""
    source = model.feature_extractor or model.speech_encoder
    if isinstance(config, dict) or not isinstance(source, str) or "{fold}" in source:
        return
    from hf_mer.training.building import (
        feature_extractor_of,
    )  # which settings that name no checkpoint need not wait for

    with contextlib.suppress(OSError), _asking(source):
        check_speech(config, feature_extractor_of(model, ""), data.max_audio_seconds)


def _asking(source: str) -> contextlib.AbstractContextManager[None]:
    """Errors of the Hub as one message, where it is asked; a folder need not wait for its libraries."""
    if Path(source).exists():
        return contextlib.nullcontext()
    from hf_mer.hub.errors import hub_errors

    return hub_errors(source, writing=False)


def _check_label_store(model: ModelArguments, config: Any, store: LabelStoreArguments, speech: Any) -> None:
    kind = getattr(speech, "model_type", None)  # of a checkpoint that could be looked at
    if config.has_tonal_labels and config.tonal_label_init == "codebook":
        if store.discretizer == "codebook" and not isinstance(model.speech_encoder, str):
            raise ValueError(
                "discretizer='codebook' needs a speech checkpoint with a quantizer; use discretizer='kmeans' with an "
                "encoder that starts from scratch"
            )
        if store.discretizer == "codebook" and kind is not None and kind not in QUANTIZED_SPEECH_TYPES:
            raise ValueError(
                f"discretizer='codebook' needs a speech encoder with a quantizer ({', '.join(QUANTIZED_SPEECH_TYPES)}"
                f"), and speech_encoder '{model.speech_encoder}' is {kind}: use discretizer='kmeans' with "
                "tonal_space='hidden'"
            )
        if store.discretizer == "kmeans" and config.tonal_space == "contrastive":
            raise ValueError("tonal_space='contrastive' needs the codebook of a checkpoint: discretizer='codebook'")
