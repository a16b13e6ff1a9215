"""Which weights a model's temperatures and prior belong to: other weights have none, and theirs are dropped.

Both stand in the configuration, which outlives a change of weights: training with other labels, by any trainer
or loop, merged adapters, another state dict. So a fingerprint of the weights stands beside them. It is compared when a
model is loaded, saved, or put into a pipeline.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SAMPLED_VALUES = 4096  # of a tensor; training moves next to all
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_FULL = (torch.float32, torch.float64)
_PACKED = (torch.int8, torch.uint8)  # weights of a quantised model


def fingerprints(state: Mapping[str, Any]) -> dict[str, str] | None:
    """A short hash of the weights in every precision that they may be stored or loaded in.

    Names and devices do not matter. Of every tensor up to `SAMPLED_VALUES` values are looked at, evenly spread.

    Args:
        state: Weights and buffers by name.

    Returns:
        By the names of `PRECISIONS`; None where weights cannot be compared: quantised, sharded, or on no device.
    """
    samples = _samples(state.values())
    return None if samples is None else {name: _hash(samples, dtype) for name, dtype in PRECISIONS.items()}


def belongs(stored: Mapping[str, str], state: Mapping[str, Any]) -> bool | None:
    """Whether these are the weights of stored fingerprints, maybe rounded since; None where it cannot be told."""
    samples = _samples(state.values())
    if samples is None:
        return None
    dtypes = {sample.dtype for _, sample in samples}
    for name, dtype in PRECISIONS.items():
        rounded = dtype in dtypes or (dtype == torch.float32 and dtypes <= set(_FULL)) or _fits(samples, dtype)
        if rounded and stored.get(name) == _hash(samples, dtype):
            return True
    return False


def settle_temperatures(model: Any, state: Mapping[str, Any] | None = None, new_weights: bool = False) -> None:
    """Drops temperatures and prior that do not belong to a model's weights, and says so; marks those that do.

    Those without a fingerprint, of an older checkpoint or fitted a moment ago, belong to the weights as they
    are now.

    Args:
        model: Its configuration is changed.
        state: Its weights, where the model itself has only a part of them.
        new_weights: Some were not in the checkpoint that it was loaded from.
    """
    config = model.config
    if not config.temperatures and config.class_prior is None:
        config.calibrated_weights = None
        return
    state = model.state_dict() if state is None else state
    stored = config.calibrated_weights
    if new_weights or (stored is not None and belongs(stored, state) is False):
        if config.temperatures:
            logger.warning(
                "temperatures %s were fitted for other weights than the model has, and are dropped: scores are not "
                "calibrated",
                config.temperatures,
            )
        config.temperatures, config.thresholds, config.class_prior = {}, {}, None
        return
    config.calibrated_weights = fingerprints(state) or stored


def _samples(tensors: Iterable[Any]) -> list[tuple[torch.Size, Tensor]] | None:
    """Shape and sampled values of every tensor of floats; None if one cannot be read."""
    found = []
    for tensor in tensors:
        plain = type(tensor) in (Tensor, torch.nn.Parameter) and not tensor.is_meta
        if not plain or tensor.dtype in _PACKED or tensor.numel() == 0:
            return None
        if tensor.is_floating_point():
            if tensor.dtype not in (*PRECISIONS.values(), torch.float64):
                return None
            step = -(-tensor.numel() // SAMPLED_VALUES)
            found.append((tensor.shape, tensor.detach().reshape(-1)[::step].cpu()))
    return found or None


def _hash(samples: list[tuple[torch.Size, Tensor]], dtype: torch.dtype) -> str:
    bits = torch.int32 if dtype == torch.float32 else torch.int16
    digests = []
    for shape, sample in samples:
        values = sample.to(dtype).contiguous().view(bits).numpy().tobytes()
        digests.append(hashlib.sha256(repr(tuple(shape)).encode() + values).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()[:16]


def _fits(samples: list[tuple[torch.Size, Tensor]], dtype: torch.dtype) -> bool:
    """Whether no value loses anything in a precision: it was stored in it."""
    return all(torch.equal(sample, sample.to(dtype).to(sample.dtype)) for _, sample in samples)
