"""Writing the generated corpus in IEMOCAP's layout: recordings, alignments, and text files with its quirks."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from hf_mer.data.corpora.iemocap_words import write_alignment
from hf_mer.data.generated.corpus_settings import GeneratedCorpusConfig
from hf_mer.data.generated.folder import truth_row
from hf_mer.data.generated.plan import PlannedDialogue, PlannedUtterance, draw_sentence
from hf_mer.data.generated.plan_iemocap import LABELS
from hf_mer.data.generated.sentences import LANGUAGES, TAGS, Sentence
from hf_mer.data.generated.voice import SAMPLING_RATE, draw_speaker, synthesize
from hf_mer.data.words import spoken_words

_CATEGORIES = {
    "ang": "Anger",
    "hap": "Happiness",
    "exc": "Excited",
    "sad": "Sadness",
    "neu": "Neutral state",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "oth": "Other",
    "dis": "Disgust",
}
_NUM_RATERS = 3
# The first bytes of the files that a Mac leaves beside the real ones; no text decoder accepts them all.
_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes([0, 2, 0, 0, 0, 9, 0xFF, 0xFE, 0xB0])


def write_dialogue(
    root: Path, config: GeneratedCorpusConfig, number: int, dialogue: PlannedDialogue
) -> list[dict[str, Any]]:
    """Write all files of a dialogue and return the truth about its utterances."""
    session = root / dialogue.part
    wav_folder = session / "sentences" / "wav" / dialogue.name
    wav_folder.mkdir(parents=True)
    stream = int(dialogue.part.removeprefix("Session"))
    speakers = {
        sex: draw_speaker(np.random.default_rng([config.seed, 1, stream, sex == "F"]), female=sex == "F")
        for sex in "FM"
    }
    rng = np.random.default_rng([config.seed, 2, number])
    sentences: list[Sentence] = []
    times: list[tuple[float, float]] = []
    truth = []
    clock = rng.uniform(2, 8)
    for turn, utterance in enumerate(dialogue.utterances):
        text_rng, voice_rng = (np.random.default_rng([config.seed, stream, number, turn]) for stream in (3, 4))
        num_words, sentence = draw_sentence(config, utterance, text_rng, language=config.language)
        if utterance.tag_only:
            sentence = Sentence(TAGS[text_rng.integers(2)], ())
        speech = synthesize(num_words, speakers[utterance.speaker], utterance.arousal, voice_rng, config.voice)
        wav = wav_folder / f"{utterance.id}.wav"
        soundfile.write(wav, speech.waveform, SAMPLING_RATE, subtype="PCM_16")
        words = spoken_words(sentence.text)
        if len(words) == len(speech.word_spans):  # a turn that is but a tag says none of them
            write_alignment(wav, words, speech.word_spans)
        sentences.append(sentence)
        times.append((clock, clock + speech.duration))
        # Now and then people speak at the same time, as in the original.
        clock += speech.duration + max(rng.uniform(-0.3, 1.2), -0.2 * speech.duration)
        ambiguous = int(utterance.ambiguous)
        truth.append(truth_row(utterance, sentence, speech.salient_spans, ambiguous=ambiguous))
    evaluation = _write_evaluation(session / "dialog" / "EmoEvaluation", dialogue, times, rng)
    transcripts = session / "dialog" / "transcriptions"
    transcript = _write_transcript(transcripts, dialogue, sentences, times, rng, config.language)
    if rng.random() < 0.3:
        for path in (evaluation, transcript, wav_folder / f"{dialogue.utterances[0].id}.wav"):
            path.with_name(f"._{path.name}").write_bytes(_APPLE_DOUBLE)
    return truth


def _write_evaluation(
    folder: Path, dialogue: PlannedDialogue, times: list[tuple[float, float]], rng: np.random.Generator
) -> Path:
    """Write `EmoEvaluation/<dialogue>.txt`, first one speaker's utterances, then the other's, as the original does.

    A rater's own file goes to the subfolder `Categorical`.
    """
    blocks, single = [], []
    for utterance, (start, end) in zip(dialogue.utterances, times, strict=True):
        votes = _votes(utterance, rng)
        opinions = _dimensions(utterance, rng)
        mean = ", ".join(f"{value:.4f}" for value in np.mean(opinions, axis=0))
        lines = [f"[{start:.4f} - {end:.4f}]\t{utterance.id}\t{utterance.label}\t[{mean}]"]
        lines += [f"C-E{rater + 2}:\t{_CATEGORIES[vote]};\t()" for rater, vote in enumerate(votes)]
        if rng.random() < 0.7:  # the actor's own opinion: blocks have no fixed size
            lines.append(f"C-{utterance.id.rsplit('_', 1)[1][0]}1:\t{_CATEGORIES[votes[0]]};\t()")
        lines += [
            f"A-E{rater + 3}:\tval {val}; act {act}; dom  {dom};\t()"
            for rater, (val, act, dom) in enumerate(opinions.tolist())
        ]
        blocks.append((utterance.speaker, "\n".join(lines) + "\n"))
        single.append(f"{utterance.id} :{_CATEGORIES[votes[0]]}; ()")
    blocks.sort(key=lambda block: block[0])
    header = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"
    (folder / "Categorical").mkdir(parents=True, exist_ok=True)
    (folder / "Categorical" / f"{dialogue.name}_e2_cat.txt").write_text("\n".join(single) + "\n", encoding="utf-8")
    path = folder / f"{dialogue.name}.txt"
    path.write_text("\n".join([header, *(block for _, block in blocks)]) + "\n", encoding="utf-8")
    return path


def _write_transcript(
    folder: Path,
    dialogue: PlannedDialogue,
    sentences: list[Sentence],
    times: list[tuple[float, float]],
    rng: np.random.Generator,
    language: str,
) -> Path:
    """Write `transcriptions/<dialogue>.txt` in order of time.

    Quirks of the original: times that differ from those of the ratings in the last digit, a line without a time, and
    lines without a label whose id is `..._FXX0` or that have none. What these say carries no valence.
    """
    quirks = {}
    if len(sentences) > 4 and rng.random() < 0.5:
        kinds = ["untimed", "no label", "no id"]
        places = rng.choice(np.arange(1, len(sentences)), 3, replace=False)
        quirks = dict(zip(places.tolist(), kinds, strict=True))
    lines = []
    for turn, (utterance, sentence, (start, end)) in enumerate(
        zip(dialogue.utterances, sentences, times, strict=True)
    ):
        start, end = np.array([start, end]) + rng.integers(-1, 2, 2) * 1e-4
        span = f"[{start:08.4f}-{end:08.4f}]"
        quirk = quirks.get(turn)
        if quirk == "untimed":
            lines.append(f"{utterance.id}: {sentence.text}")
            continue
        lines.append(f"{utterance.id} {span}: {sentence.text}")
        if quirk == "no label":
            lines.append(f"{utterance.id[:-3]}XX0 [{end:08.4f}-{end + 0.05:08.4f}]: {LANGUAGES[language].backchannel}")
        elif quirk == "no id":
            lines.append(f"{utterance.id[-4]}: [BREATHING]")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dialogue.name}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _votes(utterance: PlannedUtterance, rng: np.random.Generator) -> list[str]:
    """A majority for the label, or for `xxx` three different opinions."""
    others = [label for label in _CATEGORIES if label != utterance.label]
    if utterance.label == "xxx":
        return [str(vote) for vote in rng.choice(others, _NUM_RATERS, replace=False)]
    dissent = str(rng.choice(others))
    agree = utterance.label if rng.random() < 0.6 else dissent
    return [utterance.label, utterance.label, agree]


def _dimensions(utterance: PlannedUtterance, rng: np.random.Generator) -> np.ndarray:
    """Two raters' valence, activation and dominance, 1 to 5. Shape `(2, 3)`, integers."""
    label = "hap" if utterance.label == "exc" else utterance.label
    signs = {name: cue for cue, name in LABELS.items()}.get(label, (0, 0))
    centre = 3 + 1.2 * np.array([signs[0], signs[1], 0.7 * signs[1]])
    return np.clip(np.rint(rng.normal(centre, 0.5, (2, 3))), 1, 5).astype(int)
