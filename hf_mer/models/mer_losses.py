"""Losses of the package's models, masked so that padding never counts."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .mer_distributed import mean_across_ranks
from .mer_targets import NO_LABEL, labelled


class LossSum(NamedTuple):
    """A loss that is a mean over utterances, before it is divided.

    Attributes:
        total: Sum over the utterances that count; 0 where there are none. Scalar.
        number: How many do, or the sum of their weights. Scalar, without gradient.
    """

    total: Tensor
    number: Tensor

    def mean(self) -> Tensor:
        """Over the utterances of this process; 0 when nothing counts."""
        return self.total / self.number.where(self.number > 0, 1)


def joint_means(sums: dict[str, LossSum], names: Iterable[str], across_ranks: bool) -> dict[str, Tensor]:
    """The mean of every loss, over the utterances of all processes where so asked.

    Averaged over the processes, values and gradients are then those of one process with the joined batch, however
    unequal the shares are.

    Args:
        sums: By name; a process whose batch lacks a modality may have fewer.
        names: Of all losses that any process may have, in one order.
        across_ranks: Whether all processes are here, each once.
    """
    if not across_ranks:
        return {name: part.mean() for name, part in sums.items()}
    names = list(names)
    zero = next(iter(sums.values())).number.new_zeros(())
    counts = mean_across_ranks(torch.stack([sums[name].number if name in sums else zero for name in names]))
    divisors = dict(zip(names, counts.where(counts > 0, 1), strict=True))
    return {name: part.total / divisors[name] for name, part in sums.items()}


def attention_constraint_loss(guided: Tensor, attention: Tensor, pair_mask: Tensor) -> LossSum:
    """Mean squared distance of the cross-attention from its label guide, over real (token, frame) pairs.

    `L_c = mean (A_l - A_r)^2`: the mean over an utterance's pairs, then over the utterances that have any.

    Source: LE-MER, equation 10 (printed as a squared norm; the mean keeps its weight independent of length).

    Args:
        guided: `A_l`. Shape `(B, T, S)`.
        attention: `A_r`. Shape `(B, T, S)`.
        pair_mask: True where token and frame are real. Shape `(B, T, S)`.

    Returns:
        Over the utterances that have both modalities.
    """
    squared = (guided - attention).float().square().masked_fill(~pair_mask, 0.0)
    pairs = pair_mask.sum(dim=(1, 2))  # (B,)
    per_utterance = squared.sum(dim=(1, 2)) / pairs.clamp(min=1)  # (B,)
    return LossSum(per_utterance.sum(), (pairs > 0).sum())


def masked_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    present: Tensor | None = None,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> LossSum:
    """Cross-entropy over the utterances that have a label, and the modality in question.

    With targets `q`, which are 1 for the class and 0 for others where a class index is given, smoothing `s` and
    weights `w` of `C` classes,

    `L_i = -sum_c w_c ((1 - s) q_ic + s / C) log p_ic`, and `L = sum_i L_i / sum_i sum_c w_c q_ic`:

    of class indices what torch gives, and the same of their ones and zeros. (Torch divides a loss of shares by the
    number of rows, with weights, too.)

    Args:
        logits: Shape `(B, C)`.
        targets: Of `check_targets`: class indices `(B,)` or shares of the classes `(B, C)`; -100 is left out.
        present: True where the utterance counts; None for all. Shape `(B,)`.
        label_smoothing: Share of every target that is spread evenly over all classes.
        class_weights: `w`, one for every class; None for a plain mean.

    Returns:
        Over the utterances that count.
    """
    counted = labelled(targets) if present is None else labelled(targets) & present
    weights = None if class_weights is None else logits.new_tensor(class_weights, dtype=torch.float32)  # (C,)
    if targets.dim() == 1:
        targets = targets.masked_fill(~counted, NO_LABEL)
    else:
        targets = targets.masked_fill(~counted[:, None], 0.0)
    each = torch.nn.functional.cross_entropy(
        logits.float(), targets, weights, ignore_index=NO_LABEL, reduction="none", label_smoothing=label_smoothing
    )  # (B,)
    # shares of 0 throughout are smoothed, too
    total = each.masked_fill(~counted, 0.0).sum()
    if weights is None:
        return LossSum(total, counted.sum())
    own = weights[targets.clamp(min=0)] if targets.dim() == 1 else targets @ weights  # (B,)
    return LossSum(total, own.masked_fill(~counted, 0.0).sum())


def weighted_total(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Sum of the losses, each times its weight.

    Source: LE-MER, equation 12.

    Raises:
        KeyError: If a loss has no weight.
    """
    return torch.stack([weights[name] * value for name, value in losses.items()]).sum()


def margin_loss(items: Tensor, modalities: Tensor, labels: Tensor, present: Tensor, margin: float) -> Tensor:
    """Pulls an emotion's items of different modalities together, pushes a modality's items of other emotions away.

    `L_mar = mean max(0, margin - cos(x_i, x_j) + cos(x_i, x_k))` over all triples with `m[i] != m[j]`, `m[i] = m[k]`,
    `c[i] = c[j]`, `c[i] != c[k]`. No triple is formed: the hinge is linear where it is not 0, so the sum is `sum n_ij
    cos(x_i, x_j)` with whole numbers `n_ij`, the triples above the hinge in which the pair stands (negative for `j`,
    positive for `k`). They come from sorting each anchor's pairs: memory `O(N^2)`, time `O(N^2 log N)`, exact, and so
    is the gradient. Counts are 64-bit and the sum is in float64, as 6000 items have more triples than 32 bits hold; on
    Apple's MPS, which has no float64, it is in float32.

    Source: WavFusion, equation 13.

    Args:
        items: Output of the shared encoder, one row per utterance and modality. Shape `(N, D)`.
        modalities: Index of each item's modality. Shape `(N,)`.
        labels: Class of each item's utterance, -100 for none. Shape `(N,)`.
        present: False for an item whose utterance lacks the modality. Shape `(N,)`.
        margin: `alpha`.

    Returns:
        Scalar in float32; 0 where there is no triple.
    """
    with torch.autocast(items.device.type, enabled=False):
        directions = torch.nn.functional.normalize(items.float(), dim=-1)
        cosines = directions @ directions.T  # (N, N)
    counted = present & (labels != -100)
    pairs = counted[:, None] & counted[None, :]  # (N, N)
    same_modality = modalities[:, None] == modalities[None, :]
    same_label = labels[:, None] == labels[None, :]
    positive = pairs & ~same_modality & same_label  # (i, j)
    negative = pairs & same_modality & ~same_label  # (i, k)
    with torch.no_grad():
        triples = (positive.sum(dim=1) * negative.sum(dim=1)).sum()
        above = _triples_above_hinge(cosines - margin, cosines, positive, negative)
    exact = cosines if cosines.device.type == "mps" else cosines.double()
    hinged = (above * exact).sum() - margin * above.clamp(max=0).sum()
    return (hinged / triples.clamp(min=1)).float()


def _triples_above_hinge(thresholds: Tensor, cosines: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """In how many triples with `cos(x_i, x_k) > cos(x_i, x_j) - margin` each pair stands.

    Shape `(N, N)`, negative numbers for positive pairs `(i, j)`, positive ones for negative pairs `(i, k)`.
    """
    infinity = float("inf")
    size = cosines.shape[1]
    pushed = cosines.masked_fill(~negative, -infinity).sort(dim=1).values
    above = size - torch.searchsorted(pushed, thresholds, right=True)  # negatives over each threshold
    pulled = thresholds.masked_fill(~positive, infinity).sort(dim=1).values
    below = torch.searchsorted(pulled, cosines)  # thresholds under each negative
    return below.masked_fill(~negative, 0) - above.masked_fill(~positive, 0)


def wasserstein_distances(
    means: Tensor, deviations: Tensor, other_means: Tensor, other_deviations: Tensor, reduction: str = "mean"
) -> Tensor:
    """Squared 2-Wasserstein distance of every diagonal Gaussian to every other one.

    `W = |mu_1 - mu_2|^2 + |sigma_1 - sigma_2|^2`. It is the Euclidean distance of the joined vectors `[mu, sigma]`,
    and is computed as such, without a `(N, M, D)` tensor.

    Source: MGCMA, equation 4.

    Args:
        means: Shape `(N, D)`.
        deviations: Shape `(N, D)`.
        other_means: Shape `(M, D)`.
        other_deviations: Shape `(M, D)`.
        reduction: `"sum"` over the width as printed, or `"mean"`, whose scale does not grow with D.

    Returns:
        Shape `(N, M)`, float32.
    """
    with torch.autocast(means.device.type, enabled=False):
        one = torch.cat([means, deviations], dim=-1).float()  # (N, 2D)
        other = torch.cat([other_means, other_deviations], dim=-1).float()  # (M, 2D)
        middle = other.mean(dim=0, keepdim=True)  # distances do not change, and cancel less
        one, other = one - middle, other - middle
        squares = one.square().sum(-1, keepdim=True) + other.square().sum(-1) - 2 * one @ other.T
    distances = squares.clamp(min=0)
    return distances / means.shape[-1] if reduction == "mean" else distances


def symmetric_contrastive_loss(similarity: Tensor, temperature: float) -> Tensor:
    """InfoNCE in both directions over a batch of pairs: pair i's other half against everybody's.

    `L = 1/(2N) sum_i (-log softmax_j(Sim_ij / tau)_i - log softmax_j(Sim_ji / tau)_i)`.

    Source: MGCMA, equations 6 to 8 and 9 to 11.

    Args:
        similarity: Of every first to every second half; the diagonal holds the pairs. Shape `(N, N)`.
        temperature: `tau`.

    Returns:
        Scalar; 0 (with a graph) for fewer than two pairs.
    """
    if len(similarity) == 0:
        return similarity.sum()
    logits = similarity.float() / temperature
    targets = torch.arange(len(logits), device=logits.device)
    rows = torch.nn.functional.cross_entropy(logits, targets)
    return (rows + torch.nn.functional.cross_entropy(logits.T, targets)) / 2
