"""The joined batch of all processes, with gradients, for losses that compare utterances with each other."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def gather_across_ranks(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Joins each tensor with the same tensor of every other process, in the order of their ranks.

    Gradients flow back to the process that a row came from. Every process then computes the same loss of the joined
    batch; since the gradients of its rows are summed over the processes here and averaged over them by distributed
    training, the result is the gradient of one process with the joined batch. All processes must call it, equally
    often; batches may differ in size. Without distributed training nothing is done.

    Args:
        *tensors: Shape `(B, ...)`, with the same B.

    Returns:
        Shape `(sum of B over the ranks, ...)` each.
    """
    if not _several_ranks():
        return tensors
    sizes = [torch.zeros(1, dtype=torch.long, device=tensors[0].device) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(tensors[0])], device=tensors[0].device))
    counts = [int(size) for size in sizes]
    return tuple(_Gather.apply(tensor, counts) for tensor in tensors)


def mean_across_ranks(counts: Tensor) -> Tensor:
    """The mean of every process' numbers. Without distributed training nothing is done.

    A sum over a process' rows divided by the mean number of rows has, averaged over the processes as distributed
    training averages gradients, the value and the gradient of the mean over the joined batch. All processes must call
    it, equally often.

    Args:
        counts: Of one shape on all processes; without gradients.
    """
    if not _several_ranks():
        return counts
    total = counts.float()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def _several_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _Gather(torch.autograd.Function):
    """All-gather whose backward pass sums the gradients of a process' rows over all processes."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, counts: list[int]) -> Tensor:
        """Pads to the largest batch, as the collective wants equal shapes, and cuts the padding off again."""
        ctx.counts = counts
        padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The rows of this process."""
        total = grads[0].contiguous()
        dist.all_reduce(total)
        start = sum(ctx.counts[: dist.get_rank()])
        return total[start : start + ctx.counts[dist.get_rank()]], None
