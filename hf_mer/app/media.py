"""What a visitor gave: recordings are read once, and whatever is wrong with them is said in a sentence."""

import contextlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)


class PageError(ValueError):
    """Something that the visitor can mend; the message is for the page."""


@dataclass(frozen=True)
class Recording:
    """Sound as the model hears it.

    Attributes:
        samples: Mono. Shape `(N,)`.
        sampling_rate: Hz.
        name: Of the file, without its folder.
        cut: Whether the file went on after the model's longest utterance.
        notices: What else is to be said of it, one sentence each.
    """

    samples: np.ndarray
    sampling_rate: int
    name: str
    cut: bool = False
    notices: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.sampling_rate

    @property
    def silent(self) -> bool:
        """Whether there is nothing to be heard."""
        from hf_mer.models.audio_samples_mer import is_silent

        return is_silent(self.samples)


def read_recording(path: str, sampling_rate: int, max_seconds: float | None = None) -> Recording:
    """Reads the sound of a recording or a video.

    Args:
        path: Of the file.
        sampling_rate: Wanted rate, Hz.
        max_seconds: What comes after is left out; everything is kept if None.

    Raises:
        AudioError: If the file cannot be used.
    """
    from hf_mer.models.audio_mer import load_audio
    from hf_mer.models.notes_mer import collected_notes

    longest = None if max_seconds is None else max_seconds + 1.0
    with collected_notes() as notes:
        samples = load_audio(path, sampling_rate, max_seconds=longest)
    kept = len(samples) if max_seconds is None else round(max_seconds * sampling_rate)
    recording = Recording(samples[:kept], sampling_rate, Path(path).name, cut=len(samples) > kept)
    said = ("heard the first", *(("are silent",) if recording.silent else ()))  # the page has sentences of its own
    rest = [told for told in notes if not any(part in told for part in said)]
    return replace(recording, notices=as_notices(rest, [path]))


def keep(path: str | None) -> None:
    """Makes an upload young again: what is old is deleted, even where its visitor waits."""
    with contextlib.suppress(OSError):
        if path:
            os.utime(path)


def as_notices(warnings: Iterable[str], files: Iterable[str | None] = ()) -> tuple[str, ...]:
    """Warnings of the pipeline as sentences for the page.

    Args:
        warnings: What was said.
        files: Paths that are shown by their names alone: folders of the server are nobody's business.
    """
    return tuple(_named(told, files)[:1].upper() + _named(told, files)[1:] + "." for told in warnings)


def _named(text: str, files: Iterable[str | None]) -> str:
    for file in files:
        if file:
            text = text.replace(file, Path(file).name)
    return text


def message_of(error: Exception, files: Iterable[str | None] = ()) -> str:
    """A sentence about an error for the page; what nobody expected is logged with its traceback.

    Args:
        error: What was raised.
        files: Paths that are shown by their names alone: folders of the server are nobody's business.
    """
    expected = isinstance(error, (ValueError, OSError, ImportError))
    if not expected:
        logger.error("the page could not answer", exc_info=error)
        return "An unexpected error occurred on the server; its log has the details. Other recordings may still work."
    text = _named(" ".join(str(error).split()) or type(error).__name__, files)
    if isinstance(error, PageError):
        return text
    if "[Errno" in text or "cannot be read as" in text:  # what a decoder says tells nobody anything
        return f"{text.partition(' (')[0]}. Is the file complete and in a supported format?"
    if "no such" in text and "file" in text:
        return "The upload was deleted in the meantime (uploads are kept for ten minutes): upload it again."
    return text[0].upper() + text[1:] if " " in text.split(":")[0] else text
