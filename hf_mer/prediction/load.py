"""One way to a loaded pipeline, for the command line, the page and evaluation, whatever kind of checkpoint it is."""

import os
from pathlib import Path
from typing import Any

from hf_mer.export.folder import find_exported
from hf_mer.hub.errors import hub_errors
from hf_mer.hub.loading import load_checkpoint, reading

_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def load_recognizer(
    checkpoint: str | os.PathLike,
    *,
    revision: str | None = None,
    device: str | int | None = None,
    dtype: str | None = None,
    asr: Any = None,
) -> Any:
    """The pipeline of a checkpoint, or of what `hf-mer export` made of one.

    Args:
        checkpoint: Folder of a model or of a fold, or repository on the Hub; of an export the folder, or one of its
            graphs (`exported/model_int8.onnx`).
        revision: Branch, tag or commit of the repository.
        device: As for `transformers.pipeline`, such as `cuda` or `cpu`.
        dtype: Of the model's weights, such as `bfloat16`; as saved if not given.
        asr: Name of a speech-recognition checkpoint, or its pipeline, for inputs without words.

    Raises:
        ValueError: If the folder is not a checkpoint (of a folder of folds the message names them), or the device is
            not there, or the type none of weights; also where an export cannot run there or with that type.
        HubError: If the Hub cannot be reached, or has no such repository or revision.
    """
    graph = find_exported(checkpoint)
    if graph is None:
        _check_placement(device, dtype)
        model, processor = load_checkpoint(checkpoint, revision, dtype)
    else:
        model, processor = _load_exported(graph, device, dtype)
    from hf_mer.models import PIPELINE_TASK, MultimodalEmotionRecognitionPipeline

    return MultimodalEmotionRecognitionPipeline(
        model=model,
        processor=processor,
        device=device if graph is None else "cpu",  # where a graph runs is settled in it
        asr=_load_asr(asr, device),
        task=PIPELINE_TASK,
    )


def _check_placement(device: Any, dtype: Any) -> None:
    """Refuses a device that this machine lacks, and types that weights cannot have, before anything is loaded."""
    import torch

    there = ["cpu"]
    if torch.accelerator.is_available():
        kind = str(torch.accelerator.current_accelerator())
        there += [kind, *(f"{kind}:{index}" for index in range(torch.accelerator.device_count()))]
    if isinstance(device, int):
        known = device < torch.accelerator.device_count()
    else:
        known = device is None or str(device) in (*there, "cpu:0")
    if not known:
        raise ValueError(f"device '{device}' is not one of this machine's: {', '.join(there)}")
    if dtype is not None and (dtype if isinstance(dtype, str) else str(dtype).removeprefix("torch.")) not in _DTYPES:
        raise ValueError(f"dtype '{dtype}' is not one of {', '.join(_DTYPES)}")


def _load_asr(asr: Any, device: str | int | None) -> Any:
    """The speech recogniser of a name; what is no name is one already, or none."""
    if not isinstance(asr, (str, os.PathLike)):
        return asr
    from hf_mer.models.speech_recognition_mer import load_recogniser

    with hub_errors(str(asr), writing=False):
        return load_recogniser(asr, device)


def _load_exported(graph: Path, device: str | int | None, dtype: str | None) -> tuple[Any, Any]:
    """Model and processor of a graph."""
    if graph.suffix == ".pt2":
        raise ValueError(
            f"{graph}: programs of torch.export are run by PyTorch, torch.export.load('{graph.name}').module(); for "
            f"`hf-mer predict` name the checkpoint, or its export by `hf-mer export`"
        )
    if dtype not in (None, "float32", "auto"):
        raise ValueError(f"dtype '{dtype}': the graph {graph} was exported in float32")
    from hf_mer.export.onnx_model import OnnxMerModel
    from hf_mer.models import MerProcessor

    with reading(str(graph)):
        model = OnnxMerModel.from_pretrained(graph.parent, graph.name, device=device)
    return model, MerProcessor.from_pretrained(graph.parent)
