import pytest
import torch
from torch import nn
from torch.nn import functional

from hf_mer.models.mer_layers import (
    BilinearCrossAttention,
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
