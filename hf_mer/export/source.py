"""The checkpoint that is exported, and inputs for it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.graph import GraphSpec
from hf_mer.hub.loading import load_checkpoint


@dataclass
class Source:
    """A checkpoint in evaluation mode, in float32, on the CPU.

    Attributes:
        model: The model.
        processor: Its processor.
        spec: What its graph takes and gives.
    """

    model: Any
    processor: Any
    spec: GraphSpec

    @classmethod
    def load(cls, checkpoint: str | os.PathLike, revision: str | None = None) -> "Source":
        """Loads a folder, or a repository of the Hub.

        Raises:
            ValueError: If the folder is not a checkpoint, or damaged, or no model of this package.
            HubError: If the Hub cannot be reached, or has no such repository or revision.
        """
        model, processor = load_checkpoint(checkpoint, revision, torch.float32)
        return cls(model.eval().requires_grad_(False), processor, GraphSpec.of(model.config, processor))

    def batches(self, rows: Iterable[dict[str, Any]], batch_size: int = 8) -> list[dict[str, Tensor]]:
        """Inputs of real utterances: rows with `audio`, `text`, `history`, `video`, as corpora have them."""
        from hf_mer.data.collator import MerDataCollator

        collate = MerDataCollator(self.processor, self.model.config.modalities)
        kept = [{name: value for name, value in row.items() if name != "label"} for row in rows]
        batches = [collate(kept[start : start + batch_size]) for start in range(0, len(kept), batch_size)]
        return [{name: batch[name] for name in self.spec.inputs if name in batch} for batch in batches]
