import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModel

from hf_mer.models.wavfusion_layers import (
    AttentiveGru,
    GatedCrossModalAttention,
    GatedCrossModalLayer,
    LearnableVisualCentre,
)


def mask_of(lengths, width):
    return torch.arange(width) < torch.tensor(lengths)[:, None]


class Shapes(TorchDispatchMode):
    """Shapes of all that any operation inside returned."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.seen.add(tuple(tensor.shape))
        return result


class TestAttentiveGru:
    def test_is_self_attention_of_a_gru(self):
        layer = AttentiveGru(5, 8, num_heads=1).eval()
        states = torch.randn(1, 4, 5)
        hidden, outputs = torch.zeros(1, 8), []
        cell = nn.GRUCell(5, 8)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, name).data.copy_(getattr(layer.gru, f"{name}_l0"))
        for step in range(4):
            hidden = cell(states[:, step], hidden)
            outputs.append(hidden)
        recurrent, attention = torch.stack(outputs, dim=1), layer.attention
        scores = attention.query(recurrent) @ attention.key(recurrent).transpose(1, 2) / 8**0.5
        expected = attention.output(scores.softmax(dim=-1) @ attention.value(recurrent))
        torch.testing.assert_close(layer(states, mask_of([4], 4)), expected)

    @pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"num_layers": 2}, {"residual": True}])
    def test_padding_never_matters(self, settings):
        layer = AttentiveGru(5, 8, num_heads=2, **settings)
        states = torch.randn(3, 6, 5)
        states[1, 2:] = 1e3
        encoded = layer(states, mask_of([6, 2, 0], 6))
        assert encoded.shape == (3, 6, 8)
        torch.testing.assert_close(encoded[1:2, :2], layer(states[1:2, :2], mask_of([2], 2)))
        assert not encoded[1, 2:].any()
        assert not encoded[2].any()
        encoded.sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())

    def test_one_direction_reads_no_later_word_until_the_attention(self):
        layer = AttentiveGru(5, 8, num_heads=2)
        both = AttentiveGru(5, 8, num_heads=2, bidirectional=True)
        states = torch.randn(1, 4, 5)
        changed = states.clone()
        changed[:, 3] += 1
        mask = mask_of([4], 4)
        assert torch.equal(layer._read(states, mask)[:, :3], layer._read(changed, mask)[:, :3])
        assert not torch.equal(both._read(states, mask)[:, :3], both._read(changed, mask)[:, :3])

    def test_residual_is_normalised(self):
        layer = AttentiveGru(5, 8, num_heads=2, residual=True)
        encoded = layer(torch.randn(1, 4, 5), mask_of([4], 4))
        torch.testing.assert_close(encoded.mean(dim=-1), torch.zeros(1, 4), rtol=0, atol=1e-6)

    @pytest.mark.slow
    def test_a_graph_of_it_reads_both_ways_and_any_length(self):
        layer = AttentiveGru(5, 8, num_heads=2, num_layers=2, bidirectional=True).eval().requires_grad_(False)
        free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        example = torch.randn(2, 4, 5), mask_of([4, 2], 4)
        graph = torch.export.export(layer, example, dynamic_shapes=(free, free)).module()
        for lengths in ([7, 3, 1], [5]):
            states, mask = torch.randn(len(lengths), max(lengths), 5), mask_of(lengths, max(lengths))
            torch.testing.assert_close(graph(states, mask), layer(states, mask), rtol=1e-5, atol=1e-6)


class TestLearnableVisualCentre:
    def naive(self, layer, states):
        """The residuals as they are defined, with a tensor of frames, codewords and channels."""
        residuals = states.unsqueeze(2) - layer.codewords  # (B, N, K, C)
        assignment = (layer.smoothing * residuals.square().sum(-1)).softmax(dim=-1)  # (B, N, K)
        return (assignment.unsqueeze(-1) * residuals).sum(dim=1)

    def test_expanded_form_is_the_naive_one(self):
        layer = LearnableVisualCentre(6, 9)
        nn.init.normal_(layer.codewords)
        states = torch.randn(3, 7, 6, requires_grad=True)
        everything = torch.ones(3, 7, dtype=torch.bool)
        parameters = (states, layer.codewords, layer.smoothing)
        expected, given = self.naive(layer, states), layer.encode(states, everything)
        torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)
        weights = torch.randn_like(expected)
        wanted = torch.autograd.grad((expected * weights).sum(), parameters)
        gradients = torch.autograd.grad((given * weights).sum(), parameters)
        torch.testing.assert_close(gradients, wanted, rtol=1e-4, atol=1e-4)

    def test_no_tensor_has_frames_codewords_and_channels(self):
        layer = LearnableVisualCentre(12, 9)
        with Shapes() as shapes:
            layer(torch.randn(2, 7, 12), torch.ones(2, 7, dtype=torch.bool)).sum().backward()
        assert not [shape for shape in shapes.seen if {7, 9, 12} <= set(shape)]
        assert (2, 7, 9) in shapes.seen
        assert (2, 9, 12) in shapes.seen

    def test_far_from_zero_in_half_precision(self):
        """The expanded square cancels where states are far from the origin, unless it is computed in float32."""
        layer = LearnableVisualCentre(6, 9)
        nn.init.normal_(layer.codewords, mean=20.0)
        states, mask = 20 + torch.randn(2, 5, 6), torch.ones(2, 5, dtype=torch.bool)
        with torch.autocast("cpu", torch.bfloat16):
            given = layer.encode(states, mask)
        torch.testing.assert_close(given, self.naive(layer, states), rtol=1e-2, atol=1e-2)

    def test_padding_never_matters(self):
        layer = LearnableVisualCentre(8, 4).train()
        states = torch.randn(3, 6, 8)
        states[1, 2:] = 1e3
        encoded = layer(states, mask_of([6, 2, 0], 6))
        torch.testing.assert_close(encoded[1:2, :2], layer(states[1:2, :2], mask_of([2], 2)))
        torch.testing.assert_close(encoded[:1], layer(states[:1], mask_of([6], 6)))
        assert not encoded[1, 2:].any()
        assert not encoded[2].any()

    @torch.no_grad()
    def test_starts_as_in_its_source(self):
        layer = LearnableVisualCentre(64, 64)
        assert layer.codewords.abs().max() <= 1 / 64
        assert layer.codewords.abs().max() > 0.9 / 64
        assert -1 <= float(layer.smoothing.min()) < float(layer.smoothing.max()) <= 0

    def test_gate_scales_channels(self):
        layer = LearnableVisualCentre(8, 4).eval()
        states, mask = torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
        nn.init.zeros_(layer.gate.weight)
        nn.init.constant_(layer.gate.bias, -1e4)
        closed = layer(states, mask)
        nn.init.constant_(layer.gate.bias, 1e4)
        torch.testing.assert_close(layer(states, mask), 2 * closed)
        assert closed.any()


class TestGatedCrossModalAttention:
    def inputs(self):
        text_mask, video_mask = mask_of([3, 0, 2, 0], 3), mask_of([4, 2, 0, 0], 4)
        return torch.randn(4, 5, 8), torch.randn(4, 3, 6), text_mask, torch.randn(4, 4, 10), video_mask

    def test_equations(self):
        layer = GatedCrossModalAttention(8, 2, 0.0, {"text": 6, "video": 10})
        audio, text, text_mask, video, video_mask = inputs = self.inputs()
        fused, seen = layer(*inputs, True)
        of_text, of_video = layer.text(audio, text, text_mask), layer.video(audio, video, video_mask)
        share = torch.sigmoid(layer.gate(torch.cat([of_text, of_video], dim=-1)))
        torch.testing.assert_close(fused[0], (share * of_text + (1 - share) * of_video)[0])
        torch.testing.assert_close(seen["gate"][0], share[0].mean(-1))
        torch.testing.assert_close(layer(*inputs, False)[0], fused)

    def test_missing_modalities(self):
        layer = GatedCrossModalAttention(8, 2, 0.0, {"text": 6, "video": 10})
        audio, text, text_mask, video, video_mask = inputs = self.inputs()
        fused, seen = layer(*inputs, True)
        torch.testing.assert_close(fused[1], layer.video(audio, video, video_mask)[1])
        torch.testing.assert_close(fused[2], layer.text(audio, text, text_mask)[2])
        assert not fused[3].any()
        assert not seen["gate"][[1, 3]].any()
        assert (seen["gate"][2] == 1).all()
        fused.sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())

    def test_plain_average_in_the_place_of_the_gate(self):
        layer = GatedCrossModalAttention(8, 2, 0.0, {"text": 6, "video": 10}, "mean")
        audio, text, text_mask, video, video_mask = inputs = self.inputs()
        fused, seen = layer(*inputs, True)
        of_text, of_video = layer.text(audio, text, text_mask), layer.video(audio, video, video_mask)
        assert layer.gate is None
        torch.testing.assert_close(fused[0], ((of_text + of_video) / 2)[0])
        torch.testing.assert_close(fused[1], of_video[1])
        torch.testing.assert_close(fused[2], of_text[2])
        assert not fused[3].any()
        assert seen["gate"].tolist() == [[share] * 5 for share in (0.5, 0.0, 1.0, 0.0)]

    def test_one_other_modality_has_no_gate(self):
        layer = GatedCrossModalAttention(8, 2, 0.0, {"video": 10})
        audio, _, _, video, video_mask = self.inputs()
        fused, seen = layer(audio, None, None, video, video_mask, True)
        assert layer.gate is None
        assert set(seen) == {"video"}
        torch.testing.assert_close(fused, layer.video(audio, video, video_mask))


class TestGatedCrossModalLayer:
    @pytest.mark.parametrize("model_type", ["wav2vec2", "hubert", "wavlm", "data2vec-audio"])
    @pytest.mark.parametrize("stable", [False, True])
    def test_is_the_replaced_layer_but_for_keys_and_values(self, speech_config, model_type, stable):
        """With the replaced layer's keys and values too, and audio as the other modality, it is that layer."""
        if model_type == "data2vec-audio" and stable:
            pytest.skip("has one kind of layer")
        config = speech_config(model_type, do_stable_layer_norm=stable)
        encoder = AutoModel.from_config(config).eval()
        replaced = encoder.encoder.layers[1]
        layer = GatedCrossModalLayer(AutoModel.from_config(config).encoder.layers[1], config, {"text": 16})
        layer.load_replaced(replaced)
        attention = layer.eval().attention.text
        for mine, theirs in ((attention.key, replaced.attention.k_proj), (attention.value, replaced.attention.v_proj)):
            assert not torch.equal(mine.weight, theirs.weight)
            mine.load_state_dict(theirs.state_dict())
        states, mask = torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool)
        keys = layer.layer_norm(states) if stable else states
        given = layer(states, keys, mask, None, None)[0]
        bias = (torch.zeros(4, 5, 5),) if model_type == "wavlm" else ()  # without WavLM's relative positions
        expected = replaced(states, None, *bias)
        torch.testing.assert_close(given, expected[0] if bias else expected)

    def test_both_modalities_start_from_the_replaced_layer(self, speech_config):
        config = speech_config()
        encoder = AutoModel.from_config(config)
        layer = GatedCrossModalLayer(AutoModel.from_config(config).encoder.layers[0], config, {"text": 4, "video": 6})
        layer.load_replaced(encoder.encoder.layers[0])
        for attention in (layer.attention.text, layer.attention.video):
            assert torch.equal(attention.query.weight, encoder.encoder.layers[0].attention.q_proj.weight)
            assert torch.equal(attention.output.bias, encoder.encoder.layers[0].attention.out_proj.bias)
        assert layer.attention.text.key.in_features == 4
        assert layer.attention.video.value.in_features == 6

    def test_nothing_to_fuse_is_the_residual_path(self, speech_config):
        config = speech_config()
        replaced = AutoModel.from_config(config).encoder.layers[0]
        layer = GatedCrossModalLayer(replaced, config, {"text": 4, "video": 6}).eval()
        audio, nothing = torch.randn(2, 5, 16), torch.zeros(2, 3, dtype=torch.bool)
        given = layer(audio, torch.randn(2, 3, 4), nothing, torch.randn(2, 3, 6), nothing)[0]
        residual = layer.layer_norm(audio)
        expected = functional.layer_norm(residual + layer.feed_forward(residual), (16,))
        torch.testing.assert_close(given, expected)

    def test_adapter_of_the_replaced_layer(self, speech_config):
        config = speech_config(do_stable_layer_norm=True, adapter_attn_dim=4)
        encoder = AutoModel.from_config(config).eval()
        layer = GatedCrossModalLayer(AutoModel.from_config(config).encoder.layers[0], config, {"text": 4}).eval()
        layer.load_replaced(encoder.encoder.layers[0])
        audio, mask = torch.randn(1, 5, 16), torch.zeros(1, 3, dtype=torch.bool)
        states = audio + layer.feed_forward(layer.final_layer_norm(audio))
        expected = states + encoder.encoder.layers[0].adapter_layer(states)
        torch.testing.assert_close(layer(audio, torch.randn(1, 3, 4), mask, None, None)[0], expected)
