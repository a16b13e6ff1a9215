"""What `gpu.py` measures of the loader: a training loop over files, over the same loop on batches that are there."""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import measuring
import numpy as np
import soundfile
from gpu_systems import LABELS, Shape, Subject
from transformers import Wav2Vec2FeatureExtractor

from hf_mer.data.collator import MerDataCollator
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.models import MerProcessor
from hf_mer.training import MerTrainer, MerTrainingArguments
from hf_mer.training.features import add_lengths
from hf_mer.training.tokenizer import train_tokenizer

SAMPLING_RATE, WORDS_PER_SECOND = 16000, 2.6
VOCABULARY = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "klmnrst"]
DISTINCT = 64  # files; further rows share them, so that they are in the page cache
WORKERS = (0, 4, 8)
AHEAD = 2 * max(WORKERS)  # batches that workers make before the first is taken: not counted


class Corpus:
    """Rows with a recording and a text each, and the trainer's batches of them.

    Args:
        subject: LE-MER, or another model of text and speech.
        shape: Of the batches, with the lengths of the recordings.
        count: Batches.
        folder: Of the files.
    """

    def __init__(self, subject: Subject, shape: Shape, count: int, folder: str):
        self.subject, self.shape, self.count, self.folder = subject, shape, count, Path(folder)
        datasets.config.HF_DATASETS_CACHE = self.folder / "cache"
        datasets.disable_progress_bars()
        tokenizer = train_tokenizer([" ".join(VOCABULARY)] * 2, 1000)
        self.processor = MerProcessor(Wav2Vec2FeatureExtractor(return_attention_mask=True), tokenizer)
        self.rows = self._make_rows()

    def _make_rows(self) -> datasets.Dataset:
        rng = np.random.default_rng(0)
        rows = self.count * self.shape.batch
        lengths = rng.permutation(np.linspace(self.shape.shortest, 1.0, min(rows, DISTINCT))) * self.shape.seconds
        for index, seconds in enumerate(lengths):
            samples = 0.1 * rng.standard_normal(round(seconds * SAMPLING_RATE))
            soundfile.write(self.folder / f"{index}.wav", samples, SAMPLING_RATE)
        records = []
        for index in range(rows):
            file = index % len(lengths)
            text = " ".join(rng.choice(VOCABULARY, max(1, round(lengths[file] * WORDS_PER_SECOND))))
            path, label = str(self.folder / f"{file}.wav"), index % len(LABELS)
            records.append(
                make_record(id=f"{index}", audio=path, text=text, label=label, duration=float(lengths[file]))
            )
        return add_lengths(
            records_to_dataset(records, LABELS, cache_dir=self.folder), self.processor, ["text", "speech"]
        )

    def loader(self, workers: int) -> Iterable[dict[str, Any]]:
        """The trainer's batches of like length, the same ones for every number of workers."""
        on_cpu = self.subject.device == "cpu"
        arguments = MerTrainingArguments(
            output_dir=str(self.folder / "run"),
            train_sampling_strategy="group_by_length",
            per_device_train_batch_size=self.shape.batch,
            dataloader_num_workers=workers,
            dataloader_prefetch_factor=2 if workers else None,
            dataloader_pin_memory=not on_cpu,
            use_cpu=on_cpu,
        )
        collator = MerDataCollator(self.processor, ["text", "speech"], training=True)
        model = self.subject.model
        trainer = MerTrainer(model=model, args=arguments, train_dataset=self.rows, data_collator=collator)
        return trainer.get_train_dataloader()


def loading_rows(
    subject: Subject, shape: Shape, batches: int, settings: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One row for a loop over batches that are on the device, and one for every number of workers.

    `lost` is the share of a loop that it is longer than the one without a loader, `waiting` that of waiting for
    batches where each step has ended before.

    Args:
        subject: The model that is trained.
        shape: Of the batches.
        batches: That count; `AHEAD` more come first.
        settings: With `device`.
    """
    device, utterances = settings.device, batches * shape.batch
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(subject, shape, AHEAD + batches, folder)
        resident = [{key: value.to(device) for key, value in batch.items()} for batch in corpus.loader(0)]
        training = stepping(subject)
        loop(resident, training, batches, device)  # meets every length once
        alone = loop(resident, training, batches, device)[0]
        yield {"workers": "batches on the device", "seconds": alone, "rate": f"{utterances / alone:.0f}"}
        for workers in WORKERS:
            free = loop(corpus.loader(workers), training, batches, device)[0]
            stepwise, waited = loop(corpus.loader(workers), training, batches, device, in_step=True)
            row = {"workers": workers, "seconds": free, "stepwise_seconds": stepwise, "waited_seconds": waited}
            row.update(rate=f"{utterances / free:.0f}", lost=f"{max(0.0, 1 - alone / free):.0%}")
            row.update(waiting=f"{waited / stepwise:.0%}", batch_ms=f"{1e3 * waited / batches:.1f}")
            yield row


def stepping(subject: Subject) -> Callable[[dict[str, Any]], None]:
    """Trains on a batch."""
    return lambda batch: subject.model_step(batch)()


def loop(
    batches: Iterable[dict[str, Any]],
    training: Callable[[dict[str, Any]], None],
    count: int,
    device: str,
    in_step: bool = False,
) -> tuple[float, float]:
    """Seconds of training on the last `count` batches, and of them those spent waiting for a batch; wall time.

    Args:
        batches: `AHEAD` more than count.
        training: On one batch.
        count: Of the batches that count.
        device: Of the model.
        in_step: Whether each step has ended before the next batch is asked for: else what is waited for may be the
            step before.
    """
    waited, iterator = 0.0, iter(batches)
    for _ in range(AHEAD):
        training(next(iterator))
    measuring.synchronize(device)
    started = time.perf_counter()
    for _ in range(count):
        if in_step:
            measuring.synchronize(device)
        asked = time.perf_counter()
        batch = next(iterator)
        waited += time.perf_counter() - asked
        training(batch)
    measuring.synchronize(device)
    total = time.perf_counter() - started
    for _ in islice(iterator, 1):  # lets the workers end as after an epoch
        raise ValueError(f"the loader has more than {AHEAD} and {count} batches")
    return total, waited
