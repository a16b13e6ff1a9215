"""Which positions of a batch are real: the mask of every modality, and what is said where none tells."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import logging

logger = logging.get_logger(__name__)


def masks_of(audio: Tensor | None, **inputs: Any) -> dict[str, Tensor | None]:
    """The mask of every modality, None where everything is real.

    A feature extractor calls its mask `attention_mask`, as a tokenizer does: where no text is given, one of the
    audio's length is the audio's.

    Args:
        audio: `input_values` or `input_features`.
        **inputs: Of `forward`.

    Raises:
        ValueError: If a mask does not have the shape of its input, or belongs to none.
    """
    given = {
        "text": _first(inputs.get("text_features"), inputs.get("input_ids")),
        "speech": _first(inputs.get("speech_features"), audio),
        "video": _first(inputs.get("video_features"), inputs.get("pixel_values")),
    }
    names = {"text": "attention_mask", "speech": "audio_attention_mask", "video": "video_attention_mask"}
    masks: dict[str, Tensor | None] = {modality: inputs.get(name) for modality, name in names.items()}
    if given["text"] is None and masks["text"] is not None:
        if masks["speech"] is None and given["speech"] is not None:
            names["speech"], masks["speech"] = names["text"], masks["text"]
        elif audio is not None and masks["text"].shape == audio.shape[:2]:
            raise ValueError("attention_mask and audio_attention_mask are both of the audio's shape: give one of them")
        masks["text"] = None
    for modality, mask in masks.items():
        states = given[modality]
        if mask is not None and states is not None and mask.shape != states.shape[:2]:
            raise ValueError(
                f"{names[modality]} has shape {tuple(mask.shape)}, but the {modality} input has "
                f"{tuple(states.shape)}: a mask needs one number for every token, sample or frame"
            )
    if given["speech"] is audio and masks["speech"] is None:
        _warn_of_padding(audio)
    return masks


def never_empty(mask: Tensor) -> Tensor:
    """Lets a row without any real position keep its first: attention needs one, and the caller ignores the result."""
    first = torch.zeros_like(mask)
    first[:, 0] = True
    return mask | (first & ~mask.any(dim=1, keepdim=True))


def warn_of_bfloat16(encoder: nn.Module, dtype: torch.dtype) -> None:
    """Says once where oneDNN computes garbage: few channels a group, bfloat16, a processor with AMX (torch 2.11)."""
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
    if dtype != torch.bfloat16 or not torch.cpu._is_amx_tile_supported():
        return
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Conv1d) and module.groups > 1 and 1 < module.in_channels // module.groups < 16:
            channels = module.in_channels // module.groups
            logger.warning_once(
                f"{name} has {channels} channels a group, which PyTorch computes wrongly in bfloat16 on processors "
                "with AMX such as this one: use float32, or set ONEDNN_MAX_CPU_ISA=AVX512_CORE before Python starts"
            )


def _warn_of_padding(audio: Tensor | None) -> None:
    """Says once that clips which end in zeros look padded, if no mask tells."""
    if audio is None or len(audio) < 2 or audio.shape[1] == 0 or torch.compiler.is_compiling():
        return
    ends = audio[:, -1].reshape(len(audio), -1).ne(0).any(dim=1)  # (B,)
    if ends.any() and not ends.all():
        logger.warning_once(
            "clips of a batch end in zeros, and no audio_attention_mask says what of them is padding: scores then "
            "depend on the batch. Make it with the processor, or with a feature extractor that returns its mask"
        )


def _first(*values: Tensor | None) -> Tensor | None:
    return next((value for value in values if value is not None), None)
