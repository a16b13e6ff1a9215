"""Whether a processor makes what a model takes: what was saved for another one is said before anything is computed."""

import logging
import math
from typing import Any

from .audio_features_mer import is_channel_first
from .whisper_mer import STRIDE, is_whisper

logger = logging.getLogger(__name__)


def check_fit(config: Any, processor: Any) -> None:
    """Refuses a processor, or its label store, of another model.

    Args:
        config: The model's configuration.
        processor: A `MerProcessor`.

    Raises:
        ValueError: Names both numbers, and the files that they stand in.
    """
    if "text" in config.modalities:
        _check_text(config.text_config, processor)
    if "speech" in config.modalities:
        check_speech(config.speech_config, processor.feature_extractor, processor.max_audio_seconds)
    store = getattr(processor, "label_store", None)
    if store is not None:
        check_store(config, store)


def _check_text(config: Any, processor: Any) -> None:
    size, known = len(processor.tokenizer), getattr(config, "vocab_size", math.inf)
    if size > known:
        raise ValueError(
            f"the tokenizer (tokenizer.json) has {size} tokens, but text_config.vocab_size={known} in config.json: "
            "they do not belong together"
        )
    longest = getattr(config, "max_position_embeddings", None)
    relative = getattr(config, "relative_attention", False) or getattr(config, "rope_parameters", None)
    if isinstance(longest, int) and not relative and processor.max_text_tokens > longest > 0:
        logger.warning(
            "max_text_tokens=%d in processor_config.json is more than text_config.max_position_embeddings=%d in "
            "config.json: longer texts cannot be encoded",
            processor.max_text_tokens,
            longest,
        )


def check_speech(config: Any, extractor: Any, max_audio_seconds: float | None) -> None:
    """Refuses a feature extractor that does not make what a speech encoder takes, and audio longer than it can be.

    Args:
        config: The encoder's configuration.
        extractor: The feature extractor.
        max_audio_seconds: After which audio is cut; None for never.

    Raises:
        ValueError: Names both numbers, and the files that they stand in.
    """
    made = extractor.model_input_names[0]
    wanted = "input_features" if config.model_type in ("wav2vec2-bert", "whisper") else "input_values"
    if made != wanted:
        raise ValueError(
            f"the feature extractor of processor_config.json makes {made}, but the {config.model_type} encoder of "
            f"config.json takes {wanted}"
        )
    if is_channel_first(extractor) != is_whisper(config):
        raise ValueError(
            f"the log-mel frames of {type(extractor).__name__} (processor_config.json) are not those of the "
            f"{config.model_type} encoder of config.json"
        )
    if is_whisper(config):
        _check_whisper(config, extractor, max_audio_seconds)
    elif wanted == "input_features":
        bins, stride, width = extractor.num_mel_bins, extractor.stride, config.feature_projection_input_dim
        if bins * stride != width:
            raise ValueError(
                f"num_mel_bins={bins} times stride={stride} of processor_config.json is not "
                f"speech_config.feature_projection_input_dim={width} of config.json"
            )


def _check_whisper(config: Any, extractor: Any, max_audio_seconds: float | None) -> None:
    if extractor.feature_size != config.num_mel_bins:
        raise ValueError(
            f"feature_size={extractor.feature_size} of WhisperFeatureExtractor is not "
            f"speech_config.num_mel_bins={config.num_mel_bins} of config.json: take the feature extractor of the "
            "encoder's own checkpoint"
        )
    seconds = STRIDE * config.max_source_positions * extractor.hop_length / extractor.sampling_rate
    if max_audio_seconds is None or max_audio_seconds > seconds:
        raise ValueError(
            f"max_audio_seconds={max_audio_seconds}: the whisper encoder has positions for {seconds:g} s "
            f"(max_source_positions={config.max_source_positions}); set max_audio_seconds={seconds:g} or less, and "
            "cut longer recordings into windows (window_seconds, --window)"
        )


def check_store(config: Any, store: Any) -> None:
    """Refuses a label store of other classes, or of another width than the model's label embeddings."""
    labels = [config.id2label[place] for place in range(config.num_labels)]
    if list(store.labels) != labels:
        raise ValueError(
            f"the label store is for classes {list(store.labels)}, the model for {labels}: they do not belong together"
        )
    widths = {}
    if getattr(config, "has_text_labels", False):
        widths["text_embeddings"] = config.text_config.hidden_size
    if getattr(config, "has_tonal_labels", False):
        widths["tonal_embeddings"] = config.tonal_width
    for name, width in widths.items():
        tensor = getattr(store, name)
        if tensor is not None and tensor.shape[1] != width:
            raise ValueError(
                f"{name} of the label store (label_store.safetensors) are {tensor.shape[1]} wide, the model's "
                f"label embeddings {width} (config.json): they do not belong together"
            )
