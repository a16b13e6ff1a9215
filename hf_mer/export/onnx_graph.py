"""From a model to the file of its graph: traced by `torch.export`, written as ONNX."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hf_mer.export.comparing import ExportError
from hf_mer.export.graph import GraphModule
from hf_mer.export.source import Source
from hf_mer.models.encoder_configuration_mer import SPEECH_MODEL_TYPES

# what exports were made of, in all lengths; another encoder may have a graph or not
KNOWN = (
    "Export is known to work with the text encoders bert and roberta, the speech encoders "
    f"{', '.join(SPEECH_MODEL_TYPES)}, and the video encoder efficientnet"
)


def write_graph(source: Source, example: dict[str, torch.Tensor], path: Path, opset: int) -> int:
    """Writes the model's graph, with batch and lengths free. The model is not to be used any more: tracing marks it.

    Args:
        source: The checkpoint.
        example: A batch of two utterances of unequal length, to trace the model with.
        path: Of the file; large weights lie beside it.
        opset: Of ONNX.

    Returns:
        The opset that the file has.

    Raises:
        ExportError: If the model has no graph, or the graph no form in ONNX.
    """
    with quiet(), torch.no_grad():
        program = _trace(source, example)
        try:
            converted = torch.onnx.export(
                program,
                input_names=list(source.spec.inputs),
                output_names=list(source.spec.outputs),
                dynamic_shapes=tuple(source.spec.dynamic_axes(name) for name in source.spec.inputs),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            raise ExportError(f"opset {opset}: the graph cannot be written as ONNX: {_reason(error)}") from error
        assert converted is not None
        _forget_sources(converted.model)
        converted.save(path)
    return converted.model.opset_imports[""]


def _trace(source: Source, example: dict[str, torch.Tensor]) -> torch.export.ExportedProgram:
    spec, config = source.spec, source.model.config
    axes = {name: dict.fromkeys(spec.dynamic_axes(name), torch.export.Dim.DYNAMIC) for name in spec.inputs}
    inputs = {name: example[name] for name in spec.inputs}
    try:
        return torch.export.export(GraphModule(source.model, spec).eval(), (), inputs, dynamic_shapes=axes)
    except Exception as error:
        encoders = [f"{name} encoder '{config.encoder_config(name).model_type}'" for name in config.modalities]
        raise ExportError(f"{', '.join(encoders)}: cannot be exported: {_reason(error)}. {KNOWN}") from error


def _reason(error: Exception) -> str:
    """The lines that say why; the exporter wraps them into advice for its own authors."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {' '.join(lines[:2]) or 'no message'}"


def _forget_sources(model: Any) -> None:
    """Takes out where each node was written: lines of files of this machine, larger than a small model's weights."""
    from onnx_ir.traversal import RecursiveGraphIterator

    model.graph.metadata_props.clear()
    for node in RecursiveGraphIterator(model.graph):
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps to itself what exporters and quantisers say about their own workings; errors are still told."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
