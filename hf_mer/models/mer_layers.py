"""Layers that more than one model uses: masked pooling, label attention, cross-attention."""

import torch
from torch import Tensor, nn
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


def masked_pool(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """`masked_mean` or `masked_max`, by the configuration's word for it. `(B, L, D)` and `(B, L)` to `(B, D)`."""
    return masked_mean(states, mask) if pooling == "mean" else masked_max(states, mask)


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
