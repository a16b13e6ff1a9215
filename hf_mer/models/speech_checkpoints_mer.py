"""Pretrained speech encoders out of their checkpoints; what cannot serve is told before any weight is fetched."""

from collections.abc import Collection
from typing import Any

from transformers import AutoConfig, AutoModel, AutoModelForPreTraining, PreTrainedConfig, PreTrainedModel

from .encoder_configuration_mer import QUANTIZED_SPEECH_TYPES, SPEECH_MODEL_TYPES, check_speech_encoder
from .fields_mer import first_line
from .whisper_mer import is_whisper, load_whisper_encoder


def speech_config_of(name: Any, **kwargs: Any) -> PreTrainedConfig:
    """Configuration of a pretrained speech encoder: what cannot serve is told before any weight is fetched.

    Raises:
        ValueError: Names checkpoint and kind, and the kinds that serve.
    """
    try:
        config = AutoConfig.from_pretrained(name, **kwargs)
        check_speech_encoder(config)
    except OSError:
        raise
    except ValueError as error:
        told, serves = first_line(error).rstrip("."), ", ".join(SPEECH_MODEL_TYPES)
        kind = PreTrainedConfig.get_config_dict(name)[0].get("model_type")
        if kind is None:
            told = f"it has no config.json with a model_type; supported are {serves}"
        elif kind not in SPEECH_MODEL_TYPES:
            told = f"speech encoder '{kind}' is not one of {serves}"
        raise ValueError(f"checkpoint '{name}': {told}") from error
    return config


def _check_complete(name: Any, config: PreTrainedConfig, missing: Collection[str]) -> None:
    """Refuses a checkpoint whose convolutions or layers would begin at random; parts beside them may be lacking."""
    lacking = sorted(key for key in missing if key.startswith(("feature_extractor.", "encoder.layers.")))
    if lacking:
        raise ValueError(
            f"checkpoint '{name}' lacks weights of its {config.model_type} encoder ({', '.join(lacking[:3])} and so "
            "on): they would start from random values"
        )


def load_speech_checkpoint(
    name: Any, with_quantizer: bool = False, **kwargs: Any
) -> tuple[PreTrainedModel, PreTrainedModel | None]:
    """Loads a pretrained speech encoder, with the pretraining heads (quantizer and projections) if asked for.

    Returns:
        encoder: The bare encoder.
        pretraining: The `...ForPreTraining` model around it, or None.

    Raises:
        ValueError: If a quantizer is asked for and the checkpoint has none.
    """
    config = speech_config_of(name, **kwargs)
    if not with_quantizer:
        if is_whisper(config):
            return load_whisper_encoder(name, **kwargs), None
        encoder, info = AutoModel.from_pretrained(name, output_loading_info=True, **kwargs)
        _check_complete(name, config, info["missing_keys"])
        return encoder, None
    advice = "use discretizer='kmeans' with tonal_space='hidden', or a checkpoint from wav2vec 2.0 pretraining"
    if config.model_type not in QUANTIZED_SPEECH_TYPES:
        raise ValueError(f"checkpoint '{name}' has no quantizer, it is {config.model_type}; {advice}")
    try:
        model, info = AutoModelForPreTraining.from_pretrained(name, output_loading_info=True, **kwargs)
    except ValueError as error:
        raise ValueError(f"checkpoint '{name}' has no quantizer: {str(error).splitlines()[0]}; {advice}") from error
    if not hasattr(model, "quantizer") or any(
        key.startswith(("quantizer", "project_")) for key in info["missing_keys"]
    ):
        raise ValueError(f"checkpoint '{name}' has no quantizer weights; {advice}")
    return model.base_model, model
