"""A checkpoint as a program of `torch.export`, checked against the model that it was made of."""

import os
from pathlib import Path
from typing import Any

import torch

from hf_mer.export.checks import TOLERANCE, compare, references
from hf_mer.export.folder import write_draft, write_export
from hf_mer.export.source import Source, pytorch_bytes, versions
from hf_mer.export.tracing import trace
from hf_mer.export.utterances import RandomUtterances


def export_torch(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    *,
    tolerance: float = TOLERANCE,
    revision: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Writes `model.pt2`, with configuration and processor, and `export.json` about it.

    The program needs PyTorch and nothing else: `torch.export.load("model.pt2").module()(**inputs)`. Free lengths,
    missing modalities and checks are those of `export_onnx`, but speech has two frames of its encoder at least.

    Args:
        checkpoint: Folder, or repository on the Hub.
        out: Folder; an earlier export there is replaced.
        tolerance: Of the largest difference, as a share of the largest value where that is above 1.
        revision: Of the repository.
        seed: Of the random batches.

    Returns:
        What `export.json` holds: inputs, outputs, differences, sizes in bytes, versions.

    Raises:
        ExportError: If the model has no graph, or the graph does not compute what the model does.
        FileExistsError: If `out` holds something else.
    """
    from hf_mer.export.torch_model import LEAST_FRAMES, ExportedProgramModel

    source = Source.load(checkpoint, revision)
    random = RandomUtterances(source.model.config, source.spec, seed, LEAST_FRAMES)
    expected = references(source.model, random.cases(), source.spec.outputs)

    def write(folder: Path) -> dict[str, Any]:
        torch.export.save(trace(source, random), folder / "model.pt2")
        write_draft(folder, source.spec)
        graph = ExportedProgramModel.from_pretrained(folder)
        return {
            "format": "torch",
            "versions": versions(),
            **source.spec.to_dict(),
            "tolerance": tolerance,
            "differences": compare(graph, expected, tolerance).to_dict(),
            "pytorch_bytes": pytorch_bytes(source.model),
        }

    return write_export(out, source.model, source.processor, write)
