"""The layers of an encoder as one: its last hidden state, or a learned mixture of all."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .fields_mer import choice

LAYERS = ("last", "mix")
MIXED = ("text", "speech")
"""Modalities whose encoder may be mixed; of a video encoder only pooled features are used."""
layer_choice = choice(*LAYERS)


class LayerMixture(nn.Module):
    """`scale * sum_k softmax(w)_k norm(H_k)` over what goes into the first layer and what comes out of every layer.

    The weights start at 0, which makes the plain mean. The last of the states is the encoder's output. Every position
    of every state is brought to mean 0 and variance 1 (a layer norm without weights, as in s3prl's
    `normalize_features`): layers differ in size by powers of ten, and the largest would drown the others.

    Source: Yang et al., SUPERB, Interspeech 2021, section 3; for emotion Pepino et al., Interspeech 2021, section 3.2.
    The scale is gamma of Peters et al. (ELMo, NAACL 2018, equation 1), which they learn and which is fixed here.

    Args:
        num_states: K, one more than the encoder has layers.
        scale: What the mixture is multiplied with.
    """

    def __init__(self, num_states: int, scale: float = 1.0):
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.zeros(num_states))  # (K,)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """Mixes K states `(B, L, D)` to one `(B, L, D)`."""
        shares = self.shares().to(states[0].dtype)
        mixed = torch.zeros_like(states[0])
        for share, state in zip(shares, states, strict=True):  # no stack: it would double the memory
            mixed = mixed + share * functional.layer_norm(state, state.shape[-1:])
        return mixed if self.scale == 1 else mixed * self.scale

    def of_stacked(self, states: Tensor) -> Tensor:
        """The same of states that lie in one tensor already, `(B, L, K, D)` to `(B, L, D)`: one product for all."""
        shares = (self.shares() * self.scale).to(states.dtype)  # (K,)
        return shares @ functional.layer_norm(states, states.shape[-1:])

    def shares(self) -> Tensor:
        """What every state counts for; 1 together. Shape `(K,)`."""
        return self.weight.float().softmax(dim=0)

    def states_of(self, output: Any, model_type: str) -> list[Tensor]:
        """The K states of an encoder's output. Each of shape `(B, L, D)`.

        Raises:
            ValueError: If the encoder gives others than its configuration says.
        """
        states = list(getattr(output, "hidden_states", None) or ())
        if len(states) != len(self.weight):
            raise ValueError(
                f"a {model_type} encoder gives {len(states)} hidden states, and its configuration says "
                f"{len(self.weight)}: its layers cannot be mixed; use 'last'"
            )
        return [*states[:-1], output.last_hidden_state]


def check_scale(config: Any) -> None:
    """Refuses a scale where nothing is scaled.

    Raises:
        ValueError: If the configuration scales a text whose layers are not mixed.
    """
    if config.text_scale != 1 and config.text_layers != "mix":
        raise ValueError(
            f"text_scale={config.text_scale} scales a mixture of layers, and text_layers is '{config.text_layers}': "
            "use text_layers='mix', or leave it out"
        )


def add_mixtures(model: Any, config: Any) -> None:
    """Gives a model `text_mixture` and `speech_mixture` where its configuration says `mix`, None elsewhere.

    LayerDrop of such an encoder is off, here and in what is saved: a layer that is left out has no states.
    """
    for modality in MIXED:
        encoder: Any = getattr(config, f"{modality}_config", None)
        mixes = encoder is not None and getattr(config, f"{modality}_layers", "last") == "mix"
        scale = getattr(config, f"{modality}_scale", 1.0)
        setattr(model, f"{modality}_mixture", LayerMixture(encoder.num_hidden_layers + 1, scale) if mixes else None)
        dropping = [name for name in ("layerdrop", "encoder_layerdrop") if getattr(encoder, name, 0)]
        if mixes and dropping:
            encoder = copy.deepcopy(encoder)  # which may be a user's own
            for name in dropping:
                setattr(encoder, name, 0.0)
            setattr(config, f"{modality}_config", encoder)


def mixed_features(name: str, features: Tensor, mixture: LayerMixture | None) -> Tensor:
    """States that were computed beforehand, as the model goes on with them. Shape `(B, L, D)`.

    Args:
        name: Of the input, for messages.
        features: Shape `(B, L, D)`, or `(B, L, K, D)` where layers are mixed.
        mixture: Of the modality, None without.

    Raises:
        ValueError: If the shape is another.
    """
    shape = tuple(features.shape)
    if mixture is None:
        if features.dim() != 3:
            raise ValueError(f"{name} has shape {shape}; it must be (B, L, D): no layers are mixed")
        return features
    if features.dim() != 4 or shape[2] != len(mixture.weight):
        raise ValueError(
            f"{name} has shape {shape}; where layers are mixed it must be (B, L, {len(mixture.weight)}, D), "
            "as precompute gives it"
        )
    return mixture.of_stacked(features)


def layer_weights(weights: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """What every state counts for in the mixtures of a model, by modality; empty without any.

    Args:
        weights: The model's state dictionary.
    """
    found = {modality: weights.get(f"{modality}_mixture.weight") for modality in MIXED}
    return {name: weight.float().softmax(dim=0).tolist() for name, weight in found.items() if weight is not None}
