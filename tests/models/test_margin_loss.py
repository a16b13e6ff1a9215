import math

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from hf_mer.models.mer_losses import margin_loss


def by_triples(items, modalities, labels, present, margin):
    """The equation as it is printed, triple by triple."""
    total, count = items.new_zeros(()), 0
    indices = [i for i in range(len(items)) if present[i] and labels[i] != -100]
    for i in indices:
        for j in indices:
            for k in indices:
                if modalities[i] == modalities[j] or modalities[i] != modalities[k]:
                    continue
                if labels[i] != labels[j] or labels[i] == labels[k]:
                    continue
                near = functional.cosine_similarity(items[i], items[j], dim=0)
                far = functional.cosine_similarity(items[i], items[k], dim=0)
                total, count = total + (margin - near + far).clamp(min=0), count + 1
    return total / max(count, 1), count


def make_items(utterances=6, num_modalities=3, width=5, seed=0, classes=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    items = torch.randn(utterances * num_modalities, width, generator=generator).to(dtype)
    modalities = torch.arange(num_modalities).repeat(utterances)
    labels = torch.randint(0, classes, (utterances,), generator=generator).repeat_interleave(num_modalities)
    return items, modalities, labels, torch.ones(len(items), dtype=torch.bool)


class LargestResult(TorchDispatchMode):
    """Most bytes in one tensor that any operation inside returned, forward and backward."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.numel() * tensor.element_size())
        return result


class TestMarginLoss:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("margin", [0.0, 0.1, 0.5, 3.0])
    def test_value_and_gradient_are_the_triple_loops(self, seed, margin):
        items, modalities, labels, present = make_items(seed=seed)
        labels[3:6] = -100
        present[7] = present[12] = False
        items.requires_grad_()
        expected, count = by_triples(items, modalities, labels, present, margin)
        assert count > 20
        wanted = torch.autograd.grad(expected, items)[0]
        loss = margin_loss(items, modalities, labels, present, margin)
        given = torch.autograd.grad(loss, items)[0]
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-6)
        assert not given[[3, 4, 5, 7, 12]].any()

    def test_two_modalities_of_different_numbers_of_items(self):
        items, modalities, labels, present = make_items(utterances=7, num_modalities=2, seed=5)
        present[::4] = False
        expected, count = by_triples(items, modalities, labels, present, 0.2)
        assert count > 0
        torch.testing.assert_close(margin_loss(items, modalities, labels, present, 0.2), expected)

    def test_by_hand(self):
        angle = math.radians(60)
        items = torch.tensor([[2.0, 0.0], [0.0, 3.0], [math.cos(angle), math.sin(angle)]])
        modalities, labels = torch.tensor([0, 1, 0]), torch.tensor([4, 4, 2])
        everyone = torch.ones(3, dtype=torch.bool)
        # one triple has a positive and a negative: i=0, j=1, k=2; cosines 0 and 0.5
        assert float(margin_loss(items, modalities, labels, everyone, 0.1)) == pytest.approx(0.6)
        assert float(margin_loss(items, modalities, labels, everyone, -0.5)) == 0.0

    @pytest.mark.parametrize("case", ["one class", "one modality", "unlabelled", "absent", "empty"])
    def test_no_triple(self, case):
        items, modalities, labels, present = make_items()
        if case == "one class":
            labels[:] = 1
        elif case == "one modality":
            modalities[:] = 0
        elif case == "unlabelled":
            labels[:] = -100
        elif case == "absent":
            present[:] = False
        else:
            items, modalities, labels, present = items[:0], modalities[:0], labels[:0], present[:0]
        items.requires_grad_()
        loss = margin_loss(items, modalities, labels, present, 0.2)
        loss.backward()
        assert float(loss.detach()) == 0.0
        assert not items.grad.any()

    def test_what_does_not_count_gives_no_gradient_even_at_zero(self):
        items, modalities, labels, present = make_items()
        items[4] = 0.0  # what stands for a missing modality
        present[4] = False
        items.requires_grad_()
        margin_loss(items, modalities, labels, present, 0.2).backward()
        assert items.grad.isfinite().all()
        assert not items.grad[4].any()

    def test_half_precision_is_compared_in_full(self):
        items, modalities, labels, present = make_items(dtype=torch.bfloat16)
        expected = margin_loss(items.float(), modalities, labels, present, 0.2)
        loss = margin_loss(items, modalities, labels, present, 0.2)
        with torch.autocast("cpu", torch.bfloat16):
            autocast = margin_loss(items.float(), modalities, labels, present, 0.2)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, expected)
        assert torch.equal(autocast, expected)

    def test_a_batch_of_256_utterances_fits(self):
        """Six classes and three modalities have 4.2e7 triples; no tensor is larger than one number per pair."""
        items, modalities, labels, present = make_items(utterances=256, width=64, classes=6)
        items.requires_grad_()
        saved = []
        with (
            torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda x: x),
            LargestResult() as largest,
        ):
            margin_loss(items, modalities, labels, present, 0.2).backward()
        pairs = len(items) ** 2
        assert largest.bytes <= 8 * pairs
        assert sum(tensor.numel() * tensor.element_size() for tensor in saved) < 32 * pairs
        assert items.grad.abs().sum() > 0

    def test_more_triples_than_32_bits_hold(self):
        """Every positive has cosine 1, every negative 0, so that the mean is known."""
        size = 1700  # utterances, half of each class, in two modalities
        labels = torch.arange(size).repeat_interleave(2) % 2
        items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[labels]
        modalities, everyone = torch.arange(2 * size) % 2, torch.ones(2 * size, dtype=torch.bool)
        assert 2 * size * (size // 2) ** 2 > 2**31
        assert float(margin_loss(items, modalities, labels, everyone, 1.5)) == pytest.approx(0.5, rel=1e-6)
