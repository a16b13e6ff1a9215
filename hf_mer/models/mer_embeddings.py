"""Vectors that a model learns by themselves, as modules: what adapters save and what is frozen goes by modules."""

from typing import Any

import torch
from torch import Tensor, nn

from .mer_layers import label_attention
from .mer_masks import never_empty

BARE_NAMES = ("text_label_embeddings", "tonal_label_embeddings", "missing_speech")
"""Once parameters of the model itself, so that older checkpoints have them without `.weight`."""


class LabelEmbeddings(nn.Module):
    """One trainable vector per class, which states are compared with.

    Args:
        num_labels: Classes.
        width: Of the vectors.
    """

    def __init__(self, num_labels: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_labels, width))  # (C, D)

    def forward(self, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """`label_attention` of states `(B, L, D)` with these labels."""
        return label_attention(hidden, self.weight, mask)


class LearnedFrame(nn.Module):
    """One trainable vector that stands where an utterance has no frames.

    Args:
        width: Of the vector.
    """

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))  # (D,)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States `(B, L, D)` and mask `(B, L)`, with the vector as the only frame of utterances that have none."""
        filled = never_empty(mask)
        return torch.where((filled & ~mask).unsqueeze(-1), self.weight.to(states.dtype), states), filled


def current_names() -> dict[str, str]:
    """For `from_pretrained`: patterns of names in older checkpoints, and what they are called now."""
    return {rf"^{name}$": f"{name}.weight" for name in BARE_NAMES}


def keep_present_names(model: Any) -> None:
    """Lets a model that was loaded with `current_names` be saved under those; transformers would take them back."""
    conversions = getattr(model, "_weight_conversions", None)
    if conversions is not None:
        ours = set(current_names())
        model._weight_conversions = [one for one in conversions if not ours & set(one.source_patterns)]


def rename_bare(state_dict: dict[str, Any], prefix: str = "") -> None:
    """Gives the tensors of an older checkpoint their present names, in place.

    Args:
        state_dict: By names that begin with the prefix.
        prefix: Of the model's names in it.
    """
    for name in BARE_NAMES:
        if f"{prefix}{name}" in state_dict:
            state_dict[f"{prefix}{name}.weight"] = state_dict.pop(f"{prefix}{name}")
