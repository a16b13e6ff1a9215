"""What a corpus costs by its number of rows: seconds per row and memory of all that is done once per corpus.

    python recipes/benchmarks/growth.py --rows 1000 10000 100000
    python recipes/benchmarks/growth.py --rows 10000 --first-step

Rows are a table over stand-in clips: short recordings, of which every row has a file of its own (hard links to a few).
Every number of rows has a process of its own, in which a stage's peak memory is that of all stages so far. With
`--first-step` the table is given to `hf-mer train` with tiny random encoders, twice: the time from the command to the
end of the first optimizer step, cold, and with everything that the first run left in the caches.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import soundfile
from transformers import BertConfig, Wav2Vec2BertConfig

LABELS = ["angry", "happy", "neutral", "sad"]
SPEAKERS, TURNS, CLIPS = 10, 20, 64  # speakers of a table, utterances of a dialogue, recordings that are not links
VOCABULARY = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "klmnrst"]
WIDTH, MEL_FEATURES = 32, 320


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds of a clip (default: 0.5)")
    parser.add_argument("--resamples", type=int, default=1000, help="resamples of the bootstrap (default: 1000)")
    parser.add_argument("--first-step", action="store_true", help="time the first step of `hf-mer train` instead")
    parser.add_argument("--folder", help="where the stand-in corpus is written (default: the system's for such)")
    measuring.add_output_argument(parser)
    settings = parser.parse_args(argv)
    if min(settings.rows) < SPEAKERS * TURNS:
        parser.error(f"--rows: {SPEAKERS * TURNS} at least, a dialogue of every speaker")
    return settings


def write_corpus(folder: Path, rows: int, seconds: float) -> Path:
    """The table `corpus.csv` over `rows` clips of noise."""
    rng = np.random.default_rng(0)
    (folder / "clips").mkdir(parents=True)
    for clip in range(min(CLIPS, rows)):
        samples = rng.normal(scale=0.1, size=int(16000 * seconds * rng.uniform(0.7, 1)))
        soundfile.write(folder / "clips" / f"{clip}.wav", samples, 16000)
    for row in range(CLIPS, rows):
        os.link(folder / "clips" / f"{row % CLIPS}.wav", folder / "clips" / f"{row}.wav")
    words = rng.choice(VOCABULARY, size=(rows, 8))
    with (folder / "corpus.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["audio", "text", "label", "speaker", "dialogue", "turn"])
        for row in range(rows):
            label, speaker = LABELS[row % 4], f"s{row // TURNS % SPEAKERS}"
            told = f"{' '.join(words[row])} {row}"
            writer.writerow([f"clips/{row}.wav", told, label, speaker, f"d{row // TURNS}", row % TURNS])
    return folder / "corpus.csv"


class Stages:
    """What is done with a corpus, one after the other."""

    def __init__(self, folder: Path, resamples: int):
        self.folder, self.resamples = folder, resamples
        self.rng = np.random.default_rng(0)

    def named(self) -> dict[str, Callable[[], None]]:
        """The stages in their order."""
        return {
            "load": self.load,
            "check": self.check,
            "lengths": self.lengths,
            "folds": self.folds,
            "label store": self.label_store,
            "scores": self.scores,
            "cards": self.cards,
        }

    def load(self) -> None:
        """Table, labels, histories."""
        from hf_mer.data import load_corpus

        self.rows = load_corpus(self.folder / "corpus.csv", max_history=3)

    def check(self) -> None:
        """Every recording is decoded once."""
        from hf_mer.data.check_files import check_audio

        self.rows = check_audio(self.rows)

    def lengths(self) -> None:
        """What batches of like length are made by."""
        from hf_mer.training.features import add_lengths

        self.processor, self.model = make_system(sorted(set(self.rows["text"][:1000])))
        self.rows = add_lengths(self.rows, self.processor, ["text", "speech"])

    def folds(self) -> None:
        """Leave one speaker out, checked, with its hash."""
        from hf_mer.data import check_folds, make_folds
        from hf_mer.data.protocols.folds import split_hash

        folds = make_folds(self.rows, "leave_one_speaker_out", validation="none")
        check_folds(self.rows, folds)
        split_hash(self.rows, folds)
        self.fold = folds[0]

    def label_store(self) -> None:
        """Key and content: words and k-means codes of the fold's training rows, by tiny random encoders."""
        from hf_mer.data.collator import MerDataCollator
        from hf_mer.training import LabelStoreArguments
        from hf_mer.training.label_store.stores import StoreRecipe

        arguments = LabelStoreArguments(discretizer="kmeans", kmeans_clusters=16, kmeans_frames=2000)
        collator = MerDataCollator(self.processor, ["text", "speech"])
        recipe = StoreRecipe(self.model, collator, self.rows.select(self.fold.train), LABELS, arguments)
        recipe.key()
        recipe.build(progress=False)

    def scores(self) -> None:
        """Scores, intervals and predictions, of all rows as one test split."""
        from hf_mer.data import Fold
        from hf_mer.training.results import test_results, write_predictions

        whole = Fold("whole", train=self.fold.train, validation=None, test=list(range(len(self.rows))))
        logits = self.rng.normal(size=(len(self.rows), len(LABELS)))
        test_results(self.rows, whole, self.rows, logits, LABELS, self.resamples, 0)
        write_predictions(self.folder / "predictions.csv", self.rows, logits, LABELS)

    def cards(self) -> None:
        """Parquet files and the card of the dataset, whose numbers are counted."""
        from hf_mer.data.prepare import prepare
        from hf_mer.hub.cards.dataset_card import dataset_card
        from hf_mer.hub.prepared import find_prepared

        prepare(self.rows.remove_columns("length"), self.folder / "prepared", about={"corpus": "manifest"})
        dataset_card(find_prepared(self.folder / "prepared"), "me/stand-in", without_audio=True)


def make_system(texts: list[str]) -> tuple[Any, Any]:
    """A processor, and LE-MER with tiny random encoders on log-mel frames."""
    from transformers import SeamlessM4TFeatureExtractor

    from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor
    from hf_mer.training.tokenizer import train_tokenizer

    processor = MerProcessor(SeamlessM4TFeatureExtractor(stride=4), train_tokenizer(texts, 1000))
    text, speech = encoder_configs(len(processor.tokenizer))
    labels = dict(enumerate(LABELS))
    return processor, LeMerForEmotionClassification(
        LeMerConfig(text_config=text, speech_config=speech, tonal_space="hidden", id2label=labels)
    )


def encoder_configs(vocabulary: int) -> tuple[BertConfig, Wav2Vec2BertConfig]:
    """Configurations of the tiny encoders."""
    shape: Any = {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 4 * WIDTH,
    }
    return BertConfig(**shape, vocab_size=vocabulary), Wav2Vec2BertConfig(
        **shape, feature_projection_input_dim=MEL_FEATURES, layerdrop=0.0
    )


def measure(rows: int, settings: argparse.Namespace) -> dict[str, Any]:
    """Processor seconds and peak MiB of every stage; called in a process of its own, whose caches are empty."""
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        import datasets

        datasets.config.HF_DATASETS_CACHE = Path(folder) / "cache"
        datasets.disable_progress_bars()
        measured = {}
        for name, size in (("imports", SPEAKERS * TURNS), ("corpus", rows)):  # the first one's numbers are left out
            write_corpus(Path(folder) / name, size, settings.seconds)
            for stage, run in Stages(Path(folder) / name, settings.resamples).named().items():
                started = time.process_time()
                run()
                measured[stage] = {"seconds": time.process_time() - started, "peak_mib": measuring.peak_mib()}
        return measured


def first_step(rows: int, settings: argparse.Namespace) -> dict[str, float]:
    """Seconds from `hf-mer train` to the end of the first step, `cold` and `warm`."""
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        corpus = write_corpus(Path(folder) / "corpus", rows, settings.seconds)
        return {
            name: seconds_to_first_step(corpus, Path(folder) / name, Path(folder) / "cache")
            for name in ("cold", "warm")
        }


def seconds_to_first_step(corpus: Path, out: Path, cache: Path) -> float:
    """Runs the command until it has logged its first step, and stops it there."""
    command = [sys.executable, "-m", "hf_mer.cli", "train", "le_mer", str(corpus), "--from-scratch", "--out", str(out)]
    flags = ["--folds", "0", "--logging-strategy", "steps", "--logging-steps", "1"]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(cache), "PYTHONUNBUFFERED": "1"}
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, *flags], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said: list[str] = []
        for line in process.stdout or []:
            said.append(line)
            if re.search(r"'loss': ", line):
                seconds = time.perf_counter() - started
                process.terminate()
                process.communicate()
                return seconds
    raise RuntimeError(f"hf-mer train ended before its first step:\n{''.join(said[-30:])}")


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    result: dict[str, Any] = {"settings": vars(settings), "hardware": measuring.hardware()}
    if settings.first_step:
        result["first_step"] = {rows: first_step(rows, settings) for rows in settings.rows}
        table = [
            {"rows": rows, **{name: f"{seconds:.1f}" for name, seconds in found.items()}}
            for rows, found in result["first_step"].items()
        ]
        measuring.report(
            result, {"rows": "rows", "cold": "cold, s to the first step", "warm": "warm, s"}, table, settings.json
        )
        return result
    measured = {rows: measuring.in_fresh_process(measure, rows, settings) for rows in settings.rows}
    result["measured"] = measured
    *_, before, last = [None, *settings.rows]
    table = []
    for stage in measured[last]:
        row = {"stage": stage}
        for rows, stages in measured.items():
            row[f"{rows}"] = f"{1e6 * stages[stage]['seconds'] / rows:.0f}"
            row[f"{rows} peak"] = f"{stages[stage]['peak_mib']:.0f}"
        if before is not None:
            by_row = [measured[rows][stage]["seconds"] / rows for rows in (before, last)]
            row["growth"] = f"{by_row[1] / by_row[0]:.2f}"
        table.append(row)
    columns = {"stage": "stage", **{f"{rows}": f"µs a row, {rows}" for rows in measured}}
    if before is not None:
        columns["growth"] = f"{last} over {before}"
    columns.update({f"{rows} peak": f"peak MiB, {rows}" for rows in measured})
    measuring.report(result, columns, table, settings.json)
    return result


if __name__ == "__main__":
    main()
