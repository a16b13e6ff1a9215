import math

import pytest
import torch

from hf_mer.models.mer_losses import (
    attention_constraint_loss,
    joint_means,
    masked_cross_entropy,
    symmetric_contrastive_loss,
    wasserstein_distances,
    weighted_total,
)
from hf_mer.models.mer_targets import check_targets, likeliest_classes


class TestAttentionConstraint:
    def test_by_hand(self):
        guided = torch.tensor([[[1.0, 0.0], [0.5, 9.0]], [[2.0, 9.0], [9.0, 9.0]]])
        attention = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]])
        mask = torch.tensor([[[1, 1], [1, 0]], [[1, 0], [0, 0]]]).bool()
        # first: (1 + 0 + 0.25) / 3 pairs; second: 1 / 1 pair; mean of the two
        assert float(attention_constraint_loss(guided, attention, mask).mean()) == pytest.approx((1.25 / 3 + 1) / 2)

    def test_an_utterance_without_pairs_does_not_count(self):
        guided, attention = torch.full((2, 1, 2), 3.0), torch.ones(2, 1, 2)
        mask = torch.tensor([[[1, 1]], [[0, 0]]]).bool()
        assert float(attention_constraint_loss(guided, attention, mask).mean()) == pytest.approx(4.0)
        assert float(attention_constraint_loss(guided, attention, torch.zeros_like(mask)).mean()) == 0.0

    def test_padding_gives_no_gradient_even_where_it_is_infinite(self):
        guided = torch.tensor([[[1.0, float("inf")]]], requires_grad=True)
        loss = attention_constraint_loss(guided, torch.zeros(1, 1, 2), torch.tensor([[[True, False]]])).mean()
        loss.backward()
        assert guided.grad[0, 0, 0] == 2.0
        assert float(loss.detach()) == 1.0


class TestMaskedCrossEntropy:
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, -5.0], [math.log(4.0), 0.0]])

    def test_by_hand(self):
        labels, everyone = torch.tensor([1, 0, 1]), torch.tensor([True, False, True])
        # -log(3/4) and -log(1/5); the second row does not count
        expected = (math.log(4 / 3) + math.log(5)) / 2
        assert float(masked_cross_entropy(self.logits, labels, everyone).mean()) == pytest.approx(expected)

    def test_unlabelled_rows_do_not_count(self):
        labels = torch.tensor([1, -100, -100])
        loss = masked_cross_entropy(self.logits, labels, torch.ones(3, dtype=torch.bool)).mean()
        assert float(loss) == pytest.approx(math.log(4 / 3))

    def test_nothing_counts(self):
        logits = self.logits.clone().requires_grad_()
        loss = masked_cross_entropy(logits, torch.tensor([1, 0, 1]), torch.zeros(3, dtype=torch.bool)).mean()
        loss.backward()
        assert float(loss) == 0.0
        assert not logits.grad.any()

    def test_half_precision_is_summed_in_full(self):
        loss = masked_cross_entropy(
            self.logits.bfloat16(), torch.tensor([1, 0, 1]), torch.ones(3, dtype=torch.bool)
        ).mean()
        assert loss.dtype == torch.float32

    def test_weights_smoothing_and_shares_together_by_hand(self):
        """Two classes that weigh 2 and 0.5; -log p is log 4 and log 4/3 in the first row, log 5/4 and log 5 last."""
        shares = torch.tensor([[0.25, 0.75], [-100.0, -100.0], [0.6, 0.4]])
        found = masked_cross_entropy(self.logits, shares, label_smoothing=0.2, class_weights=[2.0, 0.5])
        first = 2 * (0.8 * 0.25 + 0.1) * math.log(4) + 0.5 * (0.8 * 0.75 + 0.1) * math.log(4 / 3)
        last = 2 * (0.8 * 0.6 + 0.1) * math.log(5 / 4) + 0.5 * (0.8 * 0.4 + 0.1) * math.log(5)
        number = (2 * 0.25 + 0.5 * 0.75) + (2 * 0.6 + 0.5 * 0.4)
        assert float(found.total) == pytest.approx(first + last)
        assert float(found.number) == pytest.approx(number)
        assert float(found.mean()) == pytest.approx((first + last) / number)

    @pytest.mark.parametrize("smoothing", [0.0, 0.3])
    def test_weights_of_classes_as_torch_has_them(self, smoothing):
        labels, weights = torch.tensor([1, -100, 0]), [0.2, 0.3]  # together less than one row
        expected = torch.nn.functional.cross_entropy(
            self.logits, labels, torch.tensor(weights), label_smoothing=smoothing
        )
        hard = masked_cross_entropy(self.logits, labels, label_smoothing=smoothing, class_weights=weights)
        rows = torch.eye(2)[labels.clamp(min=0)].masked_fill((labels < 0)[:, None], -100)
        soft = masked_cross_entropy(self.logits, rows, label_smoothing=smoothing, class_weights=weights)
        torch.testing.assert_close(hard.mean(), expected)
        torch.testing.assert_close(soft.mean(), expected)
        assert float(hard.number) == pytest.approx(0.5)

    def test_equal_weights_are_none(self):
        labels = torch.tensor([1, 0, 1])
        weighted = masked_cross_entropy(self.logits, labels, class_weights=[3.0, 3.0]).mean()
        torch.testing.assert_close(weighted, masked_cross_entropy(self.logits, labels).mean())

    def test_unequal_processes_share_the_sum_of_the_weights(self, monkeypatch):
        """The mean over the processes is the loss of the joined batch."""
        labels, weights = torch.tensor([1, 0, 1]), [0.5, 2.0]
        parts = [{"c": masked_cross_entropy(self.logits[p], labels[p], class_weights=weights)}
                 for p in (slice(0, 1), slice(1, 3))]  # fmt: skip
        mean = sum(part["c"].number for part in parts) / 2
        monkeypatch.setattr("hf_mer.models.mer_losses.mean_across_ranks", lambda counts: mean.expand_as(counts))
        found = sum(joint_means(part, ["c"], across_ranks=True)["c"] for part in parts) / 2
        joined = masked_cross_entropy(self.logits, labels, class_weights=weights).mean()
        torch.testing.assert_close(found, joined)


class TestWeightedTotal:
    def test_by_hand(self):
        losses = {"classification": torch.tensor(2.0), "constraint": torch.tensor(3.0)}
        assert float(weighted_total(losses, {"classification": 1.0, "constraint": 0.5, "unused": 9.0})) == 3.5

    def test_a_loss_without_weight(self):
        with pytest.raises(KeyError, match="constraint"):
            weighted_total({"constraint": torch.tensor(1.0)}, {"classification": 1.0})


class TestWassersteinDistances:
    def test_against_the_formula_pair_by_pair(self):
        generator = torch.Generator().manual_seed(0)
        means, others = torch.randn(3, 5, generator=generator), torch.randn(4, 5, generator=generator)
        spread, other_spread = torch.rand(3, 5, generator=generator), torch.rand(4, 5, generator=generator)
        found = wasserstein_distances(means, spread, others, other_spread, "sum")
        for i in range(3):
            for j in range(4):
                expected = (means[i] - others[j]).square().sum() + (spread[i] - other_spread[j]).square().sum()
                assert found[i, j].item() == pytest.approx(expected.item(), rel=1e-5)
        torch.testing.assert_close(wasserstein_distances(means, spread, others, other_spread), found / 5)

    def test_equal_gaussians_far_from_the_origin(self):
        means = torch.full((2, 64), 1000.0) + torch.arange(2)[:, None]
        distances = wasserstein_distances(means, torch.ones(2, 64), means, torch.ones(2, 64))
        torch.testing.assert_close(distances, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), rtol=0, atol=1e-3)


class TestSymmetricContrastiveLoss:
    def test_by_hand(self):
        similarity = torch.tensor([[1.0, 0.0], [0.5, 2.0]])
        rows = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-3))  # tau 0.5 doubles the differences
        columns = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-4))
        assert symmetric_contrastive_loss(similarity, 0.5).item() == pytest.approx((rows + columns) / 4)

    @pytest.mark.parametrize("pairs", [0, 1])
    def test_fewer_than_two_pairs(self, pairs):
        similarity = torch.randn(pairs, pairs, requires_grad=True)
        loss = symmetric_contrastive_loss(similarity, 0.07)
        loss.backward()
        assert loss == 0
        assert similarity.grad.abs().sum() == 0


class TestTargets:
    def test_smoothed_cross_entropy_by_hand(self):
        logits = torch.tensor([[0.0, math.log(3.0)]])
        loss = masked_cross_entropy(logits, torch.tensor([1]), label_smoothing=0.2).mean()
        assert float(loss) == pytest.approx(0.9 * math.log(4 / 3) + 0.1 * math.log(4))

    def test_rows_without_a_label_are_not_smoothed_either(self):
        logits = torch.tensor([[0.0, math.log(3.0)], [9.0, 0.0]], requires_grad=True)
        loss = masked_cross_entropy(logits, torch.tensor([[0.0, 1.0], [-100.0, -100.0]]), label_smoothing=0.2).mean()
        loss.backward()
        assert loss.item() == pytest.approx(0.9 * math.log(4 / 3) + 0.1 * math.log(4))
        assert not logits.grad[1].any()

    def test_largest_shares(self):
        shares = torch.tensor([[0.2, 0.8], [0.5, 0.5], [-100, -100]])
        assert likeliest_classes(shares).tolist() == [1, 0, -100]

    def test_as_many_utterances_as_classes(self):
        """`(B,)` and `(B, C)` are told apart by their dimensions, and only by them."""
        assert check_targets(torch.tensor([0, 1], dtype=torch.int32), 2, 2).tolist() == [0, 1]
        assert check_targets(torch.tensor([[0, 1], [1, 0]]), 2, 2).dtype == torch.float32

    def test_no_value_is_read_while_a_graph_is_made(self):
        compiled = torch.compile(lambda labels: check_targets(labels, 2, 2) + 0, fullgraph=True, backend="eager")
        assert compiled(torch.tensor([0, 7])).tolist() == [0, 7]
