"""An encoder with random weights out of its configuration."""

import inspect
from typing import Any

import torch
from transformers import MODEL_MAPPING, AutoModel, PreTrainedConfig, PreTrainedModel

from .fields_mer import FieldError, first_line
from .whisper_mer import NativeWhisperEncoder, is_whisper


def make_encoder(modality: str, config: PreTrainedConfig, **wishes: Any) -> PreTrainedModel:
    """Builds an encoder.

    Args:
        modality: For messages.
        config: The encoder's.
        **wishes: Arguments that are given to encoders which know them, such as `add_pooling_layer`.

    Raises:
        FieldError: If none can be built of the configuration.
    """
    model_class = MODEL_MAPPING.get(type(config), None)
    known = () if model_class is None else inspect.signature(model_class.__init__).parameters
    kwargs = {name: value for name, value in wishes.items() if name in known}
    if (
        model_class is not None
        and not getattr(model_class, "_supports_sdpa", False)
        and config._attn_implementation != "eager"
    ):
        config._attn_implementation = "eager"  # an encoder that has nothing else (WavLM)
    build: Any = NativeWhisperEncoder._from_config if is_whisper(config) else AutoModel.from_config
    try:
        return build(config, dtype=torch.get_default_dtype(), **kwargs)
    except ImportError:
        raise
    except Exception as error:  # of any kind: every architecture finds out in its own way
        told = first_line(error)
        raise FieldError(f"{modality}_config: no {config.model_type} encoder can be built from it: {told}") from error
