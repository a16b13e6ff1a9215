"""Compares what a checkpoint's files hold with what its configuration asks for, before any weight takes memory."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import PreTrainedConfig

_FLOATS = ("F", "BF")  # what safetensors' names of floating-point types begin with


def check_stored_shapes(model: Any, files: Sequence[str]) -> None:
    """Refuses weights that are not of the model's shapes, and whole numbers where it has fractions.

    Only headers are read. Names that one of both lacks are transformers' concern.

    Args:
        model: On any device, such as `meta`.
        files: Of the checkpoint; only safetensors are looked at.

    Raises:
        ValueError: Names file, weight, both shapes, and the field of `config.json` that likely is wrong.
    """
    wanted = model.state_dict()
    odd: dict[str, str] = {}  # what is said, and the fields that likely are wrong
    for file in files:
        for name, shape, dtype in _header(file):
            tensor = wanted.get(name, wanted.get(f"{name}.weight"))  # as older checkpoints name learned vectors
            if tensor is None:
                continue
            if tuple(tensor.shape) != shape:
                told = f"{file}: '{name}' has shape {shape}, but config.json asks for {tuple(tensor.shape)}"
                odd[told] = _likely_fields(model.config, name, tuple(tensor.shape), shape)
            elif tensor.is_floating_point() and not dtype.startswith(_FLOATS):
                raise ValueError(
                    f"{file}: '{name}' contains values of type {dtype}, which must be floating-point numbers"
                )
    if odd:
        told, likely = next(((told, likely) for told, likely in odd.items() if likely), next(iter(odd.items())))
        raise ValueError(
            f"{told}: {likely or 'one of its sizes'} is not what the weights were saved with (to load them into other "
            "sizes: ignore_mismatched_sizes=True)"
        )


def _header(file: str) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Name, shape and type of every tensor of a file."""
    if not str(file).endswith(".safetensors"):
        return
    try:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                part = tensors.get_slice(name)
                yield name, tuple(part.get_shape()), part.get_dtype()
    except SafetensorError as error:
        raise damaged_weights(file, error) from error


def damaged_weights(file: str | os.PathLike | None, error: Exception) -> ValueError:
    """What is raised where a file is none of safetensors."""
    return ValueError(f"the weights of {file} are damaged or half-written: {error}")


def _likely_fields(config: Any, name: str, wanted: tuple[int, ...], stored: tuple[int, ...]) -> str:
    """Fields that hold a number that the wanted shape has and the stored one has not."""
    branch = name.partition("_encoder.")[0]
    encoder = getattr(config, f"{branch}_config", None)
    parts = [(f"{branch}_config.", encoder)] if encoder is not None else _parts(config)
    odd = set(wanted) - set(stored) or set(wanted)
    found = [
        f"{prefix}{field}={value}"
        for prefix, part in parts
        for field, value in vars(part).items()
        if any(type(one) is int and one in odd for one in (value if isinstance(value, list) else [value]))
    ]
    if encoder is None and config.num_labels in odd:
        found.insert(0, f"the number of classes in id2label ({config.num_labels})")
    return " or ".join(found[:3])


def _parts(config: Any) -> list[tuple[str, Any]]:
    """A configuration and those of its encoders, with what their fields' names begin with."""
    inner = {name: getattr(config, name, None) for name in config.sub_configs}
    return [("", config), *((f"{name}.", part) for name, part in inner.items() if isinstance(part, PreTrainedConfig))]
