"""What exported models have in common: they are called like the models they were made of."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.graph import LABEL_ATTENTIONS, GraphSpec, dtype_of, mask_of
from hf_mer.models.mer_encoders import RAW_INPUTS, receptive_field
from hf_mer.models.mer_outputs import MerOutput


class GraphModel(ABC):
    """A graph in the place of a model: the pipeline takes it, and a call takes what the processor gives.

    A modality that a batch lacks, which the model is not given, is a masked input of minimal length to the graph: the
    logits are the same.

    Args:
        config: Of the model that was exported.
        spec: Inputs and outputs of the graph.

    Attributes:
        device: Where inputs are wanted and outputs lie.
        dtype: Of inputs with a decimal point.
    """

    main_input_name = "input_ids"
    input_modalities = ("audio", "text")
    output_modalities = ("text",)
    dtype = torch.float32
    training = False

    def __init__(self, config: Any, spec: GraphSpec):
        self.config, self.spec = config, spec
        self.device = torch.device("cpu")

    @abstractmethod
    def run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the graph on all of its inputs; its outputs by name."""

    def to(self, *args: Any, **kwargs: Any) -> "GraphModel":
        """Changes nothing: where a graph runs was settled when it was loaded."""
        return self

    def eval(self) -> "GraphModel":
        """Changes nothing: a graph cannot be trained."""
        return self

    def can_generate(self) -> bool:
        """No; the pipeline asks."""
        return False

    def __call__(self, **inputs: Any) -> MerOutput | tuple:
        """See `forward`."""
        return self.forward(**inputs)

    def forward(
        self, output_attentions: bool | None = None, return_dict: bool | None = None, **inputs: Tensor | None
    ) -> MerOutput | tuple:
        """Classifies a batch of utterances.

        Args:
            output_attentions: Also return label attentions and masks, where the graph has them.
            return_dict: `False` for a tuple.
            **inputs: As the processor gives them; masks of inputs without padding may be left out.

        Returns:
            `logits`, and what was asked for.

        Raises:
            ValueError: If the graph has no such input, or no modality is given.
        """
        given = {name: value for name, value in inputs.items() if value is not None}
        for name in given:
            if name not in self.spec.inputs:
                raise ValueError(f"the exported model has no input '{name}'; it has {', '.join(self.spec.inputs)}")
        present = [modality for modality in self.config.modalities if self._source_of(modality) in given]
        if not present:
            raise ValueError(
                f"the model needs {' or '.join(self.config.modalities)}, but was given no input that it can use"
            )
        size = len(given[self._source_of(present[0])])
        complete: dict[str, Tensor] = {}
        for modality in self.config.modalities:
            complete.update(self._complete(modality, given, size))
        outputs = self.run({name: complete[name] for name in self.spec.inputs})
        output = MerOutput(logits=outputs["logits"])
        if output_attentions:
            for modality in present:
                for key in (LABEL_ATTENTIONS.get(modality, ""), f"{modality}_mask"):
                    if key in outputs:
                        output[key] = outputs[key]
        return output.to_tuple() if return_dict is False else output

    def _source_of(self, modality: str) -> str:
        """The input that is not a mask."""
        return next(name for name in RAW_INPUTS[modality] if name in self.spec.inputs)

    def _complete(self, modality: str, given: dict[str, Tensor], size: int) -> dict[str, Tensor]:
        """All inputs of a modality: what is left out is 0, but the mask of what is given 1."""
        source = given.get(self._source_of(modality))
        length = self._minimal_length(modality) if source is None else source.shape[1]
        complete = {}
        for name in RAW_INPUTS[modality]:
            if name not in self.spec.inputs:
                continue
            if name in given and source is not None:
                complete[name] = given[name].to(self.device, dtype_of(name))
            else:
                fixed = [axis for axis in self.spec.inputs[name] if isinstance(axis, int)]
                value = int(source is not None and name == mask_of(modality))
                complete[name] = torch.full((size, length, *fixed), value, dtype=dtype_of(name), device=self.device)
        return complete

    def _minimal_length(self, modality: str) -> int:
        return receptive_field(self.config.speech_config) if "samples" in self._axes(modality) else 1

    def _axes(self, modality: str) -> tuple[str | int, ...]:
        return self.spec.inputs[mask_of(modality)]
