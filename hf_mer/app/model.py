"""A checkpoint as the page needs it: its pipeline and what there is to say about it."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_mer.hub.training_corpus import Corpus, corpus_of

MAX_SECONDS = 60.0
THRESHOLD = 0.5
"""Where validation has set none."""


def modality_names(modalities: Sequence[str]) -> str:
    """`text, speech and video`, in the order given."""
    *names, last = modalities
    return f"{', '.join(names)} and {last}" if names else last


@dataclass(frozen=True)
class PageModel:
    """A loaded checkpoint.

    Attributes:
        recognise: The pipeline.
        name: To show: the repository, or the last parts of the folder.
        labels: Classes, in the order of the logits.
        modalities: What the model uses, of `text`, `speech`, `video`.
        corpus: What it was trained on.
        system: Name of the model's type, such as `le_mer`.
        listens: Whether words that are not given are recognised.
        lock: One prediction at a time: the model uses all cores for one.
        turnstile: Held by whoever is next, so that long work that goes on does not overtake who waits.
    """

    recognise: Any
    name: str
    labels: list[str]
    modalities: tuple[str, ...]
    corpus: Corpus = field(default_factory=Corpus)
    system: str = ""
    listens: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    turnstile: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, inputs: Any, **settings: Any) -> Any:
        """The pipeline's answer."""
        self._enter()
        try:
            return self.recognise(inputs, **settings)
        finally:
            self.lock.release()

    def _enter(self) -> None:
        with self.turnstile:
            self.lock.acquire()

    def give_way(self) -> None:
        """Inside a call, between two of its steps: whoever waits for the model has it first."""
        self.lock.release()
        self._enter()

    def uses(self, modality: str) -> bool:
        """Whether the model uses a modality."""
        return modality in self.modalities

    @property
    def sampling_rate(self) -> int:
        """Hz."""
        return int(self.recognise.processor.sampling_rate)

    @property
    def max_seconds(self) -> float:
        """Of one utterance: what the processor hears of it, or what the page lets it hear if that has no limit."""
        longest = self.recognise.processor.max_audio_seconds
        return MAX_SECONDS if longest is None else longest

    def temperature(self, modalities: tuple[str, ...]) -> float | None:
        """The temperature that was fitted for these modalities; None where none was."""
        from hf_mer.models.configuration_mer import modality_key

        return getattr(self.recognise.model.config, "temperatures", {}).get(modality_key(modalities))

    @property
    def has_thresholds(self) -> bool:
        """Whether validation set thresholds, by the modalities that an utterance has."""
        return bool(getattr(self.recognise.model.config, "thresholds", {}))

    def has_threshold(self, modalities: Sequence[str]) -> bool:
        """Whether validation set a threshold for an utterance with these modalities."""
        return self.has_thresholds and self.recognise.model.config.threshold_of(modalities) is not None

    def threshold(self, chosen: float | None, modalities: Sequence[str]) -> float:
        """Below which an utterance with these modalities has no label.

        Args:
            chosen: By the visitor; None for that of validation.
            modalities: What the utterance has.
        """
        if chosen is not None:
            return chosen
        return self.recognise.model.config.threshold_of(modalities) if self.has_threshold(modalities) else THRESHOLD


def load_page_model(checkpoint: str | os.PathLike, *, revision: str | None = None, asr: Any = None) -> PageModel:
    """Loads a checkpoint for the page.

    Args:
        checkpoint: Folder, or repository on the Hub.
        revision: Branch, tag or commit of the repository.
        asr: Name of a speech-recognition checkpoint, or its pipeline, for recordings without words.

    Raises:
        ValueError: If the folder is not a checkpoint.
        OSError: If the Hub cannot be reached, or has no such repository or revision.
    """
    from hf_mer.prediction.load import load_recognizer

    recognise = load_recognizer(checkpoint, revision=revision, asr=asr)
    config = recognise.model.config
    return PageModel(
        recognise=recognise,
        name=_shown_name(checkpoint),
        labels=[config.id2label[index] for index in range(config.num_labels)],
        modalities=tuple(config.modalities),
        corpus=corpus_of(checkpoint, revision),
        system=config.model_type,
        listens=asr is not None,
    )


def _shown_name(checkpoint: str | os.PathLike) -> str:
    """A repository's name, or the last three parts of a folder's."""
    path = Path(checkpoint)
    return "/".join(path.resolve().parts[-3:]) if path.is_dir() else str(checkpoint)
