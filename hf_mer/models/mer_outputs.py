"""What the models of this package return."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class MerOutput(ModelOutput):
    """Output of a multimodal emotion recognition model.

    Attributes:
        loss: Weighted sum of `losses`, when labels are given. Scalar.
        logits: Class scores before the softmax, not calibrated: the pipeline of this package divides them by
            `config.temperature_of(modalities)`, plain `audio-classification` does not. Shape `(B, C)`.
        losses: Each part of the loss, unweighted, by its name in `config.loss_weights`, when labels are given.
        embeddings: The fused representation that the classifier sees; where a modality is missing, the other branch's
            pooled states in their half and zeros in the rest. Shape `(B, D_t + D_s)`, of a unimodal model `(B, D)`.
        modality_embeddings: One vector per modality before fusion (MGCMA: pooled after the last alignment module;
            WavFusion: of the shared encoder), by the modality's name, of models that align modalities. Each of shape
            `(B, D)`, 0 where an utterance lacks the modality.
        gates: `P` of WavFusion, the share of the text in the fused states, one per deep layer, when
            `output_attentions=True`; 1/2 throughout with `fusion_gate="mean"`, and 1 or 0 for an utterance without
            video or without text. Each of shape `(B, S)`, the mean over the width.
        text_label_attention: `G_t`, cosine of every token with every label, when `output_attentions=True`.
            Shape `(B, T, C)`.
        speech_label_attention: `G_s`, cosine of every frame with every label, when `output_attentions=True`.
            Shape `(B, S, C)`.
        cross_attention: `A_r`, weight of every frame for every token, when `output_attentions=True` and the fusion has
            it. Shape `(B, T, S)`.
        text_cross_attentions: Weight of every token for every audio frame of WavFusion, one per deep layer, the mean
            over the heads, when `output_attentions=True`. Each of shape `(B, S, T)`.
        video_cross_attentions: The same of every video frame. Each of shape `(B, S, F)`.
        text_mask: Tokens that count, when `output_attentions=True`. Shape `(B, T)`.
        speech_mask: Frames that count, when `output_attentions=True`. Shape `(B, S)`.
        video_mask: Video frames that count, when `output_attentions=True`. Shape `(B, F)`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    losses: dict[str, torch.Tensor] | None = None
    embeddings: torch.Tensor | None = None
    modality_embeddings: dict[str, torch.Tensor] | None = None
    gates: tuple[torch.Tensor, ...] | None = None
    text_label_attention: torch.Tensor | None = None
    speech_label_attention: torch.Tensor | None = None
    cross_attention: torch.Tensor | None = None
    text_cross_attentions: tuple[torch.Tensor, ...] | None = None
    video_cross_attentions: tuple[torch.Tensor, ...] | None = None
    text_mask: torch.Tensor | None = None
    speech_mask: torch.Tensor | None = None
    video_mask: torch.Tensor | None = None
