"""The alignment modules of MGCMA: distributions, token blocks, pooled instances."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .mer_distributed import gather_across_ranks
from .mer_layers import MultiHeadAttention, masked_mean
from .mer_losses import symmetric_contrastive_loss, wasserstein_distances
from .mer_padding import checkpointable

Pair = dict[str, Tensor]  # one tensor for `text`, one for `speech`


class DistributionConstructor(nn.Module):
    """A Gaussian for every token: self-attention, then one branch each for mean and deviation.

    Source: MGCMA, equations 1 to 3 and figure 2, which leaves out where activation and normalisation stand: each
    branch is `norm(x + linear(activation(Concat)))`, and softplus makes the deviation positive.
    """

    def __init__(self, config: Any):
        super().__init__()
        width = config.hidden_size
        self.attention = MultiHeadAttention(width, config.num_attention_heads, config.dropout)
        self.activation = ACT2FN[config.hidden_act]
        self.mean_projection, self.mean_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.deviation_projection, self.deviation_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of every token. `(B, L, D)` and `(B, L)` to twice `(B, L, D)`."""
        attended = self.activation(self.attention(states, states, mask))
        mean = self.mean_norm(states + self.dropout(self.mean_projection(attended)))
        deviation = self.deviation_norm(states + self.dropout(self.deviation_projection(attended)))
        return mean, functional.softplus(deviation)


class DistributionAlignment(nn.Module):
    """DAM: contrasts the utterances' Gaussians; passes the tokens' means on.

    An utterance's Gaussian is the mean of its tokens' means and of their deviations.

    Source: MGCMA, section II-B, equations 4 to 8.
    """

    def __init__(self, config: Any):
        super().__init__()
        self.text_constructor, self.speech_constructor = (
            DistributionConstructor(config),
            DistributionConstructor(config),
        )
        self.temperature, self.reduction = config.contrastive_temperature, config.wasserstein_reduction
        self.log_scale = nn.Parameter(torch.tensor(float(config.wasserstein_scale)).log())  # p = exp(log_scale) > 0
        self.bias = nn.Parameter(torch.tensor(float(config.wasserstein_bias)))

    def forward(self, states: Pair, masks: Pair, with_loss: bool) -> tuple[Pair, Tensor | None]:
        """Gives the means `(B, L, D)` per modality, and `L_DA` if asked for."""
        gaussians = {
            name: getattr(self, f"{name}_constructor")(states[name], masks[name]) for name in states
        }  # (B, L, D) twice each
        loss = None
        if with_loss:
            pooled = {
                name: torch.cat([masked_mean(part, masks[name]) for part in parts], dim=-1)  # (B, 2D)
                for name, parts in gaussians.items()
            }
            loss = self._loss(*complete_pairs(pooled, masks, self.training))
        return {name: mean for name, (mean, _) in gaussians.items()}, loss

    def _loss(self, speech: Tensor, text: Tensor) -> Tensor:
        (mean, deviation), (other_mean, other_deviation) = speech.chunk(2, dim=-1), text.chunk(2, dim=-1)
        distances = wasserstein_distances(mean, deviation, other_mean, other_deviation, self.reduction)  # (N, N)
        similarity = self.bias - self.log_scale.exp() * distances
        return symmetric_contrastive_loss(similarity, self.temperature)


class TokenBlock(GradientCheckpointingLayer):
    """Self-attention, attention to the other modality's tokens and feed-forward, each with residual and norm.

    Source: MGCMA, section II-C; the order of norm and residual is the Transformer's own (and BERT's).
    """

    def __init__(self, config: Any):
        super().__init__()
        self.text, self.speech = TokenBlockBranch(config), TokenBlockBranch(config)

    def forward(self, text: Tensor, speech: Tensor, text_mask: Tensor, speech_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both modalities take the step at once.

        Tensors and no dictionaries: reentrant checkpointing finds no gradients in these.

        Args:
            text: Shape `(B, T, D)`.
            speech: Shape `(B, S, D)`.
            text_mask: True for real tokens. Shape `(B, T)`.
            speech_mask: True for real frames. Shape `(B, S)`.

        Returns:
            Text and speech after the block, of the same shapes.
        """
        text = self.text.attend_within(text, text_mask)
        speech = self.speech.attend_within(speech, speech_mask)
        return (
            self.text.attend_across(text, speech, speech_mask),
            self.speech.attend_across(speech, text, text_mask),
        )


class TokenBlockBranch(nn.Module):
    """One modality's half of a block."""

    def __init__(self, config: Any):
        super().__init__()
        width = config.hidden_size
        self.self_attention = MultiHeadAttention(width, config.num_attention_heads, config.dropout)
        self.cross_attention = MultiHeadAttention(width, config.num_attention_heads, config.dropout)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, config.intermediate_size),
            ACT2FN[config.hidden_act],
            nn.Linear(config.intermediate_size, width),
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.dropout = nn.Dropout(config.dropout)

    def attend_within(self, states: Tensor, mask: Tensor) -> Tensor:
        """Self-attention. `(B, L, D)`."""
        return self.norms[0](states + self.dropout(self.self_attention(states, states, mask)))

    def attend_across(self, states: Tensor, others: Tensor, other_mask: Tensor) -> Tensor:
        """Cross-attention, which adds nothing where the other modality is missing, and feed-forward. `(B, L, D)`."""
        states = self.norms[1](states + self.dropout(self.cross_attention(states, others, other_mask)))
        return self.norms[2](states + self.dropout(self.feed_forward(states)))


class TokenAlignment(nn.Module):
    """TAM: a stack of token blocks; it has no loss of its own.

    Source: MGCMA, section II-C.
    """

    def __init__(self, config: Any):
        super().__init__()
        self.blocks = nn.ModuleList([TokenBlock(config) for _ in range(config.num_token_blocks)])

    def forward(self, states: Pair, masks: Pair, with_loss: bool) -> tuple[Pair, Tensor | None]:
        """Gives the text-aware speech and the speech-aware text, `(B, L, D)` each."""
        text, speech = (checkpointable(states[name], self.blocks[0]) for name in ("text", "speech"))
        for block in self.blocks:
            text, speech = block(text, speech, masks["text"], masks["speech"])
        aligned = {"text": text, "speech": speech}
        return {name: aligned[name] for name in states}, None


class InstanceAlignment(nn.Module):
    """IAM: contrasts pooled utterances; passes the states on as they are.

    Source: MGCMA, section II-D, equations 9 to 11.
    """

    def __init__(self, config: Any):
        super().__init__()
        self.temperature, self.normalize = config.contrastive_temperature, config.instance_normalize

    def forward(self, states: Pair, masks: Pair, with_loss: bool) -> tuple[Pair, Tensor | None]:
        """Gives the states unchanged, and `L_IA` if asked for."""
        if not with_loss:
            return states, None
        pooled = {name: masked_mean(states[name], masks[name]) for name in states}  # (B, D)
        speech, text = complete_pairs(pooled, masks, self.training)
        if self.normalize:
            speech, text = functional.normalize(speech, dim=-1), functional.normalize(text, dim=-1)
        with torch.autocast(speech.device.type, enabled=False):
            similarity = speech.float() @ text.float().T  # (N, N)
        return states, symmetric_contrastive_loss(similarity, self.temperature)


ALIGNMENTS: dict[str, type[nn.Module]] = {
    "distribution": DistributionAlignment,
    "token": TokenAlignment,
    "instance": InstanceAlignment,
}


def complete_pairs(vectors: Pair, masks: Pair, across_ranks: bool) -> tuple[Tensor, Tensor]:
    """Speech and text vectors `(N, D)` of the utterances that have both; of all processes if so asked."""
    present = masks["speech"].any(dim=1) & masks["text"].any(dim=1)
    speech, text = vectors["speech"], vectors["text"]
    if across_ranks:
        speech, text, present = gather_across_ranks(speech, text, present.long())
    return speech[present.bool()], text[present.bool()]
