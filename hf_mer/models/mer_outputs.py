"""What the models of this package return."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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
        text_hidden_states: What goes into the text encoder's first layer and what comes out of every layer, when
            `output_hidden_states=True` and the encoder has run. Each of shape `(B, T, D_t)`.
        speech_hidden_states: The same of the speech encoder; in WavFusion the deep layers follow the shallow ones.
            Each of shape `(B, S, D_s)`.
        video_hidden_states: The same of the video encoder, for the N real frames of the batch, row after row. Each of
            shape `(N, ...)`, as the encoder has it.
        text_attentions: Self-attention of the text encoder's layers, when `output_attentions=True`, for an encoder
            with `attn_implementation="eager"`; the others keep no weights. Each of shape `(B, heads, T, T)`.
        speech_attentions: The same of the speech encoder; of WavFusion's shallow layers. Each of shape `(B, heads, S,
            S)`.
        video_attentions: The same of a video encoder that has attention. Each of shape `(N, heads, P, P)`.
        hidden_states: Those of the first modality that the model has of speech, text and video.
        attentions: The same.
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
    text_hidden_states: tuple[torch.Tensor, ...] | None = None
    speech_hidden_states: tuple[torch.Tensor, ...] | None = None
    video_hidden_states: tuple[torch.Tensor, ...] | None = None
    text_attentions: tuple[torch.Tensor, ...] | None = None
    speech_attentions: tuple[torch.Tensor, ...] | None = None
    video_attentions: tuple[torch.Tensor, ...] | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class LayerRecord:
    """What one forward pass was asked to return of its encoders' layers, and what they gave.

    Attributes:
        hidden_states: Whether the states between the layers are wanted, or which of them: the others are None then.
        attentions: Whether their attention weights are.
        found: `<modality>_hidden_states` and `<modality>_attentions` of the encoders that have run.
    """

    hidden_states: bool | int | list[int] = False
    attentions: bool = False
    found: dict[str, tuple[torch.Tensor, ...]] = field(default_factory=dict)

    def _wants(self, name: str) -> bool:
        return getattr(self, name) not in (None, False)  # 0 is a layer

    def arguments(self, encoder: Any) -> dict[str, Any]:
        """For the encoder's `forward`: only what is asked for, and attention of an encoder that can show it."""
        wanted: dict[str, Any] = {"output_hidden_states": self.hidden_states} if self._wants("hidden_states") else {}
        shown = "attentions" in (getattr(encoder, "_can_record_outputs", None) or {})
        if self.attentions and shown and encoder.config._attn_implementation == "eager":
            wanted["output_attentions"] = True
        return wanted

    def keep(self, modality: str, output: Any) -> None:
        """Takes what an encoder gave."""
        for name in ("hidden_states", "attentions"):
            layers = getattr(output, name, None)
            if self._wants(name) and layers:
                self.found[f"{modality}_{name}"] = self._chosen(layers) if name == "hidden_states" else tuple(layers)

    def follow(self, modality: str, states: list[torch.Tensor]) -> None:
        """Takes the states of layers on top of an encoder: what goes into the first, then what each gives."""
        name = f"{modality}_hidden_states"
        if not self._wants("hidden_states"):
            return
        self.found[name] = self._chosen((*self.found.get(name, states[:1]), *states[1:]))

    def _chosen(self, layers: Sequence[Any]) -> tuple:
        """The layers that were asked for by number, None for the others; all if they were not numbered."""
        if isinstance(self.hidden_states, bool):
            return tuple(layers)
        chosen = [self.hidden_states] if isinstance(self.hidden_states, int) else self.hidden_states
        kept = {index % len(layers) for index in chosen if -len(layers) <= index < len(layers)}
        return tuple(layer if index in kept else None for index, layer in enumerate(layers))

    def fields(self, modalities: list[str]) -> dict[str, Any]:
        """Fields of `MerOutput`, for a model of these modalities."""
        main = next(name for name in ("speech", "text", "video") if name in modalities)
        names = ("hidden_states", "attentions")
        return {**self.found, **{name: self.found.get(f"{main}_{name}") for name in names}}
