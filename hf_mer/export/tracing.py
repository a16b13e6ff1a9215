"""From a model to a graph that every export begins with."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from hf_mer.export.checks import ExportError
from hf_mer.export.graph import GraphModule
from hf_mer.export.source import Source
from hf_mer.export.utterances import RandomUtterances
from hf_mer.models.mer_encoders import SPEECH_MODEL_TYPES

# what exports were made of, in all lengths; another encoder may have a graph or not
KNOWN = (
    "Known to have one are the text encoders bert and roberta, the speech encoders "
    f"{', '.join(SPEECH_MODEL_TYPES)}, and the video encoder efficientnet"
)


def trace(source: Source, random: RandomUtterances) -> torch.export.ExportedProgram:
    """The model's graph, with batch and lengths free. The model is not to be used any more: tracing leaves traces.

    Raises:
        ExportError: If the model has no graph.
    """
    spec, example = source.spec, random.example()
    axes = {name: dict.fromkeys(spec.dynamic_axes(name), torch.export.Dim.DYNAMIC) for name in spec.inputs}
    with quiet(), torch.no_grad():
        try:
            program = torch.export.export(
                GraphModule(source.model, spec).eval(),
                (),
                {name: example[name] for name in spec.inputs},
                dynamic_shapes=axes,
            )
        except Exception as error:
            raise ExportError(f"{_encoders(source.model.config)}: no graph: {reason(error)}. {KNOWN}") from error
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            node.meta.pop("stack_trace", None)  # lines of files of this machine
    return program


def _encoders(config: Any) -> str:
    return ", ".join(f"{name} encoder '{config.encoder_config(name).model_type}'" for name in config.modalities)


def reason(error: Exception) -> str:
    """The lines that say why; the exporter wraps them into advice for its own authors."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {' '.join(lines[:2]) or 'no message'}"


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
