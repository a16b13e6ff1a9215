"""A checkpoint as an ONNX graph, checked against the model that it was made of."""

import os
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hf_mer.export.comparing import TOLERANCE, ExportError, compare, references
from hf_mer.export.folder import check_out, write_export
from hf_mer.export.onnx_graph import write_graph
from hf_mer.export.onnx_model import OnnxMerModel
from hf_mer.export.quantization import differences, quantize, reference_logits
from hf_mer.export.source import Source
from hf_mer.export.utterances import RandomUtterances
from hf_mer.version import __version__

OPSETS = range(18, 24)  # that PyTorch writes
OPSET = 20
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


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
    overwrite: bool = False,
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
        overwrite: Also replace an earlier export into which somebody has put files of their own.

    Returns:
        What `export.json` holds: inputs, outputs, differences, sizes in bytes, versions.

    Raises:
        ExportError: If the model has no graph, or the graph does not compute what the model does.
        FileExistsError: If `out` holds something else.
    """
    check_out(out, overwrite)
    if opset not in OPSETS:
        raise ExportError(f"opset {opset} is not one of {OPSETS[0]} to {OPSETS[-1]}")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(f"ONNX needs {' and '.join(missing)}: `pip install hf_mer[export]`")
    source = Source.load(checkpoint, revision)
    random = RandomUtterances(source.model.config, source.spec, seed)
    expected = references(source.model, random.cases(), source.spec.outputs)
    logits = reference_logits(source, random, utterances) if int8 else {}

    def write(folder: Path) -> dict[str, Any]:
        config, spec, path = source.model.config, source.spec, folder / "model.onnx"
        content: dict[str, Any] = {
            "format": "onnx",
            "opset": write_graph(source, random.example(), path, opset),
            "versions": {
                "hf_mer": __version__,
                **{name: version(name) for name in ("torch", "transformers", *_NEEDED)},
            },
            **spec.to_dict(),
            "tolerance": tolerance,
            "differences": compare(OnnxMerModel(path, config, spec), expected, tolerance).to_dict(),
            "pytorch_bytes": sum(one.numel() * one.element_size() for one in source.model.state_dict().values()),
        }
        if int8:
            quantize(path, folder / "model_int8.onnx")
            graph = OnnxMerModel(folder / "model_int8.onnx", config, spec)
            content["int8"] = {kind: differences(graph, cases) for kind, cases in logits.items()}
        return content

    return write_export(out, source.model, source.processor, write)
