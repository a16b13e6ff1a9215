"""Rows of skewed classes in training: what every class weighs in the losses, and in which order rows are drawn."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from transformers.trainer_pt_utils import LengthGroupedSampler, get_length_grouped_indices

from hf_mer.models.mer_targets import NO_LABEL


def class_counts(labels: Sequence[int | None], names: Sequence[str], setting: str) -> np.ndarray:
    """Training rows of every class.

    Args:
        labels: Class ids of the training rows; None or -100 is no label.
        names: Of the classes.
        setting: What they are counted for, for the message.

    Returns:
        Shape `(C,)`.

    Raises:
        ValueError: If a class has no row.
    """
    known = [label for label in labels if label is not None and label != NO_LABEL]
    counts = np.bincount(np.asarray(known, dtype=np.int64), minlength=len(names))
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        raise ValueError(
            f"{setting}: no training row has the label {', '.join(absent)}, of the classes {', '.join(names)}; leave "
            "such a class out with `labels`, or leave this setting out"
        )
    return counts


def balanced_class_weights(labels: Sequence[int | None], names: Sequence[str]) -> list[float]:
    """Weights by which every class counts as much as any other: `n / (C n_c)`, as scikit-learn's "balanced".

    The mean weight of the rows is 1.

    Args:
        labels: Class ids of the training rows; None or -100 is no label.
        names: Of the classes.

    Returns:
        One weight per class, in the order of the names.

    Raises:
        ValueError: If a class has no row.
    """
    counts = class_counts(labels, names, "class_weights=balanced")
    return (counts.sum() / (len(counts) * counts)).tolist()


def class_shares(labels: Sequence[int | None], num_classes: int) -> list[float]:
    """Share of every class among training rows; a class without any counts as half a row, for its logarithm is taken.

    Args:
        labels: Class ids of the training rows; None or -100 is no label.
        num_classes: `C`.

    Returns:
        One share per class; they sum to 1.
    """
    known = [label for label in labels if label is not None and label != NO_LABEL]
    counts = np.bincount(np.asarray(known, dtype=np.int64), minlength=num_classes).clip(min=0.5)
    return (counts / counts.sum()).tolist()


class EpochLengthSampler(LengthGroupedSampler):
    """Batches of like length in an order that depends on a seed alone.

    The library's own draws from the global generator. Processes of a distributed run use that one unequally (their
    batches differ in shape, and so does dropout), so that they would cut their shares out of different orders.

    Args:
        batch_size: Rows of a batch.
        lengths: Of every row.
        seed: Gives the seed whenever an epoch starts.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: Callable[[], int]):
        super().__init__(batch_size, lengths=lengths)
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self.seed())
        return super().__iter__()


class BalancedSampler(EpochLengthSampler):
    """Every class equally often in an epoch, in batches of like length; the seed alone says which rows.

    An epoch stays as long as there are rows. A class with fewer than its share has rows twice or more, one with more
    leaves some out; within a class every row is drawn as often as any other, give or take one. What does not divide
    goes to classes that are drawn, too. Rows without a label are left out.

    Args:
        batch_size: Rows of a batch.
        lengths: Of every row.
        labels: Class id of every row; None or -100 is no label.
        names: Of the classes.
        seed: Gives the seed whenever an epoch starts.

    Raises:
        ValueError: If a class has no row.
    """

    def __init__(
        self,
        batch_size: int,
        lengths: list[int],
        labels: Sequence[int | None],
        names: Sequence[str],
        seed: Callable[[], int],
    ):
        super().__init__(batch_size, lengths, seed)
        class_counts(labels, names, "train_sampling_strategy=balanced")
        self.members = [
            torch.tensor([row for row, label in enumerate(labels) if label == place]) for place in range(len(names))
        ]

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed())
        drawn = self._draw(generator)
        lengths = [self.lengths[row] for row in drawn]
        order = get_length_grouped_indices(lengths, self.batch_size, generator=generator)
        return iter([drawn[place] for place in order])

    def _draw(self, generator: torch.Generator) -> list[int]:
        """The rows of an epoch, class after class."""
        share, rest = divmod(len(self.lengths), len(self.members))
        favoured = set(torch.randperm(len(self.members), generator=generator)[:rest].tolist())
        drawn: list[int] = []
        for place, members in enumerate(self.members):
            wanted = share + (place in favoured)
            while wanted > 0:
                again = members[torch.randperm(len(members), generator=generator)][:wanted].tolist()
                drawn += again
                wanted -= len(again)
        return drawn
