"""What a batch is trained towards: class indices, or a share of every class, checked before any loss is taken."""

import sys

import torch
from torch import Tensor

NO_LABEL = -100
SUM_TOLERANCE = 1e-2  # of a row of shares: half precision rounds four of them by up to 0.004


def check_targets(labels: Tensor, size: int, num_classes: int) -> Tensor:
    """Labels as the losses take them; anything else is refused.

    Values are looked at on the CPU only, and so are those of shares anywhere: on a GPU a look at class indices would
    stop every step, and the cross-entropy there refuses what is out of range by itself.

    Args:
        labels: Class indices `(B,)`, or one row per utterance `(B, C)`: shares of the classes that add up to 1, or
            ones and zeros with one 1 in a row. -100, alone or throughout a row, is no label.
        size: `B`.
        num_classes: `C`.

    Returns:
        Class indices, int64 `(B,)`, or shares, float32 `(B, C)`.

    Raises:
        ValueError: Naming what is given and what is valid.
    """
    valid = (
        f"valid are class indices from 0 to {num_classes - 1} of shape ({size},), shares of the classes of shape "
        f"({size}, {num_classes}) whose rows add up to 1, and {NO_LABEL} for no label"
    )
    if labels.shape not in ((size,), (size, num_classes)):
        raise ValueError(f"labels have shape {tuple(labels.shape)}; {valid}")
    if labels.dim() == 1:
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise ValueError(f"labels of shape {tuple(labels.shape)} are {labels.dtype}, no class indices; {valid}")
        targets = labels.long()
        if _can_be_read(labels) and labels.device.type == "cpu":
            _refuse_classes(targets, num_classes, valid)
        return targets
    targets = labels.float()
    if _can_be_read(labels):
        _refuse_shares(targets, valid)
    return targets


def labelled(targets: Tensor) -> Tensor:
    """Which utterances have a label. Booleans of shape `(B,)`."""
    return targets != NO_LABEL if targets.dim() == 1 else (targets != NO_LABEL).all(dim=1)


def likeliest_classes(targets: Tensor) -> Tensor:
    """One class per utterance, for losses that compare classes: of shares the largest, the first of equals. `(B,)`."""
    if targets.dim() == 1:
        return targets
    return targets.argmax(dim=1).masked_fill(~labelled(targets), NO_LABEL)


def _can_be_read(labels: Tensor) -> bool:
    """Not while a graph is made, which must not depend on values, nor where there are none."""
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or labels.is_meta)


def _refuse_classes(targets: Tensor, num_classes: int, valid: str) -> None:
    wrong = ((targets < 0) | (targets >= num_classes)) & (targets != NO_LABEL)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(f"labels: {int(targets[row])} in row {row} of the batch is not a class; {valid}")


def _refuse_shares(targets: Tensor, valid: str) -> None:
    good = (targets >= 0).all(dim=1) & ((targets.sum(dim=1) - 1).abs() <= SUM_TOLERANCE)
    wrong = ~(good | (targets == NO_LABEL).all(dim=1))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        shares = [round(value, 4) for value in targets[row].tolist()]
        raise ValueError(f"labels: row {row} of the batch is {shares}; {valid}")


def refuse_smoothing_outside() -> None:
    """Refuses a `transformers.Trainer` that smooths labels by itself, among those who called this.

    It takes the labels out of the batch and computes a cross-entropy of its own from the logits, so that the model's
    other losses are not trained. The model is told nothing of it; who calls says it before the first step.

    Raises:
        ValueError: Saying what to do instead.
    """
    library = sys.modules.get("transformers.trainer")
    frame = sys._getframe(1) if library is not None else None
    while frame is not None and library is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, library.Trainer) and caller.label_smoother is not None:
            raise ValueError(
                f"label_smoothing_factor={caller.args.label_smoothing_factor}: Trainer's own loss would replace all "
                "of the model's; leave it at 0 and set model.config.label_smoothing, or use MerTrainer, which does"
            )
        frame = frame.f_back
