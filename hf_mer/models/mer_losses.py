"""Losses of the package's models, masked so that padding never counts."""

import torch
from torch import Tensor


def attention_constraint_loss(guided: Tensor, attention: Tensor, pair_mask: Tensor) -> Tensor:
    """Mean squared distance of the cross-attention from its label guide, over real (token, frame) pairs.

    `L_c = mean (A_l - A_r)^2`: the mean over an utterance's pairs, then over the utterances that have any.

    Source: LE-MER, equation 10 (printed as a squared norm; the mean keeps its weight independent of length).

    Args:
        guided: `A_l`. Shape `(B, T, S)`.
        attention: `A_r`. Shape `(B, T, S)`.
        pair_mask: True where token and frame are real. Shape `(B, T, S)`.

    Returns:
        Scalar; 0 when no utterance has both modalities.
    """
    squared = (guided - attention).float().square().masked_fill(~pair_mask, 0.0)
    pairs = pair_mask.sum(dim=(1, 2))  # (B,)
    per_utterance = squared.sum(dim=(1, 2)) / pairs.clamp(min=1)  # (B,)
    return per_utterance.sum() / (pairs > 0).sum().clamp(min=1)


def masked_cross_entropy(logits: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """Cross-entropy over the utterances that have the modality in question.

    Args:
        logits: Shape `(B, C)`.
        labels: Class indices; -100 is left out. Shape `(B,)`.
        present: True where the utterance counts. Shape `(B,)`.

    Returns:
        Scalar; 0 when nothing counts.
    """
    targets = labels.masked_fill(~present, -100)
    total = torch.nn.functional.cross_entropy(logits.float(), targets, ignore_index=-100, reduction="sum")
    return total / (targets != -100).sum().clamp(min=1)


def weighted_total(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Sum of the losses, each times its weight.

    Source: LE-MER, equation 12.

    Raises:
        KeyError: If a loss has no weight.
    """
    return torch.stack([weights[name] * value for name, value in losses.items()]).sum()
