"""What a model goes on with: the states of its encoders, made now or beforehand, of one layer or mixed of all."""

from typing import Any

import torch
from torch import Tensor

from .layer_mixture_mer import LayerMixture, mixed_features
from .mer_masks import masks_of
from .mer_outputs import LayerRecord

RAW_INPUTS = {
    "text": ("input_ids", "attention_mask", "token_type_ids"),
    "speech": ("input_values", "input_features", "audio_attention_mask"),
    "video": ("pixel_values", "video_attention_mask"),
}


class StatesMixin:
    """States and masks of the modalities of a `MerPreTrainedModel`.

    Attributes:
        takes_features: Whether `forward` takes the states of frozen encoders, computed beforehand, in the place of
            tokens, audio and frames (`text_features`, `speech_features`, `video_features`).
    """

    takes_features = False
    config: Any
    dtype: Any
    encode_text: Any
    encode_speech: Any
    encode_video: Any
    audio_of: Any

    def encode_inputs(self, record: LayerRecord | None = None, **inputs: Any) -> dict[str, tuple[Tensor, Tensor]]:
        """States and mask of every modality that the model has and the inputs hold.

        Args:
            record: Takes the layers' states and attention of the encoders that run.
            **inputs: Of `forward`: raw ones, or the states of a frozen encoder (`text_features (B, T, D)`,
                `speech_features (B, S, D)`, `video_features (B, F, D)`; `(B, L, K, D)` where layers are mixed) with a
                mask at their resolution.

        Raises:
            ValueError: If there is none.
        """
        masks = masks_of(audio=self.audio_of(inputs), **inputs)
        found = {name: self.encode_modality(name, masks[name], record, **inputs) for name in self.config.modalities}
        encoded = {name: states for name, states in found.items() if states is not None}
        if not encoded:
            raise ValueError(nothing_to_use(self.config.modalities))
        return encoded

    def encode_modality(
        self, modality: str, mask: Tensor | None, record: LayerRecord | None = None, apart: bool = False, **inputs: Any
    ) -> tuple[Tensor, Tensor] | None:
        """States and mask of one modality, None where the inputs do not hold it; see `encode_inputs`.

        Args:
            modality: Of the model.
            mask: Of `masks_of`.
            record: Takes the layers' states and attention of an encoder that runs.
            apart: Whether layers that are mixed are given side by side, `(B, L, K, D)`.
            **inputs: Of `forward`.
        """
        features = inputs.get(f"{modality}_features")
        if features is not None:
            mask = features.new_ones(features.shape[:2]) if mask is None else mask
            features = mixed_features(f"{modality}_features", features.to(self.dtype), self.mixture(modality))
            return features, mask.bool()
        if modality == "text":
            tokens, types = inputs.get("input_ids"), inputs.get("token_type_ids")
            return None if tokens is None else self.encode_text(tokens, mask, types, record, apart)
        if modality == "speech":
            audio = self.audio_of(inputs)
            return None if audio is None else self.encode_speech(audio, mask, record, apart)
        pixels = inputs.get("pixel_values")
        return None if pixels is None else self.encode_video(pixels, mask, record)

    @property
    def cacheable_modalities(self) -> list[str]:
        """Modalities whose encoder never changes, so that its states can be computed once and handed to `forward`."""
        if not self.takes_features:
            return []
        return [name for name in self.config.modalities if f"{name}_encoder" in self.config.freeze]

    @torch.no_grad()
    def precompute(self, modality: str, **inputs: Any) -> tuple[Tensor, Tensor]:
        """States of a frozen encoder, to be handed to `forward` as `<modality>_features`.

        Args:
            modality: One of `cacheable_modalities`.
            **inputs: Raw inputs of `forward`.

        Returns:
            states: Shape `(B, L, D)`, where layers are mixed `(B, L, K, D)`: the weights are still to be learned.
            mask: True at real positions. Shape `(B, L)`.

        Raises:
            ValueError: If the modality's encoder is trained.
        """
        if modality not in self.cacheable_modalities:
            known = ", ".join(self.cacheable_modalities) or "no modality"
            raise ValueError(f"{modality}: only states of {known} can be computed beforehand (frozen encoders)")
        chosen = {name: inputs[name] for name in RAW_INPUTS[modality] if name in inputs}
        masks = masks_of(audio=self.audio_of(chosen), **chosen)
        encoded = self.encode_modality(modality, masks[modality], apart=True, **chosen)
        if encoded is None:
            raise ValueError(nothing_to_use([modality]))
        return encoded

    def mixture(self, modality: str) -> LayerMixture | None:
        """The learned mixture of an encoder's layers, None where its last hidden state is used."""
        return getattr(self, f"{modality}_mixture", None)

    def _states(self, modality: str, output: Any, apart: bool) -> Tensor:
        """What of an encoder's output the model goes on with."""
        mixture = self.mixture(modality)
        if mixture is None:
            return output.last_hidden_state
        states = mixture.states_of(output, getattr(self, f"{modality}_encoder").config.model_type)
        return torch.stack(states, dim=2) if apart else mixture(states)


def nothing_to_use(modalities: list[str]) -> str:
    """What is said where a batch has no input of a model."""
    return (
        f"the model needs {' or '.join(modalities)}, but was given no input that it can use; Trainer drops columns "
        "such as audio and text unless remove_unused_columns=False, and MerDataCollator makes batches of them"
    )
