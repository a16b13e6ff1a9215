"""A program of `torch.export` in the place of a model."""

import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.folder import read_export
from hf_mer.export.graph import GraphSpec
from hf_mer.export.graph_model import GraphModel

LEAST_FRAMES = 2  # of speech: `torch.export` takes a length of 1 for a case of its own


class ExportedProgramModel(GraphModel):
    """A model that PyTorch runs without the code it was written in; speech has two frames of its encoder at least.

    Args:
        program: What `torch.export.load` gives.
        config: Of the model that was exported.
        spec: Inputs and outputs of the graph.
    """

    def __init__(self, program: torch.export.ExportedProgram, config: Any, spec: GraphSpec):
        super().__init__(config, spec)
        self.module = program.module(check_guards=False)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike, file_name: str = "model.pt2") -> "ExportedProgramModel":
        """Loads what `export_torch` wrote.

        Raises:
            OSError: If the folder is no export, or has no such file.
        """
        config, spec = read_export(folder, file_name)
        return cls(torch.export.load(Path(folder, file_name)), config, spec)

    def _minimal_length(self, modality: str) -> int:
        length = super()._minimal_length(modality)
        return length + math.prod(self.config.speech_config.conv_stride) if length > 1 else LEAST_FRAMES

    @torch.no_grad()
    def run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the program on all of its inputs; its outputs by name."""
        return dict(zip(self.spec.outputs, self.module(**inputs), strict=True))
