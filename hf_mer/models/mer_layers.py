"""Layers that more than one model uses: masked pooling, label attention, cross-attention, norms without padding."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over real positions, 0 where there are none. `(B, L, D)` and `(B, L)` to `(B, D)`."""
    weights = mask.to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Maximum over real positions, 0 where there are none. `(B, L, D)` and `(B, L)` to `(B, D)`."""
    lowest = torch.finfo(states.dtype).min
    pooled = states.masked_fill(~mask.unsqueeze(-1), lowest).amax(dim=1)
    return pooled.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def label_attention(hidden: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Similarity of every position to every label, and its mean over real positions.

    `G = cos(hidden, labels)`, `scores = mean_t(G)`; padding counts for nothing.

    Source: LE-MER, equations 1 and 2, 4 and 5 (the softmax is left to the loss).

    Args:
        hidden: Encoder states, one per token or frame. Shape `(B, L, D)`.
        labels: One embedding per class. Shape `(C, D)`.
        mask: True for real positions. Shape `(B, L)`.

    Returns:
        G: Shape `(B, L, C)`, 0 at padding.
        scores: Shape `(B, C)`, 0 for an utterance without real positions.
    """
    directions = functional.normalize(labels.to(hidden.dtype), dim=-1)
    similarity = functional.normalize(hidden, dim=-1) @ directions.T  # (B, L, C)
    similarity = similarity.masked_fill(~mask.unsqueeze(-1), 0.0)
    return similarity, masked_mean(similarity, mask)


class BilinearCrossAttention(nn.Module):
    """Tokens look at frames through one bilinear form: `A_r = softmax(H_t W^T H_s^T)`, `H_s' = A_r H_s`.

    The printed equation's shapes do not chain; this is the reading that does, with `W (d_s, d_t)`. There is no scale
    in the equation: `W` starts so that the logits of normalised states have unit variance.

    Source: LE-MER, equations 7 and 8.
    """

    def __init__(self, query_dim: int, key_dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(key_dim, query_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws `W` with standard deviation `1 / sqrt(d_s d_t)`."""
        nn.init.normal_(self.weight, std=self.weight.numel() ** -0.5)

    def forward(
        self, queries: Tensor, keys: Tensor, key_mask: Tensor, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Attends; through `scaled_dot_product_attention` unless the weights are asked for.

        Args:
            queries: `H_t`. Shape `(B, T, D_t)`.
            keys: `H_s`. Shape `(B, S, D_s)`.
            key_mask: True for real frames; every row has at least one. Shape `(B, S)`.
            need_weights: Whether to return `A_r`.

        Returns:
            attended: `H_s'`. Shape `(B, T, D_s)`.
            weights: `A_r`, shape `(B, T, S)`, or None.
        """
        projected = functional.linear(queries, self.weight)  # (B, T, D_s)
        if not need_weights:
            return attend(projected, keys, keys, key_mask), None
        logits = projected @ keys.transpose(1, 2)  # (B, T, S)
        weights = logits.masked_fill(~key_mask.unsqueeze(1), float("-inf")).softmax(dim=-1)
        return weights @ keys, weights


def attend(queries: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor) -> Tensor:
    """Unscaled masked attention of one head. `(B, T, D)`, `(B, S, D)`, `(B, S, V)`, `(B, S)` to `(B, T, V)`."""
    mask = key_mask[:, None, None, :]
    return functional.scaled_dot_product_attention(
        queries.unsqueeze(1), keys.unsqueeze(1), values.unsqueeze(1), attn_mask=mask, scale=1.0
    ).squeeze(1)


class MultiHeadAttention(nn.Module):
    """Multi-head attention through `scaled_dot_product_attention`, 0 for an utterance without any key.

    Args:
        width: Of queries and output.
        num_heads: Divides the width.
        dropout: On the weights.
        key_dim: Width of keys and values, if it is another.
    """

    def __init__(self, width: int, num_heads: int, dropout: float = 0.0, key_dim: int | None = None):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key, self.value = (nn.Linear(key_dim or width, width) for _ in range(2))
        self.output = nn.Linear(width, width)
        self.num_heads, self.dropout = num_heads, dropout

    def forward(self, queries: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Attends from `queries (B, L, D)` to `states (B, S, D_k)` where `mask (B, S)` is True. Gives `(B, L, D)`."""
        query, key, value = (
            projection(source).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, L or S, D / heads)
            for projection, source in ((self.query, queries), (self.key, states), (self.value, states))
        )
        present = mask.any(dim=1)  # (B,)
        keys_mask = (mask | ~present[:, None])[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=keys_mask, dropout_p=dropout)
        attended = self.output(attended.transpose(1, 2).flatten(2))  # (B, L, D)
        return attended * present[:, None, None].to(attended.dtype)

    def weights(self, queries: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """What `forward` gives to each state, the mean over the heads. Shape `(B, L, S)`, 0 where there is no key."""
        query, key = (
            projection(source).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, L or S, D / heads)
            for projection, source in ((self.query, queries), (self.key, states))
        )
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5  # (B, heads, L, S)
        present = mask.any(dim=1)[:, None, None]  # (B, 1, 1)
        seen = (mask.unsqueeze(1) | ~present).unsqueeze(1)  # (B, 1, 1, S)
        return scores.masked_fill(~seen, float("-inf")).softmax(dim=-1).mean(dim=1).masked_fill(~present, 0.0)


class FrameMask:
    """Lengths of the batch that is being encoded, shared by the layers of one encoder that must not see padding."""

    def __init__(self) -> None:
        self.samples: Tensor | None = None  # (B,) real input samples, for convolutions on the waveform
        self.frames: Tensor | None = None  # (B, S) bool, for everything after them

    def lengths_after(self, conv_layers: list[nn.Conv1d]) -> Tensor:
        """Real positions that are left after the given convolutions on the waveform. Shape `(B,)`."""
        lengths: Any = self.samples
        for conv in conv_layers:
            lengths = torch.div(lengths - conv.kernel_size[0], conv.stride[0], rounding_mode="floor") + 1
        return lengths.clamp(min=1)


class MaskedGroupNorm(nn.GroupNorm):
    """Group norm of wav2vec 2.0's first convolution with statistics over the real samples only.

    The library's own takes padding into the statistics, so that an utterance's result depends on its batch.
    Same parameters, same names, same result without padding.
    """

    def __init__(self, plain: nn.GroupNorm, frame_mask: FrameMask, conv_layers: list[nn.Conv1d]):
        super().__init__(plain.num_groups, plain.num_channels, eps=plain.eps, affine=plain.affine)
        self.weight, self.bias = plain.weight, plain.bias
        self._frame_mask, self._conv_layers = frame_mask, conv_layers

    def forward(self, states: Tensor) -> Tensor:
        """Normalises `(B, channels, L)`; every channel is a group."""
        if self._frame_mask.samples is None or self.num_groups != self.num_channels:
            return super().forward(states)
        with torch.autocast(states.device.type, enabled=False):  # sums of squares need all of float32
            return self._masked_norm(states.float(), self._frame_mask.lengths_after(self._conv_layers)).to(
                states.dtype
            )

    def _masked_norm(self, states: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(states.shape[-1], device=states.device) < lengths[:, None]).to(states.dtype).unsqueeze(1)
        count = lengths[:, None, None].to(states.dtype)
        return _MaskedInstanceNorm.apply(states, self.weight.float(), self.bias.float(), mask, count, self.eps)


class _MaskedInstanceNorm(torch.autograd.Function):
    """`weight * (x - mean) / sqrt(var + eps) + bias`, mean and variance over the real positions of each channel.

    The states are the largest of the whole encoder: what autograd makes of the formula passes over them several times
    more than the gradient needs. With `n = (x - mean) / sqrt(var + eps)`, `g` the gradient of the result and `s =
    weight / sqrt(var + eps)`: `dx = s (g - real (sum g + n sum g n) / count)`; the sums are over all positions, since
    what lies in the padding is normalised by the same statistics.
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, mask: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        """Normalises `(B, channels, L)`; `mask (B, 1, L)` is 1 at real positions, `count (B, 1, 1)` their number."""
        mean = states @ mask.transpose(1, 2) / count  # (B, channels, 1)
        mean_square = torch.linalg.vecdot(states, states * mask).unsqueeze(-1) / count
        inverse = torch.rsqrt((mean_square - mean.square()).clamp(min=0) + eps)
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
        product = (torch.linalg.vecdot(grad, states).unsqueeze(-1) - mean * total) * inverse
        scale = inverse * weight[:, None]
        slope = -scale * product * inverse / count
        through_statistics = torch.addcmul(-scale * total / count - slope * mean, states, slope).mul_(mask)
        grad_states = through_statistics.addcmul_(grad, scale)
        return grad_states, product.sum(dim=(0, 2)), total.sum(dim=(0, 2)), None, None, None


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm of a Conformer's convolution with statistics over the real frames only.

    Same parameters and buffers, same names.
    """

    def __init__(self, plain: nn.BatchNorm1d, frame_mask: FrameMask):
        super().__init__(plain.num_features, eps=plain.eps, momentum=plain.momentum)
        self.weight, self.bias = plain.weight, plain.bias
        self.running_mean, self.running_var = plain.running_mean, plain.running_var
        self.num_batches_tracked = plain.num_batches_tracked
        self._frame_mask = frame_mask

    def forward(self, states: Tensor) -> Tensor:
        """Normalises `(B, channels, S)`."""
        mask = self._frame_mask.frames
        if not self.training or mask is None or mask.shape[-1] != states.shape[-1]:
            return super().forward(states)
        states = states.transpose(1, 2)  # (B, S, channels)
        normed = torch.zeros_like(states)
        normed[mask] = super().forward(states[mask])
        return normed.transpose(1, 2)
