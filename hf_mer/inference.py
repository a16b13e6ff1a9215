"""One way to a loaded pipeline, for the command line, the page and evaluation."""

import os
from pathlib import Path
from typing import Any

from hf_mer.export.folder import find_exported


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
        checkpoint: Folder, or repository on the Hub; of an export the folder, or one of its graphs
            (`exported/model_int8.onnx`).
        revision: Branch, tag or commit of the repository.
        device: As for `transformers.pipeline`, such as `cuda` or `cpu`.
        dtype: Of the model's weights, such as `bfloat16`; as saved if not given.
        asr: Name of a speech-recognition checkpoint, or its pipeline, for inputs without words.

    Raises:
        ValueError: If the folder is no checkpoint, or an export cannot run on that device or with that type.
        HubError: If the Hub cannot be reached, or has no such repository or revision.
    """
    graph = find_exported(checkpoint)
    if graph is not None:
        return _exported_recognizer(graph, device, dtype, {} if asr is None else {"asr": asr})
    from transformers import pipeline

    from hf_mer.models import PIPELINE_TASK

    settings: dict[str, Any] = {"revision": revision, "device": device, "dtype": dtype, "asr": asr}
    return pipeline(
        PIPELINE_TASK, model=str(checkpoint), **{name: value for name, value in settings.items() if value is not None}
    )


def _exported_recognizer(graph: Path, device: str | int | None, dtype: str | None, settings: dict[str, Any]) -> Any:
    """The pipeline around a graph; where that runs is settled in it, tensors stay on the CPU."""
    from hf_mer.export.folder import load_exported
    from hf_mer.models import MerProcessor, MultimodalEmotionRecognitionPipeline

    if dtype not in (None, "float32", "auto"):
        raise ValueError(f"dtype '{dtype}': the graph {graph} was exported in float32")
    return MultimodalEmotionRecognitionPipeline(
        model=load_exported(graph, device),
        processor=MerProcessor.from_pretrained(graph.parent),
        device="cpu",
        **settings,
    )
