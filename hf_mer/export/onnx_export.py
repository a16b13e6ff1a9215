"""A checkpoint as an ONNX graph, checked against the model that it was made of."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from hf_mer.export.checks import TOLERANCE, ExportError, compare, references
from hf_mer.export.folder import write_draft, write_export
from hf_mer.export.source import Source, pytorch_bytes, versions
from hf_mer.export.tracing import quiet, reason, trace
from hf_mer.export.utterances import RandomUtterances

OPSETS = range(18, 24)  # that PyTorch writes
OPSET = 20


def export_onnx(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    *,
    opset: int = OPSET,
    int8: bool = False,
    utterances: Iterable[dict[str, Any]] = (),
    tolerance: float = TOLERANCE,
    revision: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Writes `model.onnx`, with configuration and processor, and `export.json` about it.

    Batch and lengths are free; inputs have the processor's names. An utterance without a modality is a row of zeros in
    its mask, a batch without one an input of minimal length with such a mask. LE-MER's graph also gives the label
    attentions. Before anything is left in `out`, onnxruntime runs random batches of many kinds, and what it gives is
    compared with the model's.

    Args:
        checkpoint: Folder, or repository on the Hub.
        out: Folder; an earlier export there is replaced.
        opset: Of ONNX, 18 to 23.
        int8: Also write `model_int8.onnx`, with the weights of the matrix products in eight bits, and compare it.
        utterances: Real ones, rows with `audio`, `text`, `history`, `video`, to compare the int8 graph with.
        tolerance: Of the largest difference, as a share of the largest value where that is above 1.
        revision: Of the repository.
        seed: Of the random batches.

    Returns:
        What `export.json` holds: inputs, outputs, differences, sizes in bytes, versions.

    Raises:
        ExportError: If the model has no graph, or the graph does not compute what the model does.
        FileExistsError: If `out` holds something else.
    """
    if opset not in OPSETS:
        raise ExportError(f"opset {opset} is not one of {OPSETS[0]} to {OPSETS[-1]}")
    _require("onnx", "onnxscript", "onnxruntime")
    from hf_mer.export.onnx_model import OnnxMerModel

    source = Source.load(checkpoint, revision)
    random = RandomUtterances(source.model.config, source.spec, seed)
    expected = references(source.model, random.cases(), source.spec.outputs)
    comparison = None
    if int8:
        from hf_mer.export.quantization import Comparison

        comparison = Comparison.of(source, random, utterances)

    def write(folder: Path) -> dict[str, Any]:
        path = folder / "model.onnx"
        _write_graph(source, random, path, opset)
        write_draft(folder, source.spec)
        graph = OnnxMerModel.from_pretrained(folder)
        content: dict[str, Any] = {
            "format": "onnx",
            "opset": _opset_of(path),
            "versions": versions("onnx", "onnxscript", "onnxruntime"),
            **source.spec.to_dict(),
            "tolerance": tolerance,
            "differences": compare(graph, expected, tolerance).to_dict(),
            "pytorch_bytes": pytorch_bytes(source.model),
        }
        if comparison is not None:
            from hf_mer.export.quantization import quantize

            quantize(path, folder / "model_int8.onnx")
            content["int8"] = comparison.with_graph(OnnxMerModel.from_pretrained(folder, "model_int8.onnx"))
        return content

    return write_export(out, source.model, source.processor, write)


def _write_graph(source: Source, random: RandomUtterances, path: Path, opset: int) -> None:
    spec, program = source.spec, trace(source, random)
    with quiet(), torch.no_grad():
        try:
            converted = torch.onnx.export(
                program,
                input_names=list(spec.inputs),
                output_names=list(spec.outputs),
                dynamic_shapes=tuple(spec.dynamic_axes(name) for name in spec.inputs),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            raise ExportError(f"opset {opset}: the graph has no form in ONNX: {reason(error)}") from error
        assert converted is not None
        _forget_sources(converted.model)
        converted.save(path)


def _forget_sources(model: Any) -> None:
    """Takes out where each node was written: lines of files of this machine, larger than a small model's weights."""
    from onnx_ir.traversal import RecursiveGraphIterator

    model.graph.metadata_props.clear()
    for node in RecursiveGraphIterator(model.graph):
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


def _opset_of(path: Path) -> int:
    import onnx

    model = onnx.load(path, load_external_data=False)
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _require(*packages: str) -> None:
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ImportError(f"ONNX needs {' and '.join(missing)}: `pip install hf_mer[export]`")
