"""Words for utterances that come without: any speech recogniser in front of the emotion model."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import Pipeline, pipeline

from .audio_samples_mer import is_silent
from .no_speech_mer import can_tell, evidence_of, has_letters
from .resampling_mer import plausible_rate, resample
from .timed_words_mer import TimedWord, clipped, joined, tightened, timed_words

NO_WORDS = "no words: the recogniser heard no speech"


@dataclass(frozen=True)
class Recognised:
    """What was recognised in a recording.

    Attributes:
        text: The words; empty if there are none.
        words: With their times, from the beginning of the recording; None where the recogniser gives none.
        note: What is to be said of it: that and why words were left out. Empty if none were.
    """

    text: str
    words: list[TimedWord] | None = None
    note: str = ""


def load_recogniser(asr: Any, device: Any = None) -> Callable[..., Any] | None:
    """Makes a speech recogniser of what was given as `asr`.

    Args:
        asr: A pipeline of transformers (`automatic-speech-recognition`), the name or folder of a checkpoint for one,
            or any function of samples (float32, mono) and their rate (Hz) that gives the words, as a string or as a
            dictionary with `text`, and with `chunks` where it knows their times.
        device: Where a pipeline that is loaded here runs, as for `transformers.pipeline`.

    Raises:
        TypeError: If it is none of these.
    """
    if isinstance(asr, (str, os.PathLike)):
        loaded = pipeline("automatic-speech-recognition", model=os.fspath(asr), device=device)
        if loaded.device.type == "cpu" and loaded.model.dtype in (torch.float16, torch.bfloat16):
            loaded.model.float()  # Whisper's weights are published in half precision, which CPUs compute slowly
        return loaded
    if asr is not None and not callable(asr):
        raise TypeError(
            "asr must be a speech-recognition pipeline, the name of its checkpoint, or a function of samples and "
            f"sampling rate, got a {type(asr).__name__}"
        )
    return asr


def recognise_words(asr: Callable[..., Any], samples: list[np.ndarray], sampling_rate: int) -> list[Recognised]:
    """Words of every recording, with their times where the recogniser knows them.

    A pipeline hears as many recordings at once as it was made for (`batch_size` of its own, one by default), so that
    what it hears does not depend on the batches of the emotion model. It is not asked about silence, and what a
    Whisper writes where it hears no speech itself is left out (`no_speech_mer`). A function is taken at its word.

    Args:
        asr: What `load_recogniser` gave.
        samples: Mono, float32. Each of shape `(N,)`.
        sampling_rate: Hz.

    Raises:
        TypeError: If the recogniser gives no text.
        ValueError: If the recogniser's own sampling rate is not possible, or its `chunks` have no times.
    """
    if isinstance(asr, Pipeline):
        return _ask_pipeline(asr, samples, sampling_rate)
    return [_as_given(asr(recording, sampling_rate), len(recording) / sampling_rate) for recording in samples]


def gives_word_times(asr: Any) -> bool:
    """Whether a pipeline tells when every word is said.

    A Whisper does by its cross-attention, if its settings say which heads follow the sound; a CTC model that hears
    samples by its frames. Of others transformers knows no times, or wrong ones (frames of features taken for samples).
    """
    kind, settings = getattr(asr, "type", None), getattr(asr.model, "generation_config", None)
    if kind == "seq2seq_whisper":
        return can_tell(asr) and bool(getattr(settings, "alignment_heads", None))
    hears_samples = getattr(asr.model, "main_input_name", None) == "input_values"
    splits = kind == "ctc_with_lm" or (kind == "ctc" and hasattr(asr.tokenizer, "_get_word_offsets"))
    return hears_samples and splits and hasattr(asr.model.config, "inputs_to_logits_ratio")


def _ask_pipeline(asr: Any, samples: list[np.ndarray], sampling_rate: int) -> list[Recognised]:
    own = getattr(asr.feature_extractor, "sampling_rate", sampling_rate)
    if own != sampling_rate:  # not by the pipeline itself, which needs gigabytes for some rates
        own = plausible_rate(own, f"the speech recogniser's {type(asr.feature_extractor).__name__}")
        samples, sampling_rate = [resample(recording, sampling_rate, own) for recording in samples], own
    stretches = [_stretches(asr, recording) for recording in samples]
    wanted: dict[str, Any] = {"return_timestamps": "word"} if gives_word_times(asr) else {}
    # fresh dictionaries: the pipeline empties those that it is given
    asked = [
        {"raw": recording, "sampling_rate": sampling_rate}
        for recording, found in zip(samples, stretches, strict=True)
        if any(stretch.is_speech for stretch in found)
    ]
    answers = iter(asr(asked, **wanted) if asked else [])
    return [
        _believed(_heard(next(answers), recording, sampling_rate), found)
        if any(stretch.is_speech for stretch in found)
        else Recognised("", [], f"{NO_WORDS} ({found[0].why})")
        for recording, found in zip(samples, stretches, strict=True)
    ]


@dataclass(frozen=True)
class _Stretch:
    """A part of a recording, as long as the recogniser hears at once, and whether there is speech in it.

    Attributes:
        start: Seconds.
        end: Seconds.
        is_speech: Whether there may be.
        why: What tells that there is not.
    """

    start: float
    end: float
    is_speech: bool = True
    why: str = ""


def _stretches(asr: Any, samples: np.ndarray) -> list[_Stretch]:
    """The parts of a recording at the recogniser's rate; one where the recogniser cannot tell speech itself."""
    rate = getattr(asr.feature_extractor, "sampling_rate", None) or 1
    tells = can_tell(asr)
    size = int(asr.feature_extractor.n_samples) if tells else max(len(samples), 1)
    found = []
    for first in range(0, max(len(samples), 1), size):
        part = samples[first : first + size]
        span = (first / rate, (first + len(part)) / rate)
        if is_silent(part):
            found.append(_Stretch(*span, False, "silence"))
        elif tells and not (evidence := evidence_of(asr, part)).is_speech:
            found.append(_Stretch(*span, False, str(evidence)))
        else:
            found.append(_Stretch(*span))
    return found


def _believed(recognised: Recognised, stretches: list[_Stretch]) -> Recognised:
    """What was recognised, without words in segments that have no speech, and without what is no word at all."""
    if recognised.text and not has_letters(recognised.text):
        return Recognised("", [], f"{NO_WORDS} (it wrote {recognised.text[:20]!r})")
    quiet = [stretch for stretch in stretches if not stretch.is_speech]
    if not quiet or recognised.words is None:
        return recognised
    kept = [
        word
        for word in recognised.words
        if not any(stretch.start <= (word.start + word.end) / 2 < stretch.end for stretch in quiet)
    ]
    told = "; ".join(f"{stretch.start:g} to {stretch.end:g} s: {stretch.why}" for stretch in quiet)
    return Recognised(joined(kept), kept, f"{NO_WORDS} in parts ({told})")


def _heard(answer: Any, samples: np.ndarray, sampling_rate: int) -> Recognised:
    """A pipeline's answer, its words where there is sound."""
    found = _as_given(answer, len(samples) / sampling_rate)
    return found if found.words is None else replace(found, words=tightened(found.words, samples, sampling_rate))


def _as_given(answer: Any, seconds: float) -> Recognised:
    """A recogniser's answer for a recording of so many seconds."""
    text = answer.get("text") if isinstance(answer, Mapping) else answer
    if not isinstance(text, str):
        raise TypeError(f"asr must give a string, or a dictionary with 'text', got {answer!r}")
    chunks = answer.get("chunks") if isinstance(answer, Mapping) else None
    return Recognised(text.strip(), None if chunks is None else clipped(timed_words(chunks), seconds))
