"""Configurations of encoders, whose fields are transformers' own: what is known of them all is checked here."""

import math
from collections.abc import Mapping
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .fields_mer import FieldError, choice, first_line, of_wrong_kind, optional, shown, whole, word

SPEECH_MODEL_TYPES = (
    "wav2vec2",
    "wav2vec2-conformer",
    "wav2vec2-bert",
    "hubert",
    "wavlm",
    "data2vec-audio",
    "unispeech",
    "unispeech-sat",
    "whisper",
)
QUANTIZED_SPEECH_TYPES = ("wav2vec2", "wav2vec2-conformer")
"""Those whose pretraining leaves a codebook."""
MOST_LAYERS = 1000
_DTYPES = ("float32", "float64", "float16", "bfloat16")
_COUNTS = ("layer", "block", "repeat", "depth")  # parts of names of fields that say how often something is built
MOST_SIZE = 10_000_000
_NEEDED = ("hidden_size", "intermediate_size", "vocab_size", "num_attention_heads")
_SIZES = ("_size", "_dim", "_heads", "_layers")


def dtype(name: str, value: Any) -> Any:
    """The name of a type that weights may have, or PyTorch's type, which loading makes of it."""
    return value if type(value).__name__ == "dtype" else choice(*_DTYPES)(name, value)


_SHARED = {"chunk_size_feed_forward": whole(0), "dtype": optional(dtype)}  # what transformers itself does not check


def encoder_of(field: str, value: Any, default_type: str) -> PreTrainedConfig:
    """Makes the configuration of an encoder.

    Args:
        field: Of the model's configuration, such as `text_config`.
        value: What stands there: a dictionary, a configuration, or None.
        default_type: `model_type` if none is named.

    Raises:
        FieldError: If transformers can make none of it.
    """
    if isinstance(value, PreTrainedConfig):
        return value
    if value is not None and not isinstance(value, Mapping):
        raise FieldError(f"{field}={shown(value)} must be the configuration of an encoder")
    settings = dict(value or {})
    model_type = word(f"{field}.model_type", settings.pop("model_type", default_type))
    if model_type not in CONFIG_MAPPING:
        raise FieldError(
            f"{field}.model_type: '{model_type}' is not a model that transformers {transformers.__version__} knows"
        )
    for name in _SHARED.keys() & settings.keys():
        _SHARED[name](f"{field}.{name}", settings[name])
    try:
        return AutoConfig.for_model(model_type, **settings)
    except StrictDataclassError as error:
        raise of_wrong_kind(f"{field}.", error, settings) from error
    except Exception as error:  # of any kind: every architecture reads its fields in its own way
        raise FieldError(f"{field} is not a configuration of {model_type}: {first_line(error)}") from error


def check_speech_encoder(config: PreTrainedConfig) -> None:
    """Refuses speech encoders whose frames would depend on the padding of their batch, or were never tried.

    Raises:
        FieldError: Names the kind and those that serve.
    """
    if config.model_type not in SPEECH_MODEL_TYPES:
        raise FieldError(f"speech encoder '{config.model_type}' is not one of {', '.join(SPEECH_MODEL_TYPES)}")
    if getattr(config, "add_adapter", False):
        raise FieldError(
            f"speech encoder '{config.model_type}': add_adapter=True is not supported, its frames have no mask; set "
            "add_adapter=False"
        )


def checked_encoder(field: str, config: PreTrainedConfig) -> PreTrainedConfig:
    """Refuses numbers that no encoder has, before one is built.

    Raises:
        FieldError: Names field and value.
    """
    for name, value in vars(config).items():
        numbers = value if isinstance(value, (list, tuple)) else [value]
        for one in numbers:
            if isinstance(one, bool) or not isinstance(one, (int, float)):
                continue
            if isinstance(one, float) and not math.isfinite(one):
                raise FieldError(f"{field}.{name}={one} must be a finite number")
            if any(part in name for part in _COUNTS) and one > MOST_LAYERS:
                raise FieldError(f"{field}.{name}={shown(value)} must be at most {MOST_LAYERS}")
            if name.endswith(_SIZES) and not (name in _NEEDED) <= one <= MOST_SIZE:
                raise FieldError(f"{field}.{name}={shown(value)} must be {int(name in _NEEDED)} to {MOST_SIZE}")
    return config
