"""Speech encoders that are blind to padding.

transformers' encoders hand no mask to their group norm, batch norm and some of their convolutions, so that an
utterance depends on its batch. The parts here take the place of theirs, with the same parameters under the same names.
Masks come as arguments alone: nothing of a batch is kept in a module, so that threads can share a model.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoderLayer


class MaskedAudio(NamedTuple):
    """What a guarded encoder is given in the place of samples alone.

    Attributes:
        samples: Shape `(B, N)`.
        lengths: Real samples of every row, 1 at least. Shape `(B,)`.
    """

    samples: Tensor
    lengths: Tensor


def guard_padding(encoder: Any) -> None:
    """Puts the masked parts into a speech encoder; again is harmless.

    Args:
        encoder: A bare wav2vec2, wav2vec2-conformer, wav2vec2-bert, hubert, wavlm, data2vec-audio, unispeech or
            unispeech-sat model; `NativeWhisperEncoder` needs nothing.
    """
    if not hasattr(encoder, "encoder"):  # Whisper's, which is blind to it by itself
        return
    extractor = getattr(encoder, "feature_extractor", None)
    if extractor is not None and not isinstance(extractor, MaskedFeatureExtractor):
        encoder.feature_extractor = MaskedFeatureExtractor(extractor)
    stack = encoder.encoder
    positions: Any = getattr(stack, "pos_conv_embed", None)
    several = hasattr(positions, "layers") or getattr(positions, "batch_norm", None) is not None
    if several and not isinstance(positions, MaskedPositions):
        stack.pos_conv_embed = MaskedPositions(positions)
        stack.register_forward_pre_hook(_add_positions, with_kwargs=True)
    if any(type(layer) is Wav2Vec2ConformerEncoderLayer for layer in stack.layers):
        stack.layers = nn.ModuleList([MaskedConformerLayer(layer) for layer in stack.layers])
        stack.register_forward_pre_hook(_hand_on_mask, with_kwargs=True)


class MaskedFeatureExtractor(nn.Module):
    """The convolutions on the waveform; the group norm of the first one takes its statistics from real samples only.

    Args:
        plain: The encoder's `feature_extractor`, whose layers are taken over.
    """

    def __init__(self, plain: Any):
        super().__init__()
        layers = list(plain.conv_layers)
        self.has_group_norm = isinstance(getattr(layers[0], "layer_norm", None), nn.GroupNorm)
        if self.has_group_norm:
            layers[0] = MaskedGroupNormLayer(layers[0])
        self.conv_layers = nn.ModuleList(layers)
        self._requires_grad = plain._requires_grad

    def forward(self, audio: Tensor | MaskedAudio) -> Tensor:
        """Features `(B, D_conv, S)` of samples `(B, N)`; of a tensor alone every sample is real."""
        samples, lengths = audio if isinstance(audio, tuple) else (audio, None)
        states = samples.unsqueeze(1)  # (B, 1, N)
        if self._requires_grad:
            states = checkpointable(states, self.conv_layers[0])
        first = (states, lengths) if self.has_group_norm else (states,)
        states = self.conv_layers[0](*first)
        for layer in self.conv_layers[1:]:
            states = layer(states)
        return states

    def _freeze_parameters(self) -> None:
        self.requires_grad_(False)
        self._requires_grad = False


class MaskedGroupNormLayer(GradientCheckpointingLayer):
    """First convolution of wav2vec 2.0 with its group norm, every channel a group.

    Args:
        plain: The layer whose modules are taken over.
    """

    def __init__(self, plain: Any):
        super().__init__()
        self.conv, self.layer_norm, self.activation = plain.conv, MaskedGroupNorm(plain.layer_norm), plain.activation

    def forward(self, states: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`(B, 1, N)` and the numbers of real samples `(B,)` to `(B, channels, L)`."""
        states = self.conv(states)
        if lengths is not None:
            lengths = torch.div(lengths - self.conv.kernel_size[0], self.conv.stride[0], rounding_mode="floor") + 1
            lengths = lengths.clamp(min=1)
        return self.activation(self.layer_norm(states, lengths))


class MaskedGroupNorm(nn.GroupNorm):
    """Group norm, every channel a group, with statistics over the real places.

    Args:
        plain: The norm whose weights are taken over.
    """

    def __init__(self, plain: nn.GroupNorm):
        nn.Module.__init__(self)
        self.num_groups, self.num_channels = plain.num_groups, plain.num_channels
        self.eps, self.affine = plain.eps, plain.affine
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, states: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`(B, channels, L)`, of which the first `lengths (B,)` places are real; all are if it is not given.

        With lengths, what is given is overwritten, see `masked_group_norm`.
        """
        return super().forward(states) if lengths is None else masked_group_norm(states, self, lengths)


class MaskedConformerLayer(Wav2Vec2ConformerEncoderLayer):
    """Layer of wav2vec2-conformer whose convolution sees zeros at padding, and whose batch norm real frames only.

    Args:
        plain: The layer whose modules are taken over.
    """

    def __init__(self, plain: Wav2Vec2ConformerEncoderLayer):
        nn.Module.__init__(self)
        for name, child in plain.named_children():
            setattr(self, name, child)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        relative_position_embeddings: Tensor | None = None,
        frame_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Half a feed-forward, self-attention, convolution, the other half, each with its residual.

        Args:
            hidden_states: Shape `(B, S, D)`.
            attention_mask: As the encoder makes it for its attention.
            relative_position_embeddings: Of the encoder.
            frame_mask: True for real frames; all are if it is not given. Shape `(B, S)`.
            **kwargs: Of the attention.
        """
        states = hidden_states + 0.5 * self.ffn1(self.ffn1_layer_norm(hidden_states))
        attended = self.self_attn(
            hidden_states=self.self_attn_layer_norm(states),
            attention_mask=attention_mask,
            relative_position_embeddings=relative_position_embeddings,
            **kwargs,
        )[0]
        states = states + self.self_attn_dropout(attended)
        states = states + self._convolve(states, frame_mask)
        states = states + 0.5 * self.ffn2(self.ffn2_layer_norm(states))
        return self.final_layer_norm(states)

    def _convolve(self, states: Tensor, frame_mask: Tensor | None) -> Tensor:
        module: Any = self.conv_module
        states = module.layer_norm(states).transpose(1, 2)  # (B, D, S)
        states = module.glu(module.pointwise_conv1(states))
        if frame_mask is not None:
            states = states.masked_fill(~frame_mask.unsqueeze(1), 0.0)
        states = masked_batch_norm(module.depthwise_conv(states), module.batch_norm, frame_mask)
        states = module.pointwise_conv2(module.activation(states))
        return module.dropout(states).transpose(1, 2)  # (B, S, D)


class MaskedPositions(nn.Module):
    """Positional convolutions of data2vec-audio (several), or of a HuBERT with batch norm before its own.

    Where an encoder calls it, no mask is at hand: it adds nothing there, and `positions` are added before.

    Args:
        plain: The encoder's `pos_conv_embed`, whose modules are taken over.
    """

    def __init__(self, plain: nn.Module):
        super().__init__()
        for name, child in plain.named_children():
            setattr(self, name, child)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(hidden_states)

    def positions(self, states: Tensor, mask: Tensor) -> Tensor:
        """What is to be added to frames `(B, S, D)`, of which those of the mask `(B, S)` are real."""
        parts: Any = self
        padding = ~mask.unsqueeze(1)
        states = states.transpose(1, 2)  # (B, D, S)
        if hasattr(self, "layers"):
            for layer in parts.layers:
                states = layer(states.masked_fill(padding, 0.0))
        else:
            states = masked_batch_norm(states, parts.batch_norm, mask).masked_fill(padding, 0.0)
            states = parts.activation(parts.padding(parts.conv(states)))
        return states.transpose(1, 2)


def _add_positions(stack: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    states, mask = args[0], kwargs.get("attention_mask")
    mask = torch.ones_like(states[..., 0], dtype=torch.bool) if mask is None else mask.bool()
    states = states.masked_fill(~mask.unsqueeze(-1), 0.0)
    return (states + stack.pos_conv_embed.positions(states, mask), *args[1:]), kwargs


def _hand_on_mask(stack: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    mask = kwargs.get("attention_mask")
    return args, kwargs if mask is None else {**kwargs, "frame_mask": mask.bool()}


def checkpointable(states: Tensor, layer: Any) -> Tensor:
    """The first states of a stack of layers, such that reentrant checkpointing gives the layers their gradients.

    It finds those of a layer only where one of its inputs has a gradient itself.
    """
    wanted = layer.training and layer.gradient_checkpointing and torch.is_grad_enabled()
    return states.detach().requires_grad_() if wanted and not states.requires_grad else states


def masked_batch_norm(states: Tensor, norm: nn.Module, mask: Tensor | None) -> Tensor:
    """Batch norm of `(B, channels, S)` with statistics over the real frames of `mask (B, S)`, 0 at padding then."""
    if not norm.training or mask is None:
        return norm(states)
    states = states.transpose(1, 2)  # (B, S, channels)
    normed = torch.zeros_like(states)
    normed[mask] = norm(states[mask]).to(normed.dtype)
    return normed.transpose(1, 2)


def masked_group_norm(states: Tensor, norm: nn.GroupNorm, lengths: Tensor) -> Tensor:
    """Group norm of `(B, channels, L)`, every channel a group, with statistics over the first `lengths (B,)` places.

    The library's own takes padding into the statistics, so that an utterance's result depends on its batch. The states
    are the largest of the whole encoder, and to make room for a tensor of that size takes longer than to compute it:
    **what is given is overwritten**, its padding in any case, all of it where no gradient is wanted.
    """
    with torch.autocast(states.device.type, enabled=False):  # sums of squares need all of float32
        exact = states.float()
        mask = (torch.arange(exact.shape[-1], device=exact.device) < lengths[:, None]).to(exact.dtype).unsqueeze(1)
        count = lengths[:, None, None].to(exact.dtype)
        if torch.compiler.is_compiling():
            exact = exact * mask
        else:
            with torch.no_grad():  # a convolution's gradients do not depend on its result
                exact.mul_(mask)
        weight, bias = norm.weight.float(), norm.bias.float()
        if torch.is_grad_enabled() and any(one.requires_grad for one in (exact, weight, bias)):
            return _MaskedInstanceNorm.apply(exact, weight, bias, mask, count, norm.eps).to(states.dtype)
        mean, inverse = _statistics(exact, count, norm.eps)
        scale = inverse * weight[:, None]
        return exact.mul_(scale).add_(bias[:, None] - mean * scale).to(states.dtype)


def _statistics(states: Tensor, count: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and `1 / sqrt(var + eps)`, `(B, channels, 1)` each, of states with 0 but at `count (B, 1, 1)` places."""
    mean = states.sum(dim=-1, keepdim=True) / count
    mean_square = torch.linalg.vector_norm(states, dim=-1, keepdim=True).square() / count
    return mean, torch.rsqrt((mean_square - mean.square()).clamp(min=0) + eps)


class _MaskedInstanceNorm(torch.autograd.Function):
    """`weight * (x - mean) / sqrt(var + eps) + bias`, mean and variance over the real positions of each channel.

    What autograd makes of the formula passes over the states several times more than the gradient needs. With `n = (x
    - mean) / sqrt(var + eps)`, `g` the gradient of the result and `s = weight / sqrt(var + eps)`: `dx = real s (g -
    (sum g + n sum g n) / count)`; the sums are over all positions, since what lies in the padding is normalised by the
    same statistics.
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, mask: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        """Normalises `(B, channels, L)`, 0 but where `mask (B, 1, L)` is 1, which `count (B, 1, 1)` places are."""
        mean, inverse = _statistics(states, count, eps)
        scale = inverse * weight[:, None]
        ctx.save_for_backward(states, weight, mask, count, mean, inverse)
        return torch.addcmul(bias[:, None] - mean * scale, states, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of states, weight and bias."""
        states, weight, mask, count, mean, inverse = ctx.saved_tensors
        grad = grads[0]  # (B, channels, L)
        total = grad.sum(dim=-1, keepdim=True)  # (B, channels, 1)
        buffer = grad * states
        product = (buffer.sum(dim=-1, keepdim=True) - mean * total) * inverse
        scale = inverse * weight[:, None]
        slope = -scale * product * inverse / count
        torch.addcmul(-scale * total / count - slope * mean, states, slope, out=buffer)
        grad_states = buffer.addcmul_(grad, scale).mul_(mask)
        return grad_states, product.sum(dim=(0, 2)), total.sum(dim=(0, 2)), None, None, None
