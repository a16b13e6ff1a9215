"""A corpus with a known right answer, written in MELD's layout: annotations as CSV, clips as mp4.

Words carry valence, the voice carries arousal and a drawn face carries dominance, each in a few salient places, each
right with a known probability, and some utterances' valence is told by the dialogue's history alone
(`generated_meld_plan` has the model, `generated_text` the words, `synthesis` the voice, `faces` the face). So it is
known what the best system can reach with every subset of the modalities, with and without history.

Expected usage:

    ceilings = generate_meld_corpus("corpora/meld", GeneratedMeldConfig())
    print(ceilings.table())
    rows = load_meld("corpora/meld")

The release's oddities are there too: CRLF, C1 control characters, gaps in the utterance ids, corrected test clips
beside wrong ones, a clip that is missing, one too short, one broken and one without annotation, 48 kHz, and 5.1 with
speech in the centre channel. Beside them the root holds `generated.json` (settings and ceilings) and
`generated_truth.csv`, the truth about every utterance (`read_truth`).
"""

import csv
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter, resample_poly

from hf_mer.data.corpora.meld_counts import SPLITS
from hf_mer.data.generated.clip import write_clip
from hf_mer.data.generated.face import draw_face, film
from hf_mer.data.generated.folder import (
    format_spans,
    is_there,
    read_mark,
    read_truth,
    settings_of,
    whole_folder,
    write_dialogues,
    write_mark,
    write_truth,
)
from hf_mer.data.generated.meld_plan import (
    LABELS,
    SPEAKERS,
    WOMEN,
    GeneratedMeldConfig,
    MeldCeilings,
    PlannedDialogue,
    PlannedUtterance,
    plan_meld,
)
from hf_mer.data.generated.sentences import write_sentence
from hf_mer.data.generated.voice import SAMPLING_RATE, draw_speaker, synthesize

__all__ = [
    "LABELS",
    "GeneratedMeldConfig",
    "MeldCeilings",
    "generate_meld_corpus",
    "read_ceilings",
    "read_truth",
]

CLIP_RATE = 48_000  # Hz

_VERSION = 1  # of the content written for given settings; raise it with every change of it
_CLIP_FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}
_ANNOTATIONS = {
    "train": "train/train_sent_emo.csv",
    "dev": "dev_sent_emo.csv",
    "test": "test_sent_emo.csv",
}
_CENTRE, _SURROUND_CHANNELS = 2, 6
_SHORT_SECONDS = 0.064
_CONTRACTED = {"okay": "y\u2019know", "anyway": "y\u2019know"}  # words that carry nothing


def generate_meld_corpus(
    out_dir: str | os.PathLike,
    config: GeneratedMeldConfig | None = None,
    *,
    num_proc: int | None = None,
    progress: bool = True,
) -> MeldCeilings:
    """Write the corpus, unless it is there already.

    The folder appears whole or not at all. Same settings and seed give the same content with any number of processes.
    A clip takes some 40 ms of one core.

    Args:
        out_dir: Becomes the root of the tree, MELD's `MELD.Raw`. Must not exist or be empty, or hold a corpus
            generated with the same settings, which is left as it is.
        config: Settings; `GeneratedMeldConfig()` if not given.
        num_proc: Number of processes; none beside this one if not given.
        progress: Whether to show a progress bar.

    Returns:
        What the best systems can reach on it.

    Raises:
        FileExistsError: If the folder holds anything else.
        ValueError: If the settings cannot be met.
    """
    config = config or GeneratedMeldConfig()
    root = Path(out_dir).expanduser().absolute()
    ceilings = MeldCeilings.of(config)
    settings = {"layout": "meld", **settings_of(config)}
    if is_there(root, _VERSION, settings):
        return ceilings
    dialogues = plan_meld(config)
    with whole_folder(root) as partial_root:
        for folder in _CLIP_FOLDERS.values():
            (partial_root / folder).mkdir(parents=True)
        rows = write_dialogues(partial(_write_dialogue, partial_root, config), dialogues, num_proc, progress)
        _leave_unannotated_clip(partial_root, dialogues)
        for split in SPLITS:
            _write_annotations(partial_root, split, [row["line"] for row in rows if row["split"] == split])
        write_truth(partial_root, [row["truth"] for row in rows])
        write_mark(partial_root, _VERSION, settings, ceilings.as_dict())
    return ceilings


def read_ceilings(root: str | os.PathLike) -> MeldCeilings:
    """The ceilings of a corpus written by `generate_meld_corpus`."""
    return MeldCeilings(**read_mark(root)["ceilings"])


def _write_dialogue(
    root: Path, config: GeneratedMeldConfig, number: int, dialogue: PlannedDialogue
) -> list[dict[str, Any]]:
    """Write the clips of a dialogue and return lines of the annotation and the truth."""
    rng = np.random.default_rng([config.seed, 11, number])
    season, episode, clock = int(rng.integers(1, 11)), int(rng.integers(1, 26)), rng.uniform(30, 1200)
    folder = root / _CLIP_FOLDERS[dialogue.split]
    ids = {one.number: f"{dialogue.split}_dia{dialogue.number}_utt{one.number}" for one in dialogue.utterances}
    rows = []
    for turn, utterance in enumerate(dialogue.utterances):
        text_rng, clip_rng = (np.random.default_rng([config.seed, stream, number, turn]) for stream in (12, 13))
        num_words = int(text_rng.integers(config.words_per_utterance[0], config.words_per_utterance[1] + 1))
        num_salient = int(text_rng.integers(config.salient_words[0], config.salient_words[1] + 1))
        valence = utterance.valence if utterance.own_words else 0
        sentence = write_sentence(num_words, num_salient, valence, text_rng, tag_share=0.0)
        path = folder / f"dia{dialogue.number}_utt{utterance.number}.mp4"
        duration, voice_spans, face_span = _write_clips(path, utterance, num_words, config, clip_rng)
        line = {
            "Utterance": _contract(sentence.text, text_rng),
            "Speaker": utterance.speaker,
            "Emotion": utterance.emotion,
            "Sentiment": utterance.sentiment,
            "Dialogue_ID": dialogue.number,
            "Utterance_ID": utterance.number,
            "Season": season,
            "Episode": episode,
            "StartTime": _format_time(clock, rng),
            "EndTime": _format_time(clock + duration, rng),
        }
        clock += duration + rng.uniform(0, 1.2)
        truth = {
            "id": ids[utterance.number],
            "label": utterance.emotion,
            "valence_cue": utterance.valence,
            "arousal_cue": utterance.arousal,
            "face_cue": utterance.dominance,
            "history_only": int(not utterance.own_words),
            "salient_words": ";".join(str(word) for word in sentence.salient),
            "salient_spans": format_spans(voice_spans),
            "face_spans": format_spans([face_span]),
            "source": "" if utterance.source is None else ids[utterance.source],
            "clip": utterance.clip,
        }
        rows.append({"split": dialogue.split, "line": line, "truth": truth})
    return rows


def _write_clips(
    path: Path, utterance: PlannedUtterance, num_words: int, config: GeneratedMeldConfig, rng: np.random.Generator
) -> tuple[float, list[tuple[float, float]], tuple[float, float]]:
    """Write what there is of an utterance's clip.

    Returns:
        Its duration, and where voice and face show their cues, all in seconds.
    """
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
    """Speech in both channels of a stereo clip, or in the centre of 5.1 with loud noise in the other channels.

    Returns:
        Shape `(2, N)` or `(6, N)`.
    """
    if not surround:
        return np.stack([speech, 0.9 * speech])
    offset = 997  # samples; the channels hold the same noise at different times
    noise = lfilter([0.1], [1, -0.9], rng.standard_normal(len(speech) + _SURROUND_CHANNELS * offset))
    noise *= 0.1 / noise.std()
    channels = [noise[place * offset :][: len(speech)] for place in range(_SURROUND_CHANNELS)]
    channels[_CENTRE] = speech
    return np.stack(channels)


def _leave_unannotated_clip(root: Path, dialogues: list[PlannedDialogue]) -> None:
    """A clip of the validation split that no line belongs to."""
    dialogue = next(one for one in dialogues if one.split == "dev")
    clips = [one.number for one in dialogue.utterances if one.clip == "plain"]
    folder = root / _CLIP_FOLDERS["dev"]
    after = dialogue.utterances[-1].number + 1
    shutil.copyfile(
        folder / f"dia{dialogue.number}_utt{clips[0]}.mp4", folder / f"dia{dialogue.number}_utt{after}.mp4"
    )


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


def _write_annotations(root: Path, split: str, lines: list[dict[str, Any]]) -> None:
    with (root / _ANNOTATIONS[split]).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=["Sr No.", *lines[0]], lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({"Sr No.": number, **line} for number, line in enumerate(lines, start=1))
