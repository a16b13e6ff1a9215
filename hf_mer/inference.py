"""One way to a loaded pipeline, for the command line, the page and evaluation."""

import os
from typing import Any


def load_recognizer(
    checkpoint: str | os.PathLike,
    *,
    revision: str | None = None,
    device: str | int | None = None,
    dtype: str | None = None,
    asr: Any = None,
) -> Any:
    """The pipeline of a checkpoint.

    Args:
        checkpoint: Folder, or repository on the Hub.
        revision: Branch, tag or commit of the repository.
        device: As for `transformers.pipeline`, such as `cuda` or `cpu`.
        dtype: Of the model's weights, such as `bfloat16`; as saved if not given.
        asr: Name of a speech-recognition checkpoint, or its pipeline, for inputs without words.

    Raises:
        ValueError: If the folder is no checkpoint.
        HubError: If the Hub cannot be reached, or has no such repository or revision.
    """
    from transformers import pipeline

    from hf_mer.models import PIPELINE_TASK

    settings: dict[str, Any] = {"revision": revision, "device": device, "dtype": dtype, "asr": asr}
    return pipeline(
        PIPELINE_TASK, model=str(checkpoint), **{name: value for name, value in settings.items() if value is not None}
    )
