"""Examples by the generated corpus: synthetic speech with drawn faces, made when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hf_mer.app.model import PageModel
from hf_mer.app.utterance import Utterance, predict

_SAME = {
    "anger": ("angry", "anger", "ang"),
    "joy": ("happy", "happiness", "hap", "joy", "joyful"),
    "sadness": ("sad", "sadness"),
    "neutral": ("neutral", "neu"),
    "surprise": ("surprise", "surprised", "sur"),
    "fear": ("fear", "fearful", "fea"),
    "disgust": ("disgust", "disgusted", "dis"),
}
_NAMES = {name: emotion for emotion, names in _SAME.items() for name in names}
_CORE = ("anger", "joy", "neutral", "sadness")
_PAUSE = 0.4  # seconds between the utterances of a long recording
_NUM_WORDS, _NUM_SALIENT = 8, 2
_TRIES = 5


@dataclass(frozen=True)
class Example:
    """An example's emotion, as the model names it, and its cues, each 1 or -1."""

    label: str
    valence: int
    arousal: int
    dominance: int


def examples_for(labels: Sequence[str], video: bool) -> list[Example]:
    """What the generated corpus can show of a model's classes.

    Args:
        labels: The model's.
        video: Whether there is a picture: only then do the four classes become seven.

    Returns:
        One for each class that is known, in the model's order; none if one of anger, joy, neutral and sadness is not.
    """
    from hf_mer.data.generated.plan_meld import LABELS

    cells: dict[str, tuple[int, int, int]] = {}
    for cell, emotion in LABELS.items():
        if video or emotion in _CORE:
            cells.setdefault(emotion, cell)
    known = {_NAMES[label.casefold()]: label for label in labels if label.casefold() in _NAMES}
    if not set(_CORE) <= set(known):
        return []
    return [Example(label, *cells[emotion]) for emotion, label in known.items() if emotion in cells]


def make_example(
    example: Example,
    folder: Path,
    *,
    video: bool = False,
    own_words: bool = True,
    seed: int = 0,
    speaker: int | None = None,
) -> Utterance:
    """Writes an example's recording, unless it is there, and gives the utterance.

    Args:
        example: Its emotion and cues.
        folder: For the file.
        video: Whether it has a picture: an mp4 file instead of wav.
        own_words: Whether the words tell the valence; if not, they are neutral.
        seed: Of the words, the voice and the speaker.
        speaker: Seed of the speaker, if another.
    """
    text, speech = _speak(example, own_words, seed, seed if speaker is None else speaker)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{example.label}_{seed}.{'mp4' if video else 'wav'}"
    if not path.exists():
        part = path.with_name(f"part_{path.name}")
        (_write_video if video else _write_sound)(part, speech, example, seed)
        part.replace(path)  # two visitors may ask at once
    return Utterance(video=str(path), words=text) if video else Utterance(sound=str(path), words=text)


def right_example(example: Example, folder: Path, model: PageModel) -> Utterance:
    """The first of a few like it that the model labels correctly; the very first if there is none.

    Args:
        example: Its emotion and cues.
        folder: For the files.
        model: That is asked.
    """
    return _first_right(model, example, folder, range(_TRIES))


def example_dialogue(examples: Sequence[Example], folder: Path, model: PageModel) -> list[Utterance]:
    """Three turns that the model labels correctly, where a few tries find such.

    The words of the second tell nothing, so that only the first one's tell its valence.
    """
    by_cues = {(example.valence, example.arousal): example for example in examples}
    plan = [((-1, -1), True), ((-1, 1), False), ((1, 1), True)]
    turns: list[Utterance] = []
    for turn, (cues, own) in enumerate(plan):
        seeds = range(30 + turn, 30 + turn + 10 * _TRIES, 10)
        said = tuple(before.words for before in turns) if model.uses("text") else ()
        turns.append(_first_right(model, by_cues[cues], folder, seeds, own_words=own, history=said))
    return [replace(turn, history=()) for turn in turns]


def example_recording(examples: Sequence[Example], folder: Path, model: PageModel) -> tuple[str, str]:
    """Some twenty seconds of two people, who are calm at first, and its words with their times.

    What they say is chosen as in `right_example`.

    Returns:
        The path of a wav file, and lines for `read_timed_words`.
    """
    import soundfile

    from hf_mer.data.generated.voice import SAMPLING_RATE

    by_cues = {(example.valence, example.arousal): example for example in examples}
    parts, lines, clock = [], [], 0.0
    for place, cues in enumerate([(1, -1), (1, -1), (1, 1), (1, 1), (-1, 1), (-1, 1), (-1, -1), (-1, -1)]):
        seeds = range(60 + place, 60 + place + 10 * _TRIES, 10)
        said = _first_right(model, by_cues[cues], folder, seeds, speaker=50 + place % 2, sound_only=True)
        waveform = soundfile.read(said.sound, dtype="float32")[0]
        seconds = len(waveform) / SAMPLING_RATE
        lines.append(f"{clock:.1f} {clock + seconds:.1f} {said.words}")
        parts += [waveform, np.zeros(int(_PAUSE * SAMPLING_RATE), dtype=np.float32)]
        clock += seconds + _PAUSE
    path = folder / "two_people.wav"
    soundfile.write(path, np.concatenate(parts), SAMPLING_RATE, subtype="PCM_16")
    return str(path), "\n".join(lines)


def _first_right(
    model: PageModel,
    example: Example,
    folder: Path,
    seeds: Sequence[int],
    *,
    history: tuple[str, ...] = (),
    sound_only: bool = False,
    **settings: Any,
) -> Utterance:
    """The first of the seeds' utterances that the model labels correctly; the very first if there is none."""
    candidates = []
    for seed in seeds:
        video = model.uses("video") and not sound_only
        made = make_example(example, folder, video=video, seed=seed, **settings)
        candidates.append(replace(made, words=made.words if model.uses("text") else "", history=history))
        if predict(model, candidates[-1]).scores[0]["label"] == example.label:
            return candidates[-1]
    return candidates[0]


def _speak(example: Example, own_words: bool, seed: int, speaker_seed: int) -> tuple[str, Any]:
    """Words and voice."""
    from hf_mer.data.generated.sentences import write_sentence
    from hf_mer.data.generated.voice import draw_speaker, synthesize

    words_rng, voice_rng = (np.random.default_rng([seed, stream]) for stream in (21, 22))
    valence = example.valence if own_words else 0
    sentence = write_sentence(_NUM_WORDS, _NUM_SALIENT, valence, words_rng, tag_share=0.0)
    speaker = draw_speaker(np.random.default_rng([speaker_seed, 23]), female=speaker_seed % 2 == 0)
    return sentence.text, synthesize(_NUM_WORDS, speaker, example.arousal, voice_rng)


def _write_sound(path: Path, speech: Any, example: Example, seed: int) -> None:
    import soundfile

    from hf_mer.data.generated.voice import SAMPLING_RATE

    soundfile.write(path, speech.waveform, SAMPLING_RATE, subtype="PCM_16", format="WAV")


def _write_video(path: Path, speech: Any, example: Example, seed: int) -> None:
    from hf_mer.data.generated.clip import write_clip
    from hf_mer.data.generated.face import draw_face, film
    from hf_mer.data.generated.voice import SAMPLING_RATE

    rng = np.random.default_rng([seed, 24])
    face = draw_face(rng, female=seed % 2 == 0)
    picture = film(face, speech.duration, example.dominance, speech.word_spans, rng)
    write_clip(path, picture.frames, picture.fps, speech.waveform[None], SAMPLING_RATE)
