"""What an exported graph takes and gives: names, axes of any length, and the module that is traced."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hf_mer.models.encoder_states_mer import RAW_INPUTS
from hf_mer.models.fields_mer import FieldError, choice, list_of, table_of, whole, word
from hf_mer.models.whisper_mer import is_whisper

LENGTHS = {"text": "tokens", "video": "pictures"}  # names of the axes; of speech samples or frames
LABEL_ATTENTIONS = {"text": "text_label_attention", "speech": "speech_label_attention"}


@dataclass(frozen=True)
class GraphSpec:
    """Inputs and outputs of a graph.

    Attributes:
        inputs: Axes of every input in the order of the graph, a name where the length is free, else a number.
        outputs: Names in the order of the graph.
    """

    inputs: dict[str, tuple[str | int, ...]]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, config: Any, processor: Any) -> "GraphSpec":
        """Of a model and the processor that makes its inputs."""
        inputs: dict[str, tuple[str | int, ...]] = {}
        outputs = ["logits"]
        for modality in config.modalities:
            for name, axes in _axes_of(modality, config, processor).items():
                inputs[name] = ("batch", *axes)
            has_labels = {"text": "has_text_labels", "speech": "has_tonal_labels"}.get(modality, "")
            if getattr(config, has_labels, False):
                outputs += [LABEL_ATTENTIONS[modality], f"{modality}_mask"]
        return cls(inputs, tuple(outputs))

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "GraphSpec":
        """Of what `to_dict` gave, read from JSON.

        Raises:
            FieldError: If it is something else.
        """
        given = table_of(lambda _, value: value)("export", content)
        inputs = table_of(list_of(_axis), key=choice(*sum(RAW_INPUTS.values(), ())))("inputs", given.get("inputs"))
        outputs = list_of(word)("outputs", given.get("outputs"))
        if "logits" not in outputs:
            raise FieldError(f"outputs={outputs} must name logits")
        return cls({name: tuple(axes) for name, axes in inputs.items()}, tuple(outputs))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def dynamic_axes(self, name: str) -> dict[int, str]:
        """The axes of an input whose length is free, with their names."""
        return {index: axis for index, axis in enumerate(self.inputs[name]) if isinstance(axis, str)}

    def shape(self, name: str, size: int, length: int) -> tuple[int, ...]:
        """Shape of an input of so many utterances, each so long."""
        free = {"batch": size}
        return tuple(free.get(axis, length) if isinstance(axis, str) else axis for axis in self.inputs[name])

    def length_axis(self, name: str) -> int:
        """The axis of an input that counts tokens, samples, frames or pictures."""
        return next(index for index, axis in self.dynamic_axes(name).items() if axis != "batch")


class GraphModule(nn.Module):
    """A model as a graph: tensors by name in, a tuple of tensors out, no loss and nothing that is not a tensor."""

    def __init__(self, model: nn.Module, spec: GraphSpec):
        super().__init__()
        self.model, self.spec = model, spec

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
        audio_attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        video_attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Takes the inputs of the specification; gives its outputs in order."""
        values = locals()
        output = self.model(
            **{name: values[name] for name in self.spec.inputs},
            output_attentions=len(self.spec.outputs) > 1,
            return_dict=True,
        )
        return tuple(getattr(output, name) for name in self.spec.outputs)


def _axis(name: str, value: Any) -> str | int:
    return value if isinstance(value, str) else whole()(name, value)


def dtype_of(name: str) -> torch.dtype:
    """Type of an input's values."""
    return torch.float32 if name in ("input_values", "input_features", "pixel_values") else torch.int64


def mask_of(modality: str) -> str:
    """Name of the mask of a modality's input."""
    return next(name for name in RAW_INPUTS[modality] if name.endswith("attention_mask"))


def _axes_of(modality: str, config: Any, processor: Any) -> dict[str, tuple[str | int, ...]]:
    """Axes behind the batch."""
    if modality == "text":
        return dict.fromkeys(RAW_INPUTS["text"], (LENGTHS["text"],))
    if modality == "video":
        return {"pixel_values": (LENGTHS["video"], *_picture_shape(processor)), mask_of("video"): (LENGTHS["video"],)}
    if processor.audio_input_name == "input_features":
        if is_whisper(config.speech_config):
            axes: tuple[str | int, ...] = (config.speech_config.num_mel_bins, "frames")
        else:
            axes = ("frames", config.speech_config.feature_projection_input_dim)
        return {"input_features": axes, mask_of("speech"): ("frames",)}
    return {"input_values": ("samples",), mask_of("speech"): ("samples",)}


def _picture_shape(processor: Any) -> tuple[int, ...]:
    """Shape of a picture that the processor has made ready: `(3, H, W)`."""
    import numpy as np

    from hf_mer.models.image_mer import resize

    return tuple(resize([np.zeros((64, 64, 3), dtype=np.uint8)], processor.image_processor).shape[1:])
