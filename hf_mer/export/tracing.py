"""From a model to a graph that every export begins with."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hf_mer.export.checks import ExportError
from hf_mer.export.graph import GraphModule
from hf_mer.export.source import Source
from hf_mer.export.utterances import RandomUtterances


def trace(source: Source, random: RandomUtterances) -> torch.export.ExportedProgram:
    """The model's graph, with batch and lengths free. The model is not to be used any more: tracing leaves traces.

    Raises:
        ExportError: If the model has no graph.
    """
    spec, example = source.spec, random.example()
    axes = {name: dict.fromkeys(spec.dynamic_axes(name), torch.export.Dim.DYNAMIC) for name in spec.inputs}
    with quiet(), torch.no_grad():
        try:
            return torch.export.export(
                GraphModule(source.model, spec).eval(),
                (),
                {name: example[name] for name in spec.inputs},
                dynamic_shapes=axes,
            )
        except Exception as error:
            raise ExportError(f"{type(source.model).__name__} has no graph: {reason(error)}") from error


def reason(error: Exception) -> str:
    """The line that says why; the exporter wraps it into advice for its own authors."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else 'no message'}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps to itself what the exporters say about their own workings."""
    names = ("torch.onnx", "onnxscript", "onnx_ir", "torch.fx", "torch.export", "torch._higher_order_ops")
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
