"""The encoder of a second stage: how it comes out of a checkpoint or a configuration, and how it is saved again."""

import os
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining

from hf_mer.files import write_atomically
from hf_mer.models.encoder_configuration_mer import QUANTIZED_SPEECH_TYPES, SPEECH_MODEL_TYPES
from hf_mer.training.building import fill
from hf_mer.training.pretraining.arguments import PretrainingArguments, SpeechEncoderArguments

TRAINED_WITHOUT_LABELS = tuple(name for name in SPEECH_MODEL_TYPES if name != "whisper")
_MASKING = ("apply_spec_augment", "mask_time_prob")  # what pretraining changes of a configuration, for its own time


def encoder_config(encoder: SpeechEncoderArguments, fold: str) -> Any:
    """The encoder's configuration with the overrides.

    Raises:
        ValueError: If there is no such field, or it is of no encoder that can be trained on.
    """
    source: Any = encoder.speech_encoder
    overrides: Any = encoder.speech_overrides or {}
    if isinstance(source, dict):
        if "model_type" not in source:
            raise ValueError(f"speech_encoder: a configuration needs a model_type, got {sorted(source)}")
        settings = {name: value for name, value in source.items() if name != "model_type"}
        config = AutoConfig.for_model(source["model_type"], **settings)
    else:
        config = AutoConfig.from_pretrained(fill(source, fold))
    if config.model_type not in TRAINED_WITHOUT_LABELS:
        raise ValueError(
            f"speech encoder '{config.model_type}' is not one of {', '.join(TRAINED_WITHOUT_LABELS)}, which have an "
            "embedding for masked frames"
        )
    for name, value in overrides.items():
        if not hasattr(config, name):
            raise ValueError(f"speech_overrides: '{name}' is not a field of a {config.model_type} configuration")
        setattr(config, name, value)
    if getattr(config, "add_adapter", False):
        raise ValueError(f"speech encoder '{config.model_type}': set add_adapter=False, its frames have no mask")
    return config


def objective_of(config: Any, arguments: PretrainingArguments) -> str:
    """`contrastive` or `masked_units`.

    Raises:
        ValueError: If the encoder's kind has no quantizer, and the objective needs one, or has no such layer.
    """
    has_quantizer = config.model_type in QUANTIZED_SPEECH_TYPES
    objective = arguments.objective
    if objective == "auto":
        objective = "contrastive" if has_quantizer else "masked_units"
    if objective == "contrastive" and not has_quantizer:
        raise ValueError(
            f"objective='contrastive' needs an encoder with a quantizer ({', '.join(QUANTIZED_SPEECH_TYPES)}), not "
            f"{config.model_type}: objective='masked_units'"
        )
    layer = arguments.unit_layer
    if objective == "masked_units" and layer is not None and not 1 <= layer <= config.num_hidden_layers:
        raise ValueError(f"unit_layer={layer} must be between 1 and {config.num_hidden_layers}, the encoder's layers")
    return objective


def load_encoder(
    encoder: SpeechEncoderArguments, arguments: PretrainingArguments, objective: str, fold: str
) -> tuple[Any, dict[str, Any]]:
    """The model that is trained on: with its quantizer for the contrastive objective, else bare.

    Returns:
        pretrained: With an embedding for masked frames, whatever its own configuration says of masks.
        own: Fields of the configuration that `save_encoder` puts back.

    Raises:
        ValueError: If the checkpoint has no quantizer, and the objective needs one.
    """
    config = encoder_config(encoder, fold)
    own = {name: getattr(config, name, None) for name in _MASKING}
    config.apply_spec_augment = True
    if not _has_embedding(config):
        config.mask_time_prob = arguments.mask_time_prob  # not used: every batch brings its masks
    auto_class: Any = AutoModelForPreTraining if objective == "contrastive" else AutoModel
    source: Any = encoder.speech_encoder
    if isinstance(source, dict):
        return auto_class.from_config(config, dtype=torch.float32), own
    name = fill(source, fold)
    model, info = auto_class.from_pretrained(name, config=config, dtype=torch.float32, output_loading_info=True)
    if any(key.startswith(("quantizer", "project_")) for key in info["missing_keys"]):
        raise ValueError(
            f"checkpoint '{name}' has no quantizer weights: take one of wav2vec 2.0 pretraining, or "
            "objective='masked_units'"
        )
    return model, own


def save_encoder(
    folder: Path, pretrained: Any, weights: dict[str, torch.Tensor], own: dict[str, Any], feature_extractor: Any
) -> None:
    """Writes model and feature extractor into a folder that holds other things too, each file whole or not at all.

    Args:
        folder: Where `from_pretrained` finds them.
        pretrained: Of `load_encoder`.
        weights: Its weights, by the names that a `SpeechPretrainer` gives them.
        own: Of `load_encoder`.
        feature_extractor: Of the encoder.
    """
    for name, value in own.items():
        if value is None:
            delattr(pretrained.config, name)
        else:
            setattr(pretrained.config, name, value)
    kept = {
        name.removeprefix("pretrained."): tensor
        for name, tensor in weights.items()
        # a model that masks nothing has no embedding of masked frames
        if name.startswith("pretrained.") and (_has_embedding(pretrained.config) or "masked_spec_embed" not in name)
    }

    def write(path: Path) -> None:
        pretrained.save_pretrained(path, state_dict=kept)
        feature_extractor.save_pretrained(path)

    written = write_atomically(folder / "encoder", write)
    for path in written.iterdir():
        os.replace(path, folder / path.name)
    written.rmdir()


def _has_embedding(config: Any) -> bool:
    return config.mask_time_prob > 0 or config.mask_feature_prob > 0
