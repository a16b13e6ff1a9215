"""One utterance: what the model makes of it, and of each of its modalities alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_mer.app.media import PageError, Recording, as_notices, read_recording
from hf_mer.app.model import PageModel, modality_names

_BINS = 400  # of the waveform that is drawn
MAX_WORDS, MAX_HISTORY = 5_000, 20_000  # characters, many times what a model reads

Scores = list[dict[str, Any]]
"""`{"label", "score"}`, best first."""


@dataclass(frozen=True)
class Utterance:
    """What a visitor gave.

    Attributes:
        sound: Path of a recording.
        video: Path of a video; its sound is used where there is no recording.
        words: What was said.
        history: Earlier utterances, oldest first.
    """

    sound: str | None = None
    video: str | None = None
    words: str = ""
    history: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str | None, ...]:
        """Paths of what was uploaded."""
        return self.sound, self.video


@dataclass(frozen=True)
class Prediction:
    """What the model made of an utterance; small, and without the recording itself.

    Attributes:
        scores: Of all classes, best first.
        utterance: What was given.
        text: The words that were used, typed or recognised.
        said: The same with their times, as the pipeline takes them, where speech recognition gave them.
        recognised: Whether speech recognition gave the words.
        modalities: What the utterance had of what the model uses.
        envelope: Of the waveform, as `hf_mer.plots.waveform.waveform_envelope` gives it; None without sound.
        seconds: Length of the recording.
        notices: What a visitor should know, one sentence each.
    """

    scores: Scores
    utterance: Utterance = Utterance()
    text: str = ""
    said: str | list[dict[str, Any]] = ""
    recognised: bool = False
    modalities: tuple[str, ...] = ()
    envelope: np.ndarray | None = None
    seconds: float = 0.0
    notices: tuple[str, ...] = ()


def decide(scores: Scores, threshold: float) -> str | None:
    """The best label, or None where its score is below the threshold."""
    return scores[0]["label"] if scores[0]["score"] >= threshold else None


def predict(model: PageModel, utterance: Utterance) -> Prediction:
    """What the model makes of an utterance.

    Raises:
        PageError: If there is nothing that this model can use.
        AudioError: If the recording is unusable.
        VideoError: If the video is unusable.
    """
    return _predict(model, utterance, *load_row(model, utterance))


def compare(model: PageModel, utterance: Utterance) -> dict[str, Prediction]:
    """Predictions by what is used: each modality alone, and all together.

    Returns:
        Scores and modalities by name, such as `speech alone` and `speech and text`.

    Raises:
        PageError: If there are not two modalities to compare.
        AudioError: If the recording is unusable.
        VideoError: If the video is unusable.
    """
    row, recording, notices = load_row(model, utterance)
    together = _predict(model, utterance, row, recording, notices)
    given = [name for name in ("speech", "text", "video") if name in together.modalities]
    if len(given) < 2:
        names = modality_names(model.modalities)
        if len(model.modalities) < 2:
            raise PageError(f"There is nothing to compare: this model uses only {names}.")
        raise PageError(f"To compare modalities, give at least two of those that this model uses: {names}.")
    history = row["history"]
    parts: dict[str, dict[str, Any]] = {
        "speech": {"audio": row["audio"], "video": None, "text": ""},
        "text": {"audio": None, "video": None, "text": together.text, "history": history},
        "video": {"audio": None, "video": row["video"], "text": ""},
    }
    alone = model([parts[name] for name in given])
    return {
        **{f"{name} alone": Prediction(scores, modalities=(name,)) for name, scores in zip(given, alone, strict=True)},
        modality_names(given): together,
    }


def check_length(name: str, text: str, most: int) -> None:
    """Refuses a text that would keep the server busy for nothing.

    Raises:
        PageError: If it is too long.
    """
    if len(text) > most:
        raise PageError(f"The {name} have {len(text)} characters; the limit is {most}.")


def warm_up(model: PageModel) -> None:
    """One prediction for nobody, so that the first visitor does not wait for what is loaded on demand."""
    noise = np.random.default_rng(0).normal(scale=0.01, size=model.sampling_rate).astype(np.float32)
    recording = Recording(noise, model.sampling_rate, "noise")
    heard = recording if model.uses("speech") else None
    if heard is not None or model.uses("text"):
        text = "words" if model.uses("text") else ""
        row = {"audio": _audio(heard), "video": None, "text": text, "history": None}
        _predict(model, Utterance(), row, heard, [])


def load_row(model: PageModel, utterance: Utterance) -> tuple[dict[str, Any], Recording | None, list[str]]:
    """The pipeline's input with every key set, the sound if there is any, and notices.

    Raises:
        PageError: If there is nothing that this model can use.
        AudioError: If the recording is unusable.
    """
    from hf_mer.models.audio_mer import AudioError

    words = " ".join(utterance.words.split()) if model.uses("text") else ""
    history = list(utterance.history) if model.uses("text") else []
    check_length("words", utterance.words, MAX_WORDS)
    check_length("earlier utterances", "".join(history), MAX_HISTORY)
    video = utterance.video if model.uses("video") else None
    heard = utterance.sound or utterance.video
    recording, notices = None, []
    if model.uses("speech") and heard:
        try:
            recording = read_recording(heard, model.sampling_rate, model.max_seconds)
        except AudioError:
            if utterance.sound or not video:
                raise
            notices.append("The video has no readable sound; only its picture is used.")
    if recording is not None and recording.silent:
        if not (words or video):
            raise PageError(f"{recording.name} is silent: nothing can be heard. Is the microphone on?")
        notices.append("The recording is silent and was ignored.")
        recording = None
    if recording is not None:
        notices += recording.notices
    if utterance.sound and utterance.video:
        notices.append(_both_given(model))
    if recording is not None and recording.cut:
        notices.append(
            f"Only the first {recording.seconds:g} seconds are used; for the whole recording, use the tab "
            "Long recording."
        )
    if recording is None and video is None and not words and not history:
        raise PageError(f"There is nothing to recognise: {_wanted(model)}.")
    row = {"audio": _audio(recording), "video": video, "text": words, "history": history or None}
    return row, recording, notices


def _predict(
    model: PageModel,
    utterance: Utterance,
    row: dict[str, Any],
    recording: Recording | None,
    notices: Sequence[str],
) -> Prediction:
    from hf_mer.plots.waveform import waveform_envelope

    recognises = model.listens and recording is not None and model.uses("text") and not row["text"]
    answer = model({**row, "text": None} if recognises else row, threshold=0.0)
    text = str(answer.get("text") or "") if recognises else row["text"]
    if recognises and not text:
        notices = [*notices, "No words were recognised; only the voice is used."]
    told = as_notices(answer.get("warnings", ()), [row["video"]])
    notices = [*notices, *(notice for notice in told if notice not in notices)]
    has = {
        "text": bool(text or row["history"]),
        "speech": recording is not None,
        "video": row["video"] is not None,
    }
    return Prediction(
        scores=answer["scores"],
        utterance=utterance,
        text=text,
        said=_with_times(text, answer.get("timed_words") or ()),
        recognised=recognises and bool(text),
        modalities=tuple(name for name in ("text", "speech", "video") if model.uses(name) and has[name]),
        envelope=None if recording is None else waveform_envelope(recording.samples, recording.sampling_rate, _BINS),
        seconds=0.0 if recording is None else recording.seconds,
        notices=tuple(notices),
    )


def _with_times(text: str, timed: Sequence[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Words that were recognised with their times, where they are the same text; else the text alone."""
    if not timed or " ".join(word["word"] for word in timed) != text:
        return text
    return [{"text": word["word"], "timestamp": (word["start"], word["end"])} for word in timed]


def _audio(recording: Recording | None) -> dict[str, Any] | None:
    if recording is None:
        return None
    return {"array": recording.samples, "sampling_rate": recording.sampling_rate, "path": recording.name}


def _both_given(model: PageModel) -> str:
    """What becomes of a recording and a video, where both were given."""
    if not model.uses("video"):
        return "A recording and a video were given: the recording is used, the video is not."
    if not model.uses("speech"):
        return "A recording and a video were given: this model does not use sound, so the recording is not used."
    return "A recording and a video were given: sound is taken from the recording, the picture from the video."


def _wanted(model: PageModel) -> str:
    wanted = {"speech": "record or upload sound", "text": "type the words", "video": "give a video"}
    return " or ".join(wanted[name] for name in ("speech", "text", "video") if model.uses(name))
