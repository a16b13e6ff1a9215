"""Words for utterances that come without: any speech recogniser in front of the emotion model."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import Pipeline, pipeline

from .resampling_mer import plausible_rate, resample


def load_recogniser(asr: Any, device: torch.device) -> Callable[..., Any] | None:
    """Makes a speech recogniser of what was given as `asr`.

    Args:
        asr: A pipeline of transformers (`automatic-speech-recognition`), the name or folder of a checkpoint for one,
            or any function of samples (float32, mono) and their rate (Hz) that gives the words, as a string or as a
            dictionary with `text`.
        device: Where a pipeline that is loaded here runs.

    Raises:
        TypeError: If it is none of these.
    """
    if isinstance(asr, (str, os.PathLike)):
        return pipeline("automatic-speech-recognition", model=os.fspath(asr), device=device)
    if asr is not None and not callable(asr):
        raise TypeError(
            "asr must be a speech-recognition pipeline, the name of its checkpoint, or a function of samples and "
            f"sampling rate, got a {type(asr).__name__}"
        )
    return asr


def recognise_words(asr: Callable[..., Any], samples: list[np.ndarray], sampling_rate: int) -> list[str]:
    """Words of every recording.

    A pipeline hears as many recordings at once as it was made for (`batch_size` of its own, one by default), so that
    what it hears does not depend on the batches of the emotion model.

    Args:
        asr: What `load_recogniser` gave.
        samples: Mono, float32. Each of shape `(N,)`.
        sampling_rate: Hz.

    Raises:
        TypeError: If the recogniser gives no text.
        ValueError: If the recogniser's own sampling rate is not possible.
    """
    if isinstance(asr, Pipeline):
        own = getattr(asr.feature_extractor, "sampling_rate", sampling_rate)
        if own != sampling_rate:  # not by the pipeline itself, which needs gigabytes for some rates
            own = plausible_rate(own, f"the speech recogniser's {type(asr.feature_extractor).__name__}")
            samples, sampling_rate = [resample(recording, sampling_rate, own) for recording in samples], own
        # fresh dictionaries: the pipeline empties those that it is given
        answers = asr([{"raw": recording, "sampling_rate": sampling_rate} for recording in samples])
    else:
        answers = [asr(recording, sampling_rate) for recording in samples]
    return [_text_of(answer) for answer in answers]


def _text_of(answer: Any) -> str:
    text = answer.get("text") if isinstance(answer, dict) else answer
    if not isinstance(text, str):
        raise TypeError(f"asr must give a string, or a dictionary with 'text', got {answer!r}")
    return text.strip()
