"""Writing the generated corpus in MELD's layout: clips as mp4, annotations as CSV, with the release's oddities.

CRLF, C1 control characters, gaps in the utterance ids, corrected test clips beside wrong ones, a clip that is missing,
one too short, one broken and one without annotation, 48 kHz, and 5.1 with speech in the centre channel.
"""

import csv
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter, resample_poly

from hf_mer.data.corpora.meld_counts import SPLITS
from hf_mer.data.corpora.meld_files import CLIP_FOLDERS
from hf_mer.data.generated.clip import write_clip
from hf_mer.data.generated.corpus_settings import GeneratedMeldConfig
from hf_mer.data.generated.face import draw_face, film
from hf_mer.data.generated.folder import format_spans, truth_row
from hf_mer.data.generated.plan import PlannedDialogue, PlannedUtterance, draw_sentence
from hf_mer.data.generated.plan_meld import SENTIMENTS, SPEAKERS, WOMEN
from hf_mer.data.generated.voice import SAMPLING_RATE, draw_speaker, synthesize

CLIP_RATE = 48_000  # Hz

_CENTRE, _SURROUND_CHANNELS = 2, 6
_SHORT_SECONDS = 0.064
_CONTRACTED = {"okay": "y\u2019know", "anyway": "y\u2019know"}  # words that carry nothing


def write_dialogue(
    root: Path, config: GeneratedMeldConfig, number: int, dialogue: PlannedDialogue
) -> list[dict[str, Any]]:
    """Write the clips of a dialogue and return the truth about its utterances, with the `line` of the annotation."""
    rng = np.random.default_rng([config.seed, 11, number])
    season, episode, clock = int(rng.integers(1, 11)), int(rng.integers(1, 26)), rng.uniform(30, 1200)
    folder = root / dialogue.part / CLIP_FOLDERS[dialogue.part]
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for turn, utterance in enumerate(dialogue.utterances):
        text_rng, clip_rng = (np.random.default_rng([config.seed, stream, number, turn]) for stream in (12, 13))
        num_words, sentence = draw_sentence(config, utterance, text_rng, tag_share=0.0)
        path = folder / f"{_clip_name(utterance)}.mp4"
        duration, voice_spans, face_span = _write_clips(path, utterance, num_words, config, clip_rng)
        line = {
            "Utterance": _contract(sentence.text, text_rng),
            "Speaker": utterance.speaker,
            "Emotion": utterance.label,
            "Sentiment": SENTIMENTS.get(utterance.label, "negative"),
            "Dialogue_ID": _number(dialogue.name),
            "Utterance_ID": _number(utterance.id),
            "Season": season,
            "Episode": episode,
            "StartTime": _format_time(clock, rng),
            "EndTime": _format_time(clock + duration, rng),
        }
        clock += duration + rng.uniform(0, 1.2)
        spans = format_spans([face_span])
        shown = {"face_cue": utterance.dominance, "face_spans": spans, "clip": utterance.clip}
        rows.append({**truth_row(utterance, sentence, voice_spans, **shown), "line": line})
    return rows


def write_annotations(root: Path, dialogues: list[PlannedDialogue], rows: list[dict[str, Any]]) -> None:
    """Write the annotations of all splits, and a clip of the validation split that no line belongs to."""
    dialogue = next(one for one in dialogues if one.part == "dev")
    clip = next(one for one in dialogue.utterances if one.clip == "plain")
    last = dialogue.utterances[-1]
    after = f"{dialogue.name.removeprefix('dev_')}_utt{_number(last.id) + 1}"
    folder = root / "dev" / CLIP_FOLDERS["dev"]
    shutil.copyfile(folder / f"{_clip_name(clip)}.mp4", folder / f"{after}.mp4")
    for split in SPLITS:
        lines = [row["line"] for row in rows if row["id"].startswith(f"{split}_")]
        inside = "train" if split == "train" else ""  # as the release has it
        with (root / inside / f"{split}_sent_emo.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=["Sr No.", *lines[0]], lineterminator="\r\n")
            writer.writeheader()
            writer.writerows({"Sr No.": number, **line} for number, line in enumerate(lines, start=1))


def _clip_name(utterance: PlannedUtterance) -> str:
    """`dia0_utt0`: the splits have folders of their own."""
    return utterance.id.split("_", 1)[1]


def _number(name: str) -> int:
    """Number at the end of the id of an utterance or dialogue."""
    return int(re.split(r"\D+", name)[-1])


def _write_clips(
    path: Path, utterance: PlannedUtterance, num_words: int, config: GeneratedMeldConfig, rng: np.random.Generator
) -> tuple[float, list[tuple[float, float]], tuple[float, float]]:
    """Write what there is of an utterance's clip; its duration, and where voice and face show their cues (seconds)."""
    arousal, dominance = utterance.arousal, utterance.dominance
    if utterance.clip == "corrected":
        other = SPEAKERS[(SPEAKERS.index(utterance.speaker) + 1) % len(SPEAKERS)]
        _write_clip(path, other, -arousal, -dominance, num_words, config, rng, utterance.surround)
        path = path.with_name(f"final_videos_test{path.name}")
    found = _write_clip(
        path, utterance.speaker, arousal, dominance, num_words, config, rng, utterance.surround, utterance.clip
    )
    if utterance.clip == "missing":
        path.unlink()
    elif utterance.clip == "broken":
        os.truncate(path, path.stat().st_size // 2)
    return found


def _write_clip(
    path: Path,
    speaker: str,
    arousal: int,
    dominance: int,
    num_words: int,
    config: GeneratedMeldConfig,
    rng: np.random.Generator,
    surround: bool,
    kind: str = "plain",
) -> tuple[float, list[tuple[float, float]], tuple[float, float]]:
    """Write one clip of a speaker who talks, its sound and picture as long as each other."""
    index, female = SPEAKERS.index(speaker), speaker in WOMEN
    voice = draw_speaker(np.random.default_rng([config.seed, 14, index]), female=female)
    face = draw_face(np.random.default_rng([config.seed, 15, index]), female=female)
    speech = synthesize(num_words, voice, arousal, rng, config.voice)
    picture = film(face, speech.duration, dominance, speech.word_spans, rng, config.face)
    sound = _spread(resample_poly(speech.waveform, CLIP_RATE // SAMPLING_RATE, 1), surround, rng)
    frames = picture.frames
    if kind == "short":
        frames, sound = frames[:1], sound[:, : int(_SHORT_SECONDS * CLIP_RATE)]
    write_clip(path, frames, picture.fps, sound, CLIP_RATE, "5.1" if surround else "stereo")
    return speech.duration, speech.salient_spans, picture.salient_span


def _spread(speech: np.ndarray, surround: bool, rng: np.random.Generator) -> np.ndarray:
    """Speech in both channels of stereo, or in the centre of 5.1 with loud noise in the others. `(2, N)`, `(6, N)`."""
    if not surround:
        return np.stack([speech, 0.9 * speech])
    offset = 997  # samples; the channels hold the same noise at different times
    noise = lfilter([0.1], [1, -0.9], rng.standard_normal(len(speech) + _SURROUND_CHANNELS * offset))
    noise *= 0.1 / noise.std()
    channels = [noise[place * offset :][: len(speech)] for place in range(_SURROUND_CHANNELS)]
    channels[_CENTRE] = speech
    return np.stack(channels)


def _contract(text: str, rng: np.random.Generator) -> str:
    """Some words with an apostrophe, which in some texts is the control character of older copies."""
    words = text.split()
    for place, word in enumerate(words):
        bare = word.rstrip(".,:")
        contracted = _CONTRACTED.get(bare.lower())
        if contracted is not None and rng.random() < 0.5:
            contracted = contracted.capitalize() if bare[0].isupper() else contracted
            words[place] = contracted + word[len(bare) :]
    text = " ".join(words)
    return text.replace("\u2019", "\x92") if rng.random() < 0.3 else text


def _format_time(seconds: float, rng: np.random.Generator) -> str:
    """A time as MELD writes it: now and then one digit of hours, now and then milliseconds without leading zeros."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    hours = f"{whole // 3600:02d}" if rng.random() < 0.8 else f"{whole // 3600}"
    fraction = f"{milliseconds:03d}" if milliseconds < 10 or rng.random() < 0.8 else f"{milliseconds}"
    return f"{hours}:{whole // 60 % 60:02d}:{whole % 60:02d},{fraction}"
