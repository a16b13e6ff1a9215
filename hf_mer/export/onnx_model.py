"""An ONNX file in the place of the model that it was made of."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.folder import read_export
from hf_mer.export.graph import LABEL_ATTENTIONS, GraphSpec, dtype_of, mask_of
from hf_mer.models.encoder_states_mer import RAW_INPUTS
from hf_mer.models.mer_encoders import receptive_field
from hf_mer.models.mer_outputs import MerOutput
from hf_mer.models.whisper_mer import check_frames, is_whisper

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxMerModel:
    """A model that onnxruntime runs; PyTorch only carries its tensors.

    The pipeline takes it, and a call takes what the processor gives. A modality that a batch lacks, which the model is
    not given, is a masked input of minimal length to the graph: the logits are the same.

    ```python
    model = OnnxMerModel.from_pretrained("exported")
    output = model(**processor(audio="hello.wav", text="Fine."))
    recognise = MultimodalEmotionRecognitionPipeline(model=model, processor=processor, device="cpu")
    ```

    Args:
        path: The file.
        config: Of the model that was exported.
        spec: Inputs and outputs of the graph.
        device: `cpu` or `cuda`, the latter with the package `onnxruntime-gpu`.
        threads: Of onnxruntime; PyTorch's if not given.

    Attributes:
        device: Where inputs are wanted and outputs lie; the CPU, wherever onnxruntime computes.
        dtype: Of inputs with a decimal point.

    Raises:
        ValueError: If onnxruntime has nothing to run on that device, or the graph is another one.
    """

    main_input_name = "input_ids"
    input_modalities = ("audio", "text")
    output_modalities = ("text",)
    dtype = torch.float32
    device = torch.device("cpu")
    training = False

    def __init__(
        self,
        path: str | os.PathLike,
        config: Any,
        spec: GraphSpec,
        device: str | int | torch.device | None = None,
        threads: int | None = None,
    ):
        import onnxruntime

        self.config, self.spec = config, spec
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        provider = _provider(device, onnxruntime.get_available_providers())
        self.session = onnxruntime.InferenceSession(os.fspath(path), options, providers=[provider])
        self._inputs = [item.name for item in self.session.get_inputs()]
        self._check(path)

    def _check(self, path: str | os.PathLike) -> None:
        """Refuses a graph that is not the one of configuration and description."""
        given = {item.name: item.shape for item in self.session.get_outputs()}
        if not set(self._inputs) <= set(self.spec.inputs) or not set(self.spec.outputs) <= set(given):
            raise ValueError(
                f"{path} takes {', '.join(self._inputs)} and gives {', '.join(given)}, but export.json names "
                f"{', '.join(self.spec.inputs)} and {', '.join(self.spec.outputs)}: they do not belong together"
            )
        classes = given["logits"][-1]
        if isinstance(classes, int) and classes != self.config.num_labels:
            raise ValueError(f"{path} has {classes} classes, id2label in config.json has {self.config.num_labels}")

    @classmethod
    def from_pretrained(
        cls, folder: str | os.PathLike, file_name: str = "model.onnx", **settings: Any
    ) -> "OnnxMerModel":
        """Loads what `export_onnx` wrote.

        Args:
            folder: Of the export.
            file_name: `model.onnx`, or `model_int8.onnx`.
            **settings: `device` and `threads`, see the class.

        Raises:
            OSError: If the folder is not an export, or has no such file.
        """
        config, spec = read_export(folder, file_name)
        return cls(Path(folder, file_name), config, spec, **settings)

    def to(self, *args: Any, **kwargs: Any) -> "OnnxMerModel":
        """Changes nothing: where a graph runs was settled when it was loaded."""
        return self

    def eval(self) -> "OnnxMerModel":
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
        outputs = self.run(complete)
        output = MerOutput(logits=outputs["logits"])
        if output_attentions:
            for modality in present:
                for key in (LABEL_ATTENTIONS.get(modality, ""), f"{modality}_mask"):
                    if key in outputs:
                        output[key] = outputs[key]
        return output.to_tuple() if return_dict is False else output

    def run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the graph on all of its inputs; its outputs by name."""
        arrays = {name: inputs[name].numpy() for name in self._inputs}
        outputs = self.session.run(list(self.spec.outputs), arrays)
        return {name: torch.from_numpy(array) for name, array in zip(self.spec.outputs, outputs, strict=True)}

    def _source_of(self, modality: str) -> str:
        """The input that is not a mask."""
        return next(name for name in RAW_INPUTS[modality] if name in self.spec.inputs)

    def _complete(self, modality: str, given: dict[str, Tensor], size: int) -> dict[str, Tensor]:
        """All inputs of a modality: what is left out is 0, but the mask of what is given 1."""
        name = self._source_of(modality)
        source = given.get(name)
        length = self._minimal_length(modality) if source is None else source.shape[self.spec.length_axis(name)]
        if modality == "speech" and is_whisper(self.config.speech_config):
            check_frames(self.config.speech_config, length)
        complete = {}
        for name in RAW_INPUTS[modality]:
            if name not in self.spec.inputs:
                continue
            if name in given and source is not None:
                complete[name] = given[name].to(self.device, dtype_of(name))
            else:
                value = int(source is not None and name == mask_of(modality))
                complete[name] = torch.full(self.spec.shape(name, size, length), value, dtype=dtype_of(name))
        return complete

    def _minimal_length(self, modality: str) -> int:
        on_samples = "samples" in self.spec.inputs[mask_of(modality)]
        return receptive_field(self.config.speech_config) if on_samples else 1


def _provider(device: str | int | torch.device | None, available: list[str]) -> str:
    if isinstance(device, int):
        device = "cpu" if device < 0 else f"cuda:{device}"
    kind = str(device or "cpu").partition(":")[0]
    provider = PROVIDERS.get(kind)
    if provider not in available:
        usable = [name for name, wanted in PROVIDERS.items() if wanted in available]
        hint = "; `pip install onnxruntime-gpu` adds cuda" if kind == "cuda" else ""
        raise ValueError(f"device '{device}': onnxruntime here runs on {', '.join(usable)} only{hint}")
    return provider
