import pytest
import torch
from torch import nn
from torch.nn import functional

from hf_mer.models.mer_layers import (
    BilinearCrossAttention,
    FrameMask,
    MaskedBatchNorm1d,
    MaskedGroupNorm,
    MultiHeadAttention,
    attend,
    label_attention,
    masked_max,
    masked_mean,
)

STATES = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [100.0, 100.0]], [[7.0, 7.0], [7.0, 7.0], [7.0, 7.0]]])
MASK = torch.tensor([[True, True, False], [False, False, False]])


class TestPooling:
    def test_mean(self):
        assert masked_mean(STATES, MASK).tolist() == [[2.0, -3.0], [0.0, 0.0]]

    def test_max(self):
        # a maximum below zero stays below zero: padding is not taken for 0
        assert masked_max(STATES, MASK).tolist() == [[3.0, -2.0], [0.0, 0.0]]

    @pytest.mark.parametrize("pool", [masked_mean, masked_max])
    def test_padding_gets_no_gradient(self, pool):
        states = STATES.clone().requires_grad_()
        pool(states, MASK).sum().backward()
        assert states.grad.isfinite().all()
        assert not states.grad[~MASK].any()
        assert states.grad[MASK].any()

    def test_max_in_half_precision(self):
        assert masked_max(STATES.half(), MASK).tolist() == [[3.0, -2.0], [0.0, 0.0]]


class TestLabelAttention:
    def test_by_hand(self):
        hidden = torch.tensor([[[3.0, 4.0], [0.0, 2.0], [9.0, 9.0]]])
        labels = torch.tensor([[10.0, 0.0], [0.0, -1.0]])
        similarity, scores = label_attention(hidden, labels, torch.tensor([[True, True, False]]))
        torch.testing.assert_close(similarity, torch.tensor([[[0.6, -0.8], [0.0, -1.0], [0.0, 0.0]]]))
        torch.testing.assert_close(scores, torch.tensor([[0.3, -0.9]]))

    def test_a_zero_state_has_no_direction_and_finite_gradients(self):
        hidden = torch.zeros(1, 2, 3, requires_grad=True)
        similarity, scores = label_attention(hidden, torch.ones(2, 3), torch.ones(1, 2, dtype=torch.bool))
        scores.sum().backward()
        assert not similarity.any()
        assert hidden.grad.isfinite().all()


class TestCrossAttention:
    def test_weights_and_fast_path_agree(self):
        layer = BilinearCrossAttention(4, 6)
        queries, keys = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
        mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
        slow, weights = layer(queries, keys, mask, need_weights=True)
        fast, none = layer(queries, keys, mask, need_weights=False)
        assert none is None
        torch.testing.assert_close(fast, slow)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3))
        assert not weights[1, :, 2:].any()

    def test_logits_of_normalised_states_start_with_unit_variance(self):
        layer = BilinearCrossAttention(64, 96)
        queries, keys = torch.randn(200, 64), torch.randn(200, 96)
        with torch.no_grad():
            logits = functional.linear(queries, layer.weight) @ keys.T
        assert logits.std() == pytest.approx(1.0, abs=0.15)

    def test_attend_is_unscaled(self):
        queries, keys, values = torch.randn(1, 2, 9), torch.randn(1, 3, 9), torch.randn(1, 3, 5)
        mask = torch.tensor([[True, True, False]])
        expected = (queries @ keys[:, :2].transpose(1, 2)).softmax(-1) @ values[:, :2]
        torch.testing.assert_close(attend(queries, keys, values, mask), expected)


class TestMaskedNorms:
    def test_lengths_after_convolutions_are_theirs(self):
        frame_mask = FrameMask()
        frame_mask.samples = torch.tensor([50, 33, 20])
        convs = [nn.Conv1d(1, 1, 10, stride=5), nn.Conv1d(1, 1, 3, stride=2)]
        expected = [convs[1](convs[0](torch.zeros(1, 1, n))).shape[-1] for n in (50, 33, 20)]
        assert frame_mask.lengths_after(convs).tolist() == expected

    def test_group_norm_per_row_as_the_librarys_without_padding(self):
        plain, frame_mask = nn.GroupNorm(4, 4), FrameMask()
        nn.init.normal_(plain.weight)
        nn.init.normal_(plain.bias)
        conv = nn.Conv1d(1, 4, 1)
        masked = MaskedGroupNorm(plain, frame_mask, [conv])
        states = torch.randn(2, 4, 9) + 0.5
        torch.testing.assert_close(masked(states), plain(states))
        frame_mask.samples = torch.tensor([9, 5])
        given = masked(states)
        torch.testing.assert_close(given[0], plain(states[:1])[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(given[1, :, :5], plain(states[1:, :, :5])[0], rtol=1e-4, atol=1e-5)
        assert set(masked.state_dict()) == set(plain.state_dict())
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(masked(states), given)

    def test_group_norm_gradients_are_the_formulas(self):
        """Its backward is written by hand; autograd on the plain formula is the reference, padding included."""
        frame_mask = FrameMask()
        frame_mask.samples = torch.tensor([9, 5])
        masked = MaskedGroupNorm(nn.GroupNorm(4, 4), frame_mask, [nn.Conv1d(1, 4, 1)])
        nn.init.normal_(masked.weight)
        states = (torch.randn(2, 4, 9) + 0.5).requires_grad_()
        real = (torch.arange(9) < frame_mask.samples[:, None])[:, None].float()  # (B, 1, L)
        count = frame_mask.samples[:, None, None]
        mean = (states * real).sum(-1, keepdim=True) / count
        variance = ((states - mean).square() * real).sum(-1, keepdim=True) / count
        scale = masked.weight[:, None] / (variance + masked.eps).sqrt()
        expected = (states - mean) * scale + masked.bias[:, None]
        inputs, upstream = (states, masked.weight, masked.bias), torch.randn(2, 4, 9)
        torch.testing.assert_close(
            torch.autograd.grad(masked(states), inputs, upstream), torch.autograd.grad(expected, inputs, upstream)
        )

    def test_batch_norm_in_training_as_the_librarys_on_real_frames(self):
        plain, other, frame_mask = nn.BatchNorm1d(3), nn.BatchNorm1d(3), FrameMask()
        masked = MaskedBatchNorm1d(other, frame_mask).train()
        states = torch.randn(2, 3, 6) * 2 + 1
        frame_mask.frames = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
        real = torch.cat([states[0].T, states[1].T[:4]])  # (10, 3)
        given, expected = masked(states), plain.train()(real)
        torch.testing.assert_close(torch.cat([given[0].T, given[1].T[:4]]), expected)
        torch.testing.assert_close(masked.running_var, plain.running_var)
        torch.testing.assert_close(masked.eval()(states), plain.eval()(states))
        assert set(masked.state_dict()) == set(plain.state_dict())


class TestMultiHeadAttention:
    def test_against_the_librarys(self):
        ours = MultiHeadAttention(8, 2, key_dim=6).eval()
        theirs = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True).eval()
        with torch.no_grad():
            projections = (ours.query, ours.key, ours.value)
            for name, projection in zip("qkv", projections, strict=True):
                getattr(theirs, f"{name}_proj_weight").copy_(projection.weight)
            theirs.in_proj_bias.copy_(torch.cat([projection.bias for projection in projections]))
            theirs.out_proj.load_state_dict(ours.output.state_dict())
        queries, keys = torch.randn(3, 5, 8), torch.randn(3, 4, 6)
        mask = torch.arange(4) < torch.tensor([4, 2, 3])[:, None]
        expected, weights = theirs(queries, keys, keys, key_padding_mask=~mask)
        torch.testing.assert_close(ours(queries, keys, mask), expected)
        torch.testing.assert_close(ours.weights(queries, keys, mask), weights)

    def test_without_a_key_the_output_is_zero_and_the_gradient_finite(self):
        attention = MultiHeadAttention(8, 2)
        queries, keys = torch.randn(2, 5, 8, requires_grad=True), torch.randn(2, 4, 8, requires_grad=True)
        mask = torch.arange(4) < torch.tensor([0, 3])[:, None]
        attended = attention(queries, keys, mask)
        attended.square().sum().backward()
        assert not attended[0].any()
        assert attended[1].all()
        assert not attention.weights(queries, keys, mask)[0].any()
        for tensor in (queries, keys, *attention.parameters()):
            assert tensor.grad.isfinite().all()
        assert not queries.grad[0].any()
        assert not keys.grad[1, 3].any()
