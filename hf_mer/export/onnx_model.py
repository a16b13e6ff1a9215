"""An ONNX file in the place of a model."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.folder import read_export
from hf_mer.export.graph import GraphSpec
from hf_mer.export.graph_model import GraphModel

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxMerModel(GraphModel):
    """A model that onnxruntime runs; PyTorch only carries its tensors.

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

    Raises:
        ValueError: If onnxruntime has nothing to run on that device, or the graph is another one.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        config: Any,
        spec: GraphSpec,
        device: str | int | torch.device | None = None,
        threads: int | None = None,
    ):
        super().__init__(config, spec)
        import onnxruntime

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
            raise ValueError(f"{path} knows {classes} classes, id2label in config.json {self.config.num_labels}")

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
            OSError: If the folder is no export, or has no such file.
        """
        config, spec = read_export(folder, file_name)
        return cls(Path(folder, file_name), config, spec, **settings)

    def run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the graph on all of its inputs; its outputs by name."""
        arrays = {name: inputs[name].numpy() for name in self._inputs}
        outputs = self.session.run(list(self.spec.outputs), arrays)
        return {name: torch.from_numpy(array) for name, array in zip(self.spec.outputs, outputs, strict=True)}


def _provider(device: str | int | torch.device | None, available: list[str]) -> str:
    if isinstance(device, int):
        device = "cpu" if device < 0 else f"cuda:{device}"
    kind = str(device or "cpu").partition(":")[0]
    provider = PROVIDERS.get(kind)
    if provider not in available:
        usable = [name for name, wanted in PROVIDERS.items() if wanted in available]
        hint = "; `pip install onnxruntime-gpu` brings cuda" if kind == "cuda" else ""
        raise ValueError(f"device '{device}': onnxruntime here runs on {', '.join(usable)} only{hint}")
    return provider
