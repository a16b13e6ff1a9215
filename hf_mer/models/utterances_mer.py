"""What a pipeline is given, and what it makes of it: utterances that are loaded and wait for their batch."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .audio_mer import load_audio
from .dialogue_mer import DialogueHistory, is_dialogue
from .segments_mer import audio_of
from .video_mer import media_kinds

logger = logging.getLogger(__name__)

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass
class Utterance:
    """One utterance, loaded: features of what it has, and what is still to be done before the model sees it.

    Attributes:
        features: What `processor.extract_audio` gave; None without sound, or where the model has no use for it.
        text: Its words; None without.
        history: Earlier utterances, oldest first.
        pixels: What `processor.extract_video` gave; None without picture.
        samples: Sound whose words are still to be recognised. Shape `(N,)`.
        heard: Words that were recognised.
        dialogue: The dialogue of a turn whose history is still to be filled in.
        start: Seconds at which a window of a long recording begins.
        end: Seconds at which it ends.
        kind: `utterance`, `turn` of a dialogue or `window` of a long recording.
        is_last: Whether no more utterances belong to the same input.
        is_empty: A place holder for an input without utterances.
    """

    features: np.ndarray | None = None
    text: str | None = None
    history: list[str] | None = None
    pixels: np.ndarray | None = None
    samples: np.ndarray | None = None
    heard: str | None = None
    dialogue: DialogueHistory | None = None
    start: float = 0.0
    end: float = 0.0
    kind: str = "utterance"
    is_last: bool = True
    is_empty: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether there is anything to decide by."""
        return self.features is not None or self.pixels is not None or has_words(self.text, self.history)

    @property
    def length(self) -> tuple[int, int, int]:
        """What batches are sorted by: values of sound, pictures, characters of words and history."""
        characters = sum(len(text or "") for text in (self.text, *(self.history or [])))
        return (
            0 if self.features is None else self.features.size,
            0 if self.pixels is None else len(self.pixels),
            characters,
        )

    @property
    def num_bytes(self) -> int:
        """Memory of the arrays."""
        return sum(array.nbytes for array in (self.features, self.pixels, self.samples) if array is not None)


def has_words(text: str | None, history: list[str] | None) -> bool:
    """Whether text or history say anything."""
    return any(spoken and spoken.strip() for spoken in (text, *(history or [])))


def as_item(inputs: Any) -> Mapping[str, Any]:
    """An input as a dictionary of modalities; what is none already is the sound, or a film."""
    known = {"audio", "video", "text", "history"}
    of_modalities = isinstance(inputs, Mapping) and bool(known & set(inputs))
    return inputs if of_modalities or is_dialogue(inputs) else {"audio": inputs}


def merge_columns(inputs: Any, text: Any, history: Any) -> Any:
    """One dictionary per utterance out of inputs and the keywords beside them."""
    if not isinstance(inputs, (list, tuple)) and not (inputs is None and isinstance(text, (list, tuple))):
        return {
            **as_item(inputs),
            **{name: value for name, value in (("text", text), ("history", history)) if value is not None},
        }
    size = len(inputs) if inputs is not None else len(text)
    for name, column in (("text", text), ("history", history)):
        if isinstance(column, str):
            raise ValueError(f"{name} must be a list of {size}, one for each input, got a str")
    columns = [list(column) if column is not None else [None] * size for column in (inputs, text, history)]
    for name, column in zip(("text", "history"), columns[1:], strict=True):
        if len(column) != size:
            raise ValueError(f"{name} has {len(column)} items, the inputs {size}")
    return [merge_columns(*row) for row in zip(*columns, strict=True)]


class UtteranceLoader:
    """Loads utterances for a model: every stream of a file is decoded once, whoever needs it.

    Args:
        processor: The model's processor.
        modalities: What the model uses.
        recognises: Whether a speech recogniser waits for the sound of utterances without words.
    """

    def __init__(self, processor: Any, modalities: list[str], recognises: bool = False):
        self.processor = processor
        self.modalities = modalities
        self.recognises = recognises and "text" in modalities

    def __call__(self, item: Mapping[str, Any], sampling_rate: int | None = None) -> Utterance:
        """Loads one utterance and computes its features.

        Args:
            item: With any of `audio`, `video`, `text`, `history` and `sampling_rate`.
            sampling_rate: Of arrays, Hz, where the item does not say.

        Raises:
            ValueError: If a file cannot be used, or nothing is there that the model can use.
        """
        text, history = (item.get("text"), item.get("history")) if "text" in self.modalities else (None, None)
        if text is not None and not isinstance(text, str):
            raise ValueError(
                f"text must be a string, got {_short(text)}; timed words are for windows (window_seconds)"
            )
        listens = self.recognises and text is None
        audio, video = self.sources(item, listens)
        spoken = has_words(text, history)
        if audio is None and video is None and not spoken:
            raise ValueError(
                f"an input has nothing that this model can use; it wants {' or '.join(self.modalities)}, "
                f"and was given {_given(item)}"
            )
        rate = item.get("sampling_rate") or sampling_rate
        utterance = Utterance(text=text, history=history)
        if audio is not None:

            def others() -> bool:
                return spoken or (video is not None and _may_have(video, "video"))

            sound = _read(audio, "speech", lambda: self._hear(audio, rate, listens), others)
            utterance.features, utterance.samples = sound or (None, None)
        if video is not None:
            heard = spoken or utterance.features is not None or utterance.samples is not None
            utterance.pixels = _read(video, "video", lambda: self.processor.extract_video(video), lambda: heard)
        return utterance

    def sources(self, item: Mapping[str, Any], listens: bool) -> tuple[Any, Any]:
        """What to listen to and what to look at; None where there is nothing, or the model has no use for it.

        Raises:
            ValueError: If an address is given instead of a file.
        """
        audio, video = audio_of(item), item.get("video")
        for source in (audio, video):
            _refuse_address(source)
        sees = "video" in self.modalities
        if "audio" not in item and video is not None and media_kinds(video):
            audio = video
        elif "video" not in item and sees and audio is not None and "video" in (media_kinds(audio) or ()):
            video = audio
        hears = listens or "speech" in self.modalities
        return audio if hears else None, video if sees else None

    def features_of(self, samples: np.ndarray, name: str = "audio") -> np.ndarray | None:
        """Features of samples at the processor's rate; None for a model without speech."""
        if "speech" not in self.modalities:
            return None
        rate = self.processor.sampling_rate
        return self.processor.extract_audio({"array": samples, "sampling_rate": rate, "path": name})

    def _hear(self, audio: Any, rate: int | None, listens: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Features, and the samples themselves where words are to be recognised in them."""
        if not listens:
            return self.processor.extract_audio(audio, rate), None
        wanted, longest = self.processor.sampling_rate, self.processor.max_audio_seconds
        samples = load_audio(audio, wanted, source_rate=rate, max_seconds=longest)
        return self.features_of(samples, name_of(audio)), samples


def name_of(source: Any) -> str:
    """What a source is called in messages."""
    source = source.get("path") if isinstance(source, Mapping) else source
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else "input"


def _read(source: Any, kind: str, load: Callable[[], Any], others: Callable[[], bool]) -> Any:
    """What `load` gives; None, with a warning, for a file without that stream if there are others to decide."""
    try:
        return load()
    except ValueError:
        if not others() or _may_have(source, kind):
            raise
    logger.warning("%s: has no %s; the rest decides", name_of(source), "sound" if kind == "speech" else "picture")
    return None


def _may_have(source: Any, kind: str) -> bool:
    kinds = media_kinds(source)
    return kinds is None or kind in kinds


def _refuse_address(source: Any) -> None:
    source = source.get("path") if isinstance(source, Mapping) and source.get("bytes") is None else source
    if isinstance(source, str) and _ADDRESS.match(source):
        raise ValueError(f"{source}: addresses are not opened here; download it and give the file's path or bytes")


def _given(item: Mapping[str, Any]) -> str:
    given = [name for name in ("audio", "video", "text", "history") if item.get(name) is not None]
    return " and ".join(given) or "nothing"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
