"""From files to a table of scores, by this package and by transformers' pipeline; see `peers.py`."""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import soundfile
import torch
from measuring import Ratio
from step_time import encoder_configs
from torch.utils.data import Dataset
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline

from hf_mer.models import (
    LeMerConfig,
    LeMerForEmotionClassification,
    MerProcessor,
    MultimodalEmotionRecognitionPipeline,
)
from hf_mer.training.tokenizer import train_tokenizer

RATE = 16000
SHORTEST, LONGEST = 0.8, 4.0  # seconds
LABELS = {i: str(i) for i in range(4)}
THEIRS, ENCODER = "transformers", "encoder alone"
GRAPHS = {"hf_mer, ONNX": "model.onnx", "hf_mer, int8": "model_int8.onnx"}


class Recordings(Dataset):
    """Files of noise, evenly spread in length; an item is read where it is wanted, in a worker if there are any."""

    def __init__(self, count: int, folder: str):
        rng = np.random.default_rng(0)
        self.seconds = rng.permutation(np.linspace(SHORTEST, LONGEST, count))
        self.files = [str(Path(folder, f"{index}.wav")) for index in range(count)]
        for path, seconds in zip(self.files, self.seconds, strict=True):
            soundfile.write(path, rng.normal(scale=0.1, size=round(seconds * RATE)).clip(-1, 1), RATE)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        samples, rate = soundfile.read(self.files[index], dtype="float32")
        return {"raw": samples, "sampling_rate": rate}


def write_table(path: str, files: list[str], results: Iterable[list[dict[str, Any]]]) -> None:
    """A line per file: its name, the best label, and every label's score."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", *LABELS.values()])
        for name, result in zip(files, results, strict=True):
            scores = {one["label"]: one["score"] for one in result}
            writer.writerow([name, result[0]["label"], *(scores[label] for label in LABELS.values())])


class Systems:
    """Both pipelines around one encoder's weights, and the graphs that are made of LE-MER."""

    def __init__(self, settings: argparse.Namespace, folder: str):
        torch.manual_seed(0)
        config = encoder_configs(settings.size)["speech_config"]
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        processor = MerProcessor(extractor, train_tokenizer(["so it is said"] * 2, 100))
        fields = {"modalities": ["speech"], "tonal_label_init": "none", "pooling": "mean", "id2label": LABELS}
        model = LeMerForEmotionClassification(LeMerConfig(speech_config=config, **fields)).eval()
        config.num_labels = len(LABELS)
        config.id2label = LABELS
        theirs = Wav2Vec2ForSequenceClassification(config).eval()
        theirs.wav2vec2.load_state_dict(model.speech_encoder.state_dict())
        self.encoder = theirs.wav2vec2
        self.theirs = pipeline("audio-classification", model=theirs, feature_extractor=extractor, device="cpu")
        models: dict[str, Any] = {"hf_mer": model}
        if "onnx" not in settings.without:
            models.update(export(model, processor, folder))
        self.ours = {
            name: MultimodalEmotionRecognitionPipeline(model=one, processor=processor, device="cpu")
            for name, one in models.items()
        }

    def warm_up(self, recordings: Recordings) -> None:
        self.theirs(recordings[0])
        for recognise in self.ours.values():
            recognise(recordings.files[0])

    def batches(self, files: list[str], batch_size: int) -> list[dict[str, Any]]:
        """What this package's pipeline hands to its model."""
        batches: list[dict[str, Any]] = []
        model = self.ours["hf_mer"].model
        handle = model.register_forward_pre_hook(lambda _, __, batch: batches.append(batch), with_kwargs=True)
        self.ours["hf_mer"](files, batch_size=batch_size)
        handle.remove()
        return batches

    @torch.no_grad()
    def encode(self, batches: list[dict[str, Any]]) -> None:
        for batch in batches:
            self.encoder(batch["input_values"], attention_mask=batch["audio_attention_mask"])


def export(model: LeMerForEmotionClassification, processor: MerProcessor, folder: str) -> dict[str, Any]:
    from hf_mer.export import OnnxMerModel, export_onnx

    checkpoint, exported = Path(folder, "checkpoint"), Path(folder, "exported")
    model.save_pretrained(checkpoint)
    processor.save_pretrained(checkpoint)
    export_onnx(str(checkpoint), exported, int8=True)
    return {name: OnnxMerModel.from_pretrained(exported, file) for name, file in GRAPHS.items()}


def processor_time() -> float:
    """Seconds of this process and of the workers that it has ended: reading in workers is work, too."""
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Cases:
    """What is compared, by name, batch size and number of workers; and the wall time of each."""

    def __init__(self, settings: argparse.Namespace, systems: Systems, recordings: Recordings, folder: str):
        self.systems, self.recordings, self.table = systems, recordings, str(Path(folder, "table.csv"))
        self.wall: dict[str, list[float]] = {}
        self.keys: dict[str, tuple[str, int, int]] = {}
        self.calls: dict[str, Callable[[], None]] = {}
        for size in settings.inference_batches:
            batches = systems.batches(recordings.files, size)
            self.add(ENCODER, size, 0, lambda batches=batches: systems.encode(batches))
            for workers in settings.workers:
                self.add(THEIRS, size, workers, self.theirs(size, workers))
                for name in systems.ours:
                    self.add(name, size, workers, self.ours(name, size, workers))

    def theirs(self, size: int, workers: int) -> Callable[[], None]:
        def call() -> None:
            results = self.systems.theirs(self.recordings, batch_size=size, num_workers=workers, top_k=None)
            write_table(self.table, self.recordings.files, results)

        return call

    def ours(self, name: str, size: int, workers: int) -> Callable[[], None]:
        def call() -> None:
            files = self.recordings.files
            write_table(self.table, files, self.systems.ours[name](files, batch_size=size, num_workers=workers))

        return call

    def add(self, name: str, size: int, workers: int, call: Callable[[], None]) -> None:
        key = f"{name}, batch {size}, {workers} workers"
        self.keys[key], self.wall[key] = (name, size, workers), []

        def timed() -> None:
            started = time.perf_counter()
            call()
            self.wall[key].append(time.perf_counter() - started)

        self.calls[key] = timed


def measure(settings: argparse.Namespace) -> list[dict[str, Any]]:
    """Every case in turns, and what is reported of each."""
    with tempfile.TemporaryDirectory() as folder:
        recordings = Recordings(settings.recordings, folder)
        systems = Systems(settings, folder)
        systems.warm_up(recordings)
        cases = Cases(settings, systems, recordings, folder)
        clock = processor_time if measuring.clock_of()[0] == "processor time" else None
        seconds = measuring.interleaved(cases.calls, settings.rounds, warmup=0, clock=clock)
    sound, rows = float(recordings.seconds.sum()), []
    of = {key: seconds[text] for text, key in cases.keys.items()}
    for text, (name, size, workers) in cases.keys.items():
        median = float(np.median(seconds[text]))
        row: dict[str, Any] = {"case": name, "batch": size, "workers": workers, "seconds": seconds[text]}
        row.update(median=f"{median:.2f}", wall=f"{np.median(cases.wall[text]):.2f}", wall_seconds=cases.wall[text])
        row.update(speed=f"{sound / median:.1f}")
        baselines = {"theirs": (THEIRS, size, workers), "encoder": (ENCODER, size, 0)}
        for column, key in baselines.items():
            if name not in (key[0], ENCODER):
                ratio = Ratio.of(seconds[text], of[key])
                row.update({column: str(ratio), f"{column}_value": ratio.value})
        rows.append(row)
    return rows
