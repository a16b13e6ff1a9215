"""What the files of a processor may hold, and which of them is meant where one cannot be read."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from transformers import AutoFeatureExtractor, AutoTokenizer

from .fields_mer import FieldError, first_line, flag, in_file, number, optional, whole

PROCESSOR_RULES = {
    "max_history": whole(0),
    "max_text_tokens": whole(8),
    "max_audio_seconds": optional(number(above=0)),
    "min_audio_seconds": number(0),
    "num_frames": whole(1, 10_000),
    "max_video_seconds": optional(number(above=0)),
    "face_crop": flag,
}
EXTRACTOR_RULES = {
    "feature_extractor.sampling_rate": whole(1000, 768_000),
    "feature_extractor.num_mel_bins": whole(1, 10_000),
    "feature_extractor.stride": whole(1, 1000),
    "feature_extractor.hop_length": whole(1, 768_000),
    "feature_extractor.n_fft": whole(2, 768_000),
    "feature_extractor.feature_size": whole(1, 10_000),
    "feature_extractor.padding_value": number(),
    "feature_extractor.do_normalize": flag,
}
_PARTS = {"tokenizer.json and tokenizer_config.json": AutoTokenizer,
          "feature_extractor in processor_config.json, or preprocessor_config.json": AutoFeatureExtractor}  # fmt: skip


@contextmanager
def readable_processor(folder: str | os.PathLike, kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Names the file of a processor that cannot be loaded: libraries raise errors of every kind, none with a file.

    Args:
        folder: Or repository on the Hub.
        kwargs: Of `from_pretrained`.
    """
    try:
        with in_file(folder, "processor_config.json", kwargs):
            yield
    except (FieldError, OSError, ImportError):
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"{folder}: {_unreadable(folder, kwargs)} cannot be read ({told})") from error


def _unreadable(folder: str | os.PathLike, kwargs: Mapping[str, Any]) -> str:
    """The part that cannot be loaded by itself either."""
    for files, auto_class in _PARTS.items():
        try:
            auto_class.from_pretrained(folder, **kwargs)
        except Exception:
            return files
    return "processor_config.json"
