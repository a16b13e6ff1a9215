"""Layers of WavFusion: A-GRU, the learnable visual centre, gated cross-modal attention."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers.modeling_layers import GradientCheckpointingLayer

from .mer_layers import MultiHeadAttention


class AttentiveGru(GradientCheckpointingLayer):
    """A-GRU: `X = SelfAttention(GRU(e))`.

    Source: WavFusion, equations 2 and 6.

    Args:
        input_dim: Width of `e`.
        width: Width of `X`.
        num_heads: Of the self-attention.
        num_layers: Of the GRU.
        bidirectional: Whether the GRU reads in both directions, half of the width for each.
        residual: Whether the self-attention's input is added to its output and the sum normalised.
        dropout: On the weights of the self-attention.
    """

    def __init__(
        self,
        input_dim: int,
        width: int,
        num_heads: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        size = width // 2 if bidirectional else width
        self.gru = nn.GRU(input_dim, size, num_layers, batch_first=True, bidirectional=bidirectional)
        self.attention = MultiHeadAttention(width, num_heads, dropout)
        self.norm = nn.LayerNorm(width) if residual else None

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Encodes a sequence.

        Args:
            states: `e`. Shape `(B, L, D_e)`.
            mask: True for real positions, which come before the padding. Shape `(B, L)`.

        Returns:
            `X`, 0 at padding. Shape `(B, L, D)`.
        """
        recurrent = self._read(states, mask)  # (B, L, D)
        attended = self.attention(recurrent, recurrent, mask)
        if self.norm is not None:
            attended = self.norm(recurrent + attended)
        return attended.masked_fill(~mask.unsqueeze(-1), 0.0)

    def _read(self, states: Tensor, mask: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return _read_in_graph(self.gru, states, mask)
        if not self.gru.bidirectional:  # which reads the padding last, too late to change anything
            return self.gru(states)[0]
        lengths = mask.sum(dim=1).clamp(min=1).cpu()
        packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=states.shape[1])[0]


def _read_in_graph(gru: nn.GRU, states: Tensor, mask: Tensor) -> Tensor:
    """What the GRU gives, for an exported graph: `torch.export` writes a GRU out step by step, for one length only.

    The second direction reads every row's real part reversed; what it gives at padding is not what packing gives.

    Args:
        gru: Of one or two directions.
        states: Shape `(B, L, D_in)`.
        mask: True for real positions, which come before the padding. Shape `(B, L)`.

    Returns:
        Shape `(B, L, D)`.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    mirrored = torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - positions, positions).unsqueeze(-1)  # (B, L, 1)
    directions = 2 if gru.bidirectional else 1
    for layer in range(gru.num_layers):
        weights = gru.all_weights[layer * directions : (layer + 1) * directions]
        read = [_scan_direction(states, *weights[0])]
        if gru.bidirectional:
            backward = _scan_direction(states.gather(1, mirrored.expand(-1, -1, states.shape[-1])), *weights[1])
            read.append(backward.gather(1, mirrored.expand(-1, -1, backward.shape[-1])))
        states = torch.cat(read, dim=-1)  # (B, L, D)
    return states


def _scan_direction(states: Tensor, input_weight: Tensor, weight: Tensor, input_bias: Tensor, bias: Tensor) -> Tensor:
    """One direction of one layer of a GRU, as a loop that a graph can hold. `(B, L, D_in)` to `(B, L, D)`."""
    from torch._higher_order_ops.scan import scan

    def step(hidden: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        reset_in, update_in, new_in = inputs.chunk(3, dim=-1)  # (B, D) each
        reset_hidden, update_hidden, new_hidden = functional.linear(hidden, weight, bias).chunk(3, dim=-1)
        reset, update = torch.sigmoid(reset_in + reset_hidden), torch.sigmoid(update_in + update_hidden)
        new = torch.tanh(new_in + reset * new_hidden)
        hidden = new + update * (hidden - new)
        return hidden, hidden.clone()

    inputs = functional.linear(states, input_weight, input_bias).transpose(0, 1)  # (L, B, 3 D)
    start = states.new_zeros(states.shape[0], weight.shape[1])
    return scan(step, start, inputs)[1].transpose(0, 1)  # (B, L, D)


class MaskedConvolution(nn.Module):
    """One-dimensional convolution over real positions, and a layer norm over the channels.

    The layer norm stands where the source has batch norm: an utterance's result then depends on no other utterance,
    neither in training nor through running statistics, and not on the number of processes.
    """

    def __init__(self, input_dim: int, width: int, kernel_size: int):
        super().__init__()
        self.conv = nn.Conv1d(input_dim, width, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """`(B, L, D_in)` and `(B, L, 1)` to `(B, L, D)`; the kernel sees zeros at padding."""
        return self.norm(self.conv((states * mask).transpose(1, 2)).transpose(1, 2))


class LearnableVisualCentre(nn.Module):
    """LVC: every channel of the frames is weighted by how the frames lie around K learnt codewords.

    A stem (convolution over 7 frames, maximum over 3), a residual bottleneck (kernels 1, 3, 1), a convolution of
    kernel 1, then soft assignment of each frame `x_n` to codewords `c_k` and the sum of residuals over frames,

    `a_nk = softmax_k(s_k |x_n - c_k|^2)`, `e_k = sum_n a_nk (x_n - c_k)`,

    normalisation, ReLU and mean over the codewords, a linear layer and a sigmoid: the gate of `relu(x + x * gate)`.
    The squares are expanded, `|x|^2 - 2 x c + |c|^2`, and so is the sum, `A^T X - (sum_n a_n) c`: no tensor has the
    axes frame, codeword and channel.

    Source: WavFusion, equation 3, after Quan et al. (2023), Centralized Feature Pyramid, in one dimension; layer norms
    instead of batch norms, see `MaskedConvolution`.

    Args:
        width: Channels C.
        num_codewords: K.
    """

    def __init__(self, width: int, num_codewords: int):
        super().__init__()
        hidden = max(width // 4, 1)
        self.stem = MaskedConvolution(width, width, 7)
        self.reduce = MaskedConvolution(width, hidden, 1)
        self.mix = MaskedConvolution(hidden, hidden, 3)
        self.expand = MaskedConvolution(hidden, width, 1)
        self.shortcut = MaskedConvolution(width, width, 1)
        self.project = MaskedConvolution(width, width, 1)
        self.codewords = nn.Parameter(torch.empty(num_codewords, width))
        self.smoothing = nn.Parameter(torch.empty(num_codewords))
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws codewords within `1 / sqrt(K C)` of 0, and smoothing factors between -1 and 0."""
        bound = self.codewords.numel() ** -0.5
        nn.init.uniform_(self.codewords, -bound, bound)
        nn.init.uniform_(self.smoothing, -1.0, 0.0)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Weights the channels of a sequence of frames.

        Args:
            states: `e_v`. Shape `(B, F, C)`.
            mask: True for real frames. Shape `(B, F)`.

        Returns:
            `X_v2`, 0 at padding. Shape `(B, F, C)`.
        """
        real = mask.unsqueeze(-1).to(states.dtype)  # (B, F, 1)
        stem = (self.stem(states, real).relu() * real).transpose(1, 2)  # 0 at padding is below every real value
        # in two dimensions, since a graph of the one-dimensional form has one length only
        stem = functional.max_pool2d(stem.unsqueeze(2), (1, 3), stride=1, padding=(0, 1)).squeeze(2)
        stem = stem.transpose(1, 2)  # (B, F, C)
        mixed = self.mix(self.reduce(stem, real).relu(), real).relu()
        local = (self.expand(mixed, real) + self.shortcut(stem, real)).relu()  # (B, F, C)
        residuals = self.encode(self.project(local, real).relu(), mask)  # (B, K, C)
        centre = self.norm(residuals.to(states.dtype)).relu().mean(dim=1)  # (B, C)
        gate = self.gate(centre).sigmoid().unsqueeze(1)  # (B, 1, C)
        return (local + local * gate).relu() * real

    def encode(self, states: Tensor, mask: Tensor) -> Tensor:
        """Sum of the frames' residuals to each codeword, in float32. `(B, F, C)` and `(B, F)` to `(B, K, C)`."""
        with torch.autocast(states.device.type, enabled=False):  # the expanded square cancels
            states, codewords = states.float(), self.codewords.float()
            squares = states.square().sum(-1, keepdim=True) - 2 * states @ codewords.T + codewords.square().sum(-1)
            assignment = (self.smoothing.float() * squares.clamp(min=0)).softmax(dim=-1)  # (B, F, K)
            assignment = assignment * mask.unsqueeze(-1)
            return assignment.transpose(1, 2) @ states - assignment.sum(dim=1).unsqueeze(-1) * codewords


class GatedCrossModalAttention(nn.Module):
    """Audio frames attend to words and to video frames; a gate weighs the two, channel by channel.

    `F1 = CM(X_a, X_t)`, `F2 = CM(X_a, X_v)`, `P = sigmoid(FC(F1 (+) F2))`, `X_F = P * F1 + (1 - P) * F2`. An
    utterance without video has `X_F = F1`, one without text `F2`, one without both 0. A model that has only one of the
    two has no gate.

    Source: WavFusion, equations 8 to 11; equation 10 prints F1 twice, which would leave F2 out of the decision.

    Args:
        width: Of the audio frames.
        num_heads: Of each attention.
        dropout: On the attention weights.
        key_dims: Width of the states of `text`, `video` or both.
        fusion_gate: `"learned"`, or `"mean"`: `P = 1/2` wherever there are both, the model without its gate.
    """

    def __init__(
        self, width: int, num_heads: int, dropout: float, key_dims: dict[str, int], fusion_gate: str = "learned"
    ):
        super().__init__()
        for modality, dim in key_dims.items():
            setattr(self, modality, MultiHeadAttention(width, num_heads, dropout, key_dim=dim))
        self.gate = nn.Linear(2 * width, width) if len(key_dims) == 2 and fusion_gate == "learned" else None

    def forward(
        self,
        audio: Tensor,
        text: Tensor | None,
        text_mask: Tensor | None,
        video: Tensor | None,
        video_mask: Tensor | None,
        need_weights: bool,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Fuses; see `GatedCrossModalLayer.forward`. Gives `X_F (B, S, D)` and what it looked at."""
        fused: dict[str, Tensor] = {}
        seen: dict[str, Tensor] = {}
        for modality, states, mask in (("text", text, text_mask), ("video", video, video_mask)):
            if states is not None and mask is not None:
                attention = getattr(self, modality)
                fused[modality] = attention(audio, states, mask)  # (B, S, D)
                if need_weights:
                    seen[modality] = attention.weights(audio, states, mask)
        if text_mask is None or video_mask is None:
            return next(iter(fused.values())), seen
        has_text, has_video = (mask.any(dim=1)[:, None, None] for mask in (text_mask, video_mask))  # (B, 1, 1)
        if self.gate is not None:
            share = self.gate(torch.cat([fused["text"], fused["video"]], dim=-1)).sigmoid()  # P, (B, S, D)
        else:
            share = torch.full_like(fused["text"], 0.5)
        share = torch.where(has_text & has_video, share, has_text.to(share.dtype))
        if need_weights:
            seen["gate"] = share.mean(dim=-1)
        return share * fused["text"] + (1 - share) * fused["video"], seen


class GatedCrossModalLayer(GradientCheckpointingLayer):
    """Deep layer of the speech encoder: gated cross-modal attention in the place of self-attention.

    Dropout, layer norms and feed-forward are the modules of the layer that it replaces.

    Args:
        replaced: Layer of a wav2vec2, hubert, wavlm or data2vec-audio encoder.
        config: The encoder's configuration.
        key_dims: Width of the states of `text`, `video` or both.
        fusion_gate: `"learned"` or `"mean"`, see `GatedCrossModalAttention`.
    """

    def __init__(self, replaced: nn.Module, config: Any, key_dims: dict[str, int], fusion_gate: str = "learned"):
        super().__init__()
        self.attention = GatedCrossModalAttention(
            config.hidden_size, config.num_attention_heads, config.attention_dropout, key_dims, fusion_gate
        )
        self.norm_first = bool(getattr(config, "do_stable_layer_norm", False))
        for name in ("dropout", "layer_norm", "feed_forward", "final_layer_norm"):
            setattr(self, name, getattr(replaced, name))
        self.adapter_layer = getattr(replaced, "adapter_layer", None)  # of the massively multilingual wav2vec 2.0

    @property
    def kept(self) -> list[nn.Module]:
        """The modules of the layer that this one replaces."""
        modules = [self.dropout, self.layer_norm, self.feed_forward, self.final_layer_norm, self.adapter_layer]
        return [module for module in modules if module is not None]

    def forward(
        self,
        audio: Tensor,
        text: Tensor | None,
        text_mask: Tensor | None,
        video: Tensor | None,
        video_mask: Tensor | None,
        need_weights: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Runs the layer.

        Args:
            audio: Frames. Shape `(B, S, D)`.
            text: `X_t`, shape `(B, T, D_t)`, or None in a model without text.
            text_mask: True for real tokens. Shape `(B, T)`.
            video: `X_v`, shape `(B, F, D_v)`, or None in a model without video.
            video_mask: True for real frames. Shape `(B, F)`.
            need_weights: Whether to return what the layer looked at.

        Returns:
            audio: Shape `(B, S, D)`.
            seen: If asked for: `text` and `video`, attention weights `(B, S, T)` and `(B, S, F)`, means over the
                heads; `gate`, the mean of `P` over the width, `(B, S)`.
        """
        queries = self.layer_norm(audio) if self.norm_first else audio
        fused, seen = self.attention(queries, text, text_mask, video, video_mask, need_weights)
        audio = audio + self.dropout(fused)
        if self.norm_first:
            audio = audio + self.feed_forward(self.final_layer_norm(audio))
            if self.adapter_layer is not None:
                audio = audio + self.adapter_layer(audio)
        else:
            audio = self.layer_norm(audio)
            audio = self.final_layer_norm(audio + self.feed_forward(audio))
        return audio, seen

    @torch.no_grad()
    def load_replaced(self, layer: Any) -> None:
        """Copies everything but keys and values from a pretrained layer, whose queries and output both modalities get.

        Keys and values are projections of another modality and start anew.
        """
        for name in ("layer_norm", "feed_forward", "final_layer_norm", "adapter_layer"):
            mine: Any = getattr(self, name)
            if mine is not None:
                mine.load_state_dict(getattr(layer, name).state_dict())
        for modality in ("text", "video"):
            attention = getattr(self.attention, modality, None)
            if attention is not None:
                attention.query.load_state_dict(layer.attention.q_proj.state_dict())
                attention.output.load_state_dict(layer.attention.out_proj.state_dict())
