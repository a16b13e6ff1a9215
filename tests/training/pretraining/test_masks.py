"""Masks and negatives of the second stage: spans of real frames, the same whatever the batch."""

import numpy as np
import pytest
import torch

from hf_mer.training.pretraining.masks import MaskSampler, others

LENGTHS = [40, 7, 25, 3, 2, 1]


def sampler(**settings):
    return MaskSampler(**{"probability": 0.5, "length": 4, "min_masks": 1, "num_negatives": 5, "seed": 3, **settings})


def spans(mask):
    """Lengths of the runs of masked frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.int().numpy(), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


def test_spans_lie_on_real_frames():
    for draw in range(50):
        masks = sampler()(list(range(6)), LENGTHS, 42, draw)["mask_time_indices"]
        assert masks.shape == (6, 42)
        for mask, length in zip(masks, LENGTHS, strict=True):
            assert not mask[length:].any()
            assert all(span >= min(4, length // 2) for span in spans(mask))
        assert masks.any(dim=1).tolist() == [True] * 5 + [False]  # of one frame nothing could tell


@pytest.mark.parametrize(("probability", "length"), [(0.3, 1), (0.65, 10), (0.5, 4)])
def test_share_of_masked_frames(probability, length):
    """Spans that are thrown at random leave `(1 - length / S)^(number of spans)` of the frames in the middle."""
    many = sampler(probability=probability, length=length, num_negatives=0)
    masks = torch.cat([many([0], [200], 200, draw)["mask_time_indices"] for draw in range(300)])
    share = masks[:, 50:150].float().mean().item()
    # different starts: a frame is left where none of the `length` starts that would cover it is chosen
    starts, number = 201 - length, 200 * probability / length
    kept = np.prod([(starts - length - i) / (starts - i) for i in range(int(number))])
    assert share == pytest.approx(1 - kept, abs=0.02)


def test_a_draw_belongs_to_seed_step_and_row_alone():
    together = sampler()([5, 9], [30, 20], 30, draw=4)
    alone = sampler()([9], [20], 25, draw=4)
    assert torch.equal(together["mask_time_indices"][1, :20], alone["mask_time_indices"][0, :20])
    count = int(alone["mask_time_indices"].sum())
    assert torch.equal(together["negatives"][1, :count], alone["negatives"][0, :count])
    for other in (sampler()([9], [20], 20, draw=5), sampler(seed=4)([9], [20], 20, draw=4)):
        assert not torch.equal(alone["negatives"], other["negatives"])


def test_negatives_are_other_masked_frames():
    batch = sampler(num_negatives=50)(list(range(6)), LENGTHS, 40, draw=1)
    for mask, negatives in zip(batch["mask_time_indices"], batch["negatives"], strict=True):
        count = int(mask.sum())
        assert count != 1
        if count:
            assert negatives[:count].max() == count - 1  # 50 draws of every frame: all of them come up
            assert not (negatives[:count] == torch.arange(count)[:, None]).any()
        assert not negatives[count:].any()


def test_others_are_equally_likely():
    drawn = others(4, 30_000, np.random.default_rng(0))
    for index in range(4):
        shares = np.bincount(drawn[index], minlength=4) / 30_000
        expected = [0 if other == index else 1 / 3 for other in range(4)]
        np.testing.assert_allclose(shares, expected, atol=0.02)


def test_least_number_of_spans():
    rare = sampler(probability=1e-6, min_masks=3, length=2, num_negatives=0)
    assert sum(spans(rare([0], [100], 100, 0)["mask_time_indices"][0])) >= 4  # two of the three may touch
    single = sampler(probability=1e-6, length=1)  # a frame alone would have nothing to be compared with
    assert single([0], [9], 9, 0)["mask_time_indices"].sum() == 2
