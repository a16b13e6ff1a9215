"""A corpus with a known right answer, written in IEMOCAP's tree.

Words carry valence and the voice carries arousal, each in a few salient places, each right with a known probability,
and some utterances' valence is told by the dialogue's history alone (`hf_mer.data.generated_plan` has the model,
`generated_text` the words, `synthesis` the voice). So it is known what the best system can reach with text, voice,
both, with and without history.

Expected usage:

    ceilings = generate_corpus("corpora/generated", GeneratedCorpusConfig(num_utterances=1500))
    print(ceilings.table())
    rows = load_iemocap("corpora/generated")

Beside IEMOCAP's tree the root holds `generated.json` (settings and ceilings) and `generated_truth.csv`, the truth
about every utterance (`read_truth`).
"""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm.auto import tqdm

from hf_mer.data.generated_files import leave_apple_double, write_evaluation, write_transcript
from hf_mer.data.generated_plan import (
    LABELS,
    Ceilings,
    GeneratedCorpusConfig,
    PlannedDialogue,
    PlannedUtterance,
    plan_corpus,
)
from hf_mer.data.generated_text import TAGS, Sentence, write_sentence
from hf_mer.data.synthesis import SAMPLING_RATE, Speaker, Speech, draw_speaker, synthesize

__all__ = [
    "LABELS",
    "Ceilings",
    "GeneratedCorpusConfig",
    "generate_corpus",
    "generate_utterance",
    "read_ceilings",
    "read_truth",
]

MARK = "generated.json"
TRUTH = "generated_truth.csv"
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
    if _is_there(root, config):
        return ceilings
    dialogues = plan_corpus(config)
    root.parent.mkdir(parents=True, exist_ok=True)
    partial_root = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}-"))
    try:
        truth = _write_dialogues(partial_root, config, dialogues, num_proc, progress)
        _write_truth(partial_root / TRUTH, truth)
        mark = {"version": _VERSION, "settings": _settings(config), "ceilings": ceilings.as_dict()}
        (partial_root / MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
        partial_root.chmod(root.parent.stat().st_mode & 0o777)
        if root.exists():
            root.rmdir()
        os.replace(partial_root, root)
    except BaseException:
        shutil.rmtree(partial_root, ignore_errors=True)
        raise
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
    return Ceilings(**json.loads((Path(root) / MARK).read_text(encoding="utf-8"))["ceilings"])


def read_truth(root: str | os.PathLike) -> list[dict[str, Any]]:
    """The truth about every utterance of a corpus written by `generate_corpus`, in order of dialogue and time.

    Returns:
        Dictionaries of `id`, `label`, `valence_cue` and `arousal_cue` (1 or -1), `history_only`, `ambiguous`,
        `salient_words` (positions in `text.split()`), `salient_spans` (start and end in the recording, seconds), and
        `source` (id of the utterance whose words carry the valence).
    """

    def spans(text: str) -> list[tuple[float, float]]:
        return [(float(start), float(end)) for start, end in (span.split("-") for span in text.split(";"))]

    with (Path(root) / TRUTH).open(encoding="utf-8", newline="") as stream:
        return [
            {
                **row,
                "valence_cue": int(row["valence_cue"]),
                "arousal_cue": int(row["arousal_cue"]),
                "history_only": row["history_only"] == "1",
                "ambiguous": row["ambiguous"] == "1",
                "salient_words": [int(word) for word in row["salient_words"].split(";") if word],
                "salient_spans": spans(row["salient_spans"]),
            }
            for row in csv.DictReader(stream)
        ]


def _is_there(root: Path, config: GeneratedCorpusConfig) -> bool:
    """Whether the same corpus is there; raises if anything else is."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        mark = json.loads((root / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise FileExistsError(f"{root} holds something else than a generated corpus; name another folder") from None
    if mark.get("version") != _VERSION:
        raise FileExistsError(
            f"{root} was generated by another version ({mark.get('version')!r}, now {_VERSION}); delete it or name "
            "another folder"
        )
    wanted, found = _settings(config), mark.get("settings", {})
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differing:
        changes = ", ".join(f"{name} {found.get(name)!r} (asked for {wanted.get(name)!r})" for name in differing)
        raise FileExistsError(f"{root} was generated with other settings: {changes}; delete it or name another folder")
    return True


def _settings(config: GeneratedCorpusConfig) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(config)))  # tuples become lists, as when read back


def _write_dialogues(
    root: Path, config: GeneratedCorpusConfig, dialogues: list[PlannedDialogue], num_proc: int | None, progress: bool
) -> list[dict[str, Any]]:
    write = partial(_write_dialogue, root, config)
    truth: list[dict[str, Any]] = []
    total = sum(len(dialogue.utterances) for dialogue in dialogues)
    with tqdm(total=total, desc="generating", unit="utt", disable=not progress) as bar:

        def collect(results: Iterator[list[dict[str, Any]]]) -> None:
            for rows in results:
                truth.extend(rows)
                bar.update(len(rows))

        if num_proc is not None and num_proc > 1:
            with ProcessPoolExecutor(num_proc) as pool:
                collect(pool.map(write, range(len(dialogues)), dialogues))
        else:
            collect(map(write, range(len(dialogues)), dialogues))
    return truth


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
        soundfile.write(wav_folder / f"{utterance.id}.wav", speech.waveform, SAMPLING_RATE, subtype="PCM_16")
        sentences.append(sentence)
        times.append((clock, clock + speech.duration))
        # Now and then people speak at the same time, as in the original.
        clock += speech.duration + max(rng.uniform(-0.3, 1.2), -0.2 * speech.duration)
        truth.append(_truth_row(utterance, sentence, speech))
    evaluation = write_evaluation(session / "dialog" / "EmoEvaluation", dialogue, times, rng)
    transcript = write_transcript(session / "dialog" / "transcriptions", dialogue, sentences, times, rng)
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
    sentence = write_sentence(num_words, num_salient, utterance.valence if utterance.own_words else 0, text_rng)
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
        "salient_spans": ";".join(f"{start:.3f}-{end:.3f}" for start, end in speech.salient_spans),
        "source": utterance.source,
    }


def _write_truth(path: Path, truth: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(truth[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(truth)
