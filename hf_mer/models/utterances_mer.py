"""What a pipeline is given, and what it makes of it: utterances that are loaded and wait for their batch."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .audio_mer import load_audio
from .audio_samples_mer import is_silent
from .dialogue_mer import DialogueHistory, is_dialogue
from .notes_mer import collected_notes, note, say
from .segments_mer import audio_of
from .sources_mer import as_source, is_samples, shown_name
from .timed_words_mer import TimedWord, joined, shifted, timed_words
from .video_mer import media_kinds, probe_video
from .words_mer import has_words, is_nan, turns_with_words

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
        sound: Its sound, of which an explanation makes other features; None where none is asked for. Shape `(N,)`.
        picture_seconds: Length of its clip, for an explanation; None where it is not known.
        heard: Words that the result repeats: recognised ones, and those of a window.
        is_recognised: Whether its words were recognised in its sound, and not given.
        timed_words: Words with their times, seconds of the recording; None where they are not known.
        dialogue: The dialogue of a turn whose history is still to be filled in.
        start: Seconds at which a window of a long recording begins.
        end: Seconds at which it ends.
        kind: `utterance`, `turn` of a dialogue or `window` of a long recording.
        is_last: Whether no more utterances belong to the same input.
        is_empty: A place holder for an input without utterances.
        is_silent: Whether it has sound in which there is nothing to be heard.
        is_undecided: Whether that silence is all it has to decide by.
        place: Where it stands in the inputs, for messages; empty for the only one.
        notes: What is to be said of it.
        recording_notes: Of a window, what is to be said of the recording; whole with its last window.
    """

    features: np.ndarray | None = None
    text: str | None = None
    history: list[str] | None = None
    pixels: np.ndarray | None = None
    samples: np.ndarray | None = None
    sound: np.ndarray | None = None
    picture_seconds: float | None = None
    heard: str | None = None
    is_recognised: bool = False
    timed_words: list[TimedWord] | None = None
    dialogue: DialogueHistory | None = None
    start: float = 0.0
    end: float = 0.0
    kind: str = "utterance"
    is_last: bool = True
    is_empty: bool = False
    is_silent: bool = False
    is_undecided: bool = False
    place: str = ""
    notes: list[str] = field(default_factory=list)
    recording_notes: list[str] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether there is anything to decide by."""
        return self.features is not None or self.pixels is not None or has_words(self.text, self.history)

    @property
    def said(self) -> str | None:
        """Its words, but for those that were recognised in silence."""
        return None if self.is_silent and self.is_recognised else self.text

    def weigh_silence(self) -> None:
        """Once words and histories are complete: silent sound goes where anything else is there to decide by.

        Words that were recognised in silence are no evidence.
        """
        if not self.is_silent:
            return
        self.is_undecided = self.pixels is None and not has_words(self.said, self.history)
        if not self.is_undecided:
            self.features, self.sound, self.text = None, None, self.said

    def take(self, recognised: Any) -> None:
        """Words that were recognised in its sound, and what is to be said of them.

        Args:
            recognised: Of `recognise_words`; times from the beginning of the sound.
        """
        self.text = self.heard = recognised.text
        self.is_recognised = True
        if recognised.words is not None:
            self.timed_words = shifted(recognised.words, self.start)
        if recognised.note:
            self.notes.append(recognised.note)
            say([recognised.note])

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
        arrays = (self.features, self.pixels, self.samples, self.sound)
        return sum(array.nbytes for array in arrays if array is not None)


def as_item(inputs: Any) -> Mapping[str, Any]:
    """An input as a dictionary of modalities; what is none already is the sound, or a video.

    NaN, which pandas has where a cell is empty, is what is not there.
    """
    known = {"audio", "video", "text", "history"}
    if is_dialogue(inputs):
        return inputs
    if not (isinstance(inputs, Mapping) and known & set(inputs)):
        return {"audio": None if is_nan(inputs) else inputs}
    return {name: None if is_nan(value) else value for name, value in inputs.items()}


def merge_columns(inputs: Any, text: Any, history: Any) -> Any:
    """One dictionary per utterance out of inputs and the keywords beside them."""
    if (not isinstance(inputs, (list, tuple)) or is_samples(inputs)) and not (
        inputs is None and isinstance(text, (list, tuple))
    ):
        beside = {"text": text, "history": history}
        return {
            **as_item(inputs),
            **{name: one for name, one in beside.items() if one is not None and not is_nan(one)},
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
        explains: Whether utterances keep what an explanation needs, their sound and the length of their picture.
    """

    def __init__(self, processor: Any, modalities: list[str], recognises: bool = False, explains: bool = False):
        self.processor = processor
        self.modalities = modalities
        self.recognises = recognises and "text" in modalities
        self.explains = explains

    def __call__(self, item: Mapping[str, Any], sampling_rate: int | None = None) -> Utterance:
        """Loads one utterance and computes its features.

        Args:
            item: With any of `audio`, `video`, `text`, `history` and `sampling_rate`; `text` with or without times,
                which count from the beginning of the utterance.
            sampling_rate: Of arrays, Hz, where the item does not say.

        Raises:
            ValueError: If a file cannot be used, or nothing is there that the model can use.
        """
        with collected_notes() as notes:
            utterance = self._load(item, sampling_rate)
        utterance.notes = list[str](notes)
        say(notes)
        return utterance

    def _load(self, item: Mapping[str, Any], sampling_rate: int | None) -> Utterance:
        text, history = (item.get("text"), item.get("history")) if "text" in self.modalities else (None, None)
        timed = None if text is None or isinstance(text, str) else timed_words(text)
        text = text if timed is None else joined(timed)
        history = None if history is None else turns_with_words(history)
        listens = self.recognises and text is None
        audio, video = self.sources(item, listens)
        spoken = has_words(text, history)
        if audio is None and video is None and not spoken:
            raise ValueError(
                f"an input has nothing that this model can use; it needs {' or '.join(self.modalities)}, "
                f"and was given {_given(item)}"
            )
        rate = sampling_rate if item.get("sampling_rate") is None else item["sampling_rate"]
        utterance = Utterance(text=text, history=history, timed_words=timed)
        if audio is not None:

            def others() -> bool:
                return spoken or (video is not None and _may_have(video, "video"))

            sound = _read(audio, "speech", lambda: self._hear(audio, rate), others)
            utterance.features, samples, utterance.is_silent = sound or (None, None, False)
            utterance.samples = samples if listens else None
            utterance.sound = samples if self.explains and utterance.features is not None else None
        if video is not None:
            heard = spoken or utterance.features is not None or utterance.samples is not None
            utterance.pixels = _read(video, "video", lambda: self.processor.extract_video(video), lambda: heard)
            if self.explains and utterance.pixels is not None:
                utterance.picture_seconds = self._picture_seconds(video)
        if utterance.is_silent:
            rest = spoken or utterance.pixels is not None
            told = (
                "silence is ignored; only the other inputs are used"
                if rest
                else "there is only silence to predict from"
            )
            note(f"{name_of(audio)}: {told}")
        return utterance

    def sources(self, item: Mapping[str, Any], listens: bool) -> tuple[Any, Any]:
        """What to listen to and what to look at; None where there is nothing, or the model has no use for it.

        Raises:
            ValueError: If an address is given instead of a file.
        """
        given, clip = audio_of(item), item.get("video")
        audio = as_source(given)
        video = audio if clip is given else as_source(clip)  # some files can be read only once
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
        return self.processor.features_of(samples, name)

    def _picture_seconds(self, video: Any) -> float | None:
        """Length of what is seen of a clip; None for an array of frames, which have no times."""
        if not isinstance(video, (str, bytes, os.PathLike, Mapping)) or (
            isinstance(video, Mapping) and video.get("array") is not None
        ):
            return None
        longest = self.processor.max_video_seconds
        seconds = probe_video(video).seconds
        return seconds if longest is None else min(seconds, longest)

    def _hear(self, audio: Any, rate: int | None) -> tuple[np.ndarray | None, np.ndarray, bool]:
        """Features, the samples themselves, and whether they are silent."""
        wanted, longest = self.processor.sampling_rate, self.processor.max_audio_seconds
        samples = load_audio(audio, wanted, source_rate=rate, max_seconds=longest)
        return self.features_of(samples, name_of(audio)), samples, is_silent(samples)


def name_of(source: Any) -> str:
    """What a source is called in messages."""
    return shown_name(source, "input")


def _read(source: Any, kind: str, load: Callable[[], Any], others: Callable[[], bool]) -> Any:
    """What `load` gives; None, with a warning, for a file without that stream if there are others to decide."""
    try:
        return load()
    except ValueError:
        if not others() or _may_have(source, kind):
            raise
    note(f"{name_of(source)}: has no {'sound' if kind == 'speech' else 'picture'}; only the other inputs are used")
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
