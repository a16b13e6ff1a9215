"""A corpus with a known right answer, written in IEMOCAP's tree.

Words carry valence and the voice carries arousal, each in a few salient places, each right with a known probability,
and some utterances' valence is told by the dialogue's history alone (`hf_mer.data.generated.plan` has the model,
`generated_text` the words, `synthesis` the voice). So it is known what the best system can reach with text, voice,
both, with and without history.

Expected usage:

    ceilings = generate_corpus("corpora/generated", GeneratedCorpusConfig(num_utterances=1500))
    print(ceilings.table())
    rows = load_iemocap("corpora/generated")

Beside IEMOCAP's tree the root holds `generated.json` (settings and ceilings) and `generated_truth.csv`, the truth
about every utterance (`read_truth`).
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from hf_mer.data.corpora.iemocap_words import write_alignment
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
from hf_mer.data.generated.iemocap_texts import leave_apple_double, write_evaluation, write_transcript
from hf_mer.data.generated.plan import (
    LABELS,
    Ceilings,
    GeneratedCorpusConfig,
    PlannedDialogue,
    PlannedUtterance,
    plan_corpus,
)
from hf_mer.data.generated.sentences import TAGS, Sentence, write_sentence
from hf_mer.data.generated.voice import SAMPLING_RATE, Speaker, Speech, draw_speaker, synthesize
from hf_mer.data.words import spoken_words

__all__ = [
    "LABELS",
    "Ceilings",
    "GeneratedCorpusConfig",
    "generate_corpus",
    "generate_utterance",
    "read_ceilings",
    "read_truth",
]

_VERSION = 1  # of the bytes written for given settings; raise it with every change of them


def generate_corpus(
    out_dir: str | os.PathLike,
    config: GeneratedCorpusConfig | None = None,
    *,
    num_proc: int | None = None,
    progress: bool = True,
) -> Ceilings:
    """Write the corpus, unless it is there already.

    The folder appears whole or not at all. Same settings and seed give the same bytes with any number of processes.
    An utterance takes some 10 ms of one core.

    Args:
        out_dir: Becomes the root of the tree, with `Session1` to `Session5` in it. Must not exist or be empty, or hold
            a corpus generated with the same settings, which is left as it is.
        config: Settings; `GeneratedCorpusConfig()` if not given.
        num_proc: Number of processes; none beside this one if not given.
        progress: Whether to show a progress bar.

    Returns:
        What the best systems can reach on it.

    Raises:
        FileExistsError: If the folder holds anything else.
        ValueError: If the settings cannot be met.
    """
    config = config or GeneratedCorpusConfig()
    root = Path(out_dir).expanduser().absolute()
    ceilings = Ceilings.of(config)
    settings = settings_of(config)
    if config.language == "en":
        del settings["language"]  # as in the corpora written before there were others
    if is_there(root, _VERSION, settings):
        return ceilings
    dialogues = plan_corpus(config)
    with whole_folder(root) as partial_root:
        truth = write_dialogues(partial(_write_dialogue, partial_root, config), dialogues, num_proc, progress)
        write_truth(partial_root, truth)
        write_mark(partial_root, _VERSION, settings, ceilings.as_dict())
    return ceilings


def generate_utterance(
    label: str, seed: int = 0, config: GeneratedCorpusConfig | None = None, *, female: bool = True
) -> tuple[Sentence, Speech]:
    """Make one utterance in memory, whose words and voice both agree with its label.

    Args:
        label: `ang`, `hap`, `sad` or `neu`.
        seed: Of the words, the speaker and the voice.
        config: Settings; `GeneratedCorpusConfig()` if not given.
        female: Whether a woman speaks.

    Returns:
        The transcript and the speech.

    Raises:
        ValueError: If the label is not known.
    """
    cues = {name: cue for cue, name in LABELS.items()}
    if label not in cues:
        raise ValueError(f"label {label!r} is not one of {', '.join(sorted(cues))}")
    config = config or GeneratedCorpusConfig()
    speaker = draw_speaker(np.random.default_rng([seed, 5]), female=female)
    rngs = np.random.default_rng([seed, 6]), np.random.default_rng([seed, 7])
    valence, arousal = cues[label]
    return _make_utterance(PlannedUtterance("", label, valence, arousal), speaker, config, *rngs)


def read_ceilings(root: str | os.PathLike) -> Ceilings:
    """The ceilings of a corpus written by `generate_corpus`."""
    return Ceilings(**read_mark(root)["ceilings"])


def _write_dialogue(
    root: Path, config: GeneratedCorpusConfig, number: int, dialogue: PlannedDialogue
) -> list[dict[str, Any]]:
    """Write all files of a dialogue and return the truth about its utterances."""
    session = root / f"Session{dialogue.session}"
    wav_folder = session / "sentences" / "wav" / dialogue.name
    wav_folder.mkdir(parents=True)
    speakers = {
        sex: draw_speaker(np.random.default_rng([config.seed, 1, dialogue.session, sex == "F"]), female=sex == "F")
        for sex in "FM"
    }
    rng = np.random.default_rng([config.seed, 2, number])
    sentences: list[Sentence] = []
    times: list[tuple[float, float]] = []
    truth = []
    clock = rng.uniform(2, 8)
    for turn, utterance in enumerate(dialogue.utterances):
        rngs = [np.random.default_rng([config.seed, stream, number, turn]) for stream in (3, 4)]
        speaker = speakers[utterance.id.rsplit("_", 1)[1][0]]
        sentence, speech = _make_utterance(utterance, speaker, config, *rngs)
        wav = wav_folder / f"{utterance.id}.wav"
        soundfile.write(wav, speech.waveform, SAMPLING_RATE, subtype="PCM_16")
        words = spoken_words(sentence.text)
        if len(words) == len(speech.word_spans):  # a turn that is but a tag says none of them
            write_alignment(wav, words, speech.word_spans)
        sentences.append(sentence)
        times.append((clock, clock + speech.duration))
        # Now and then people speak at the same time, as in the original.
        clock += speech.duration + max(rng.uniform(-0.3, 1.2), -0.2 * speech.duration)
        truth.append(_truth_row(utterance, sentence, speech))
    evaluation = write_evaluation(session / "dialog" / "EmoEvaluation", dialogue, times, rng)
    transcript = write_transcript(
        session / "dialog" / "transcriptions", dialogue, sentences, times, rng, config.language
    )
    if rng.random() < 0.3:
        for path in (evaluation, transcript, wav_folder / f"{dialogue.utterances[0].id}.wav"):
            leave_apple_double(path)
    return truth


def _make_utterance(
    utterance: PlannedUtterance,
    speaker: Speaker,
    config: GeneratedCorpusConfig,
    text_rng: np.random.Generator,
    voice_rng: np.random.Generator,
) -> tuple[Sentence, Speech]:
    """Words and voice of one utterance. The numbers of words come first, so that they tell nothing of the cues."""
    low, high = config.words_per_utterance
    num_words = int(text_rng.integers(low, high + 1))
    num_salient = int(text_rng.integers(config.salient_words[0], config.salient_words[1] + 1))
    valence = utterance.valence if utterance.own_words else 0
    sentence = write_sentence(num_words, num_salient, valence, text_rng, language=config.language)
    if utterance.tag_only:
        sentence = Sentence(TAGS[text_rng.integers(2)], ())
    return sentence, synthesize(num_words, speaker, utterance.arousal, voice_rng, config.voice)


def _truth_row(utterance: PlannedUtterance, sentence: Sentence, speech: Speech) -> dict[str, Any]:
    return {
        "id": utterance.id,
        "label": utterance.label,
        "valence_cue": utterance.valence,
        "arousal_cue": utterance.arousal,
        "history_only": int(not utterance.own_words),
        "ambiguous": int(utterance.ambiguous),
        "salient_words": ";".join(str(word) for word in sentence.salient),
        "salient_spans": format_spans(speech.salient_spans),
        "source": utterance.source,
    }
