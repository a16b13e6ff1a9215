"""Time of a training epoch of WavFusion that encodes everything anew over one that reads the cached states.

    python recipes/benchmarks/cached_states.py --size base --rows 8 --batch 4

WavFusion's text encoder, frame encoder and shallow speech layers are frozen. Either epoch is that of real training:
rows, the trainer's batches of like length, collator, forward, backward, AdamW. One has rows with the states that
`cache_states` wrote; the other, of the same model, reads each recording and clip and runs the frozen encoders. Reading
alone is timed beside it, filling the cache once. Recordings and clips are noise of IEMOCAP's lengths, cut to 2 to 8
seconds; weights are random: time does not depend on them. With `--memory`, also the peak memory of a process that
fills the cache with `--memory-rows` utterances, and with four times as many, through encoders of two layers.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import datasets
import measuring
import numpy as np
import soundfile
import torch
from bucketing import SAMPLING_RATE, VOCABULARY, WORDS_PER_SECOND, iemocap_durations
from configurations import WAVFUSION_SIZES, wavfusion_config
from measuring import Ratio
from torch.utils.flop_counter import FlopCounterMode
from transformers import EfficientNetImageProcessorPil, Wav2Vec2FeatureExtractor

from hf_mer.data.collator import MerDataCollator
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.models import MerProcessor, WavFusionForEmotionClassification
from hf_mer.training import MerTrainer, MerTrainingArguments
from hf_mer.training.features import add_lengths
from hf_mer.training.states import cache_states
from hf_mer.training.tokenizer import train_tokenizer

MODALITIES = ["text", "speech", "video"]
LABELS = ["angry", "excited", "frustrated", "happy", "neutral", "sad"]
SHORTEST, LONGEST, PICTURES_PER_SECOND = 2.0, 8.0, 25  # seconds
DISTINCT = 16  # files; further rows share them


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size",
        choices=WAVFUSION_SIZES,
        default="base",
        help="size of the encoders; base is RoBERTa base, wav2vec2-base and EfficientNet-B0",
    )
    parser.add_argument("--rows", type=int, default=8, help="utterances per epoch")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--frames", type=int, default=8, help="video frames per clip")
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="data type of the states on disk"
    )
    parser.add_argument("--repeats", type=int, default=3, help="number of rounds; each has one epoch of each sort")
    measuring.add_device_argument(parser)
    parser.add_argument("--memory", action="store_true", help="also measure peak memory of filling the cache")
    parser.add_argument(
        "--memory-rows", type=int, help="utterances for --memory, and four times as many (default: sixteen batches)"
    )
    measuring.add_output_argument(parser)
    settings = parser.parse_args(argv)
    settings.memory_rows = settings.memory_rows or 16 * settings.batch  # eight batches are encoded before a write
    return settings


def make_model(settings: argparse.Namespace, size: str, vocabulary: int) -> WavFusionForEmotionClassification:
    config = wavfusion_config(size, vocabulary, LABELS)
    torch.manual_seed(0)
    return WavFusionForEmotionClassification(config).to(settings.device).train()


def write_clip(path: Path, seconds: float, rng: np.random.Generator) -> None:
    """Moving noise, a quarter of standard definition."""
    pattern = rng.integers(0, 255, (15, 20, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)  # (240, 320, 3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=PICTURES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = pattern.shape[1], pattern.shape[0], "yuv420p"
        for index in range(round(seconds * PICTURES_PER_SECOND)):
            frame = av.VideoFrame.from_ndarray(np.roll(pattern, 2 * index, axis=1), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, PICTURES_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def make_rows(folder: Path, processor: MerProcessor, count: int) -> datasets.Dataset:
    """Utterances with a recording, a clip and a text each."""
    rng = np.random.default_rng(0)
    files = []
    for index, seconds in enumerate(iemocap_durations(min(count, DISTINCT), rng).clip(SHORTEST, LONGEST).tolist()):
        audio, video = folder / f"{index}.wav", folder / f"{index}.mp4"
        soundfile.write(audio, 0.1 * rng.standard_normal(round(seconds * SAMPLING_RATE)), SAMPLING_RATE)
        write_clip(video, seconds, rng)
        files.append((str(audio), str(video), seconds))
    records = []
    for index in range(count):
        audio_path, video_path, seconds = files[index % len(files)]
        text = " ".join(rng.choice(VOCABULARY, round(seconds * WORDS_PER_SECOND)))
        label = index % len(LABELS)
        records.append(
            make_record(id=f"{index}", audio=audio_path, video=video_path, text=text, label=label, duration=seconds)
        )
    return add_lengths(records_to_dataset(records, LABELS, cache_dir=folder), processor, MODALITIES)


class Epochs:
    """One model, and its training epochs over rows with cached states and over rows without."""

    def __init__(self, settings: argparse.Namespace, size: str, rows: int, folder: str):
        self.settings, self.folder = settings, Path(folder)
        datasets.config.HF_DATASETS_CACHE = self.folder / "cache"
        datasets.disable_progress_bars()
        tokenizer = train_tokenizer([" ".join(VOCABULARY)] * 2, 1000)
        side = WAVFUSION_SIZES[size][-1]
        self.processor = MerProcessor(
            Wav2Vec2FeatureExtractor(return_attention_mask=True),
            tokenizer,
            image_processor=EfficientNetImageProcessorPil(size={"height": side, "width": side}, do_center_crop=False),
            num_frames=settings.frames,
        )
        self.rows = make_rows(self.folder, self.processor, rows)
        self.model = make_model(settings, size, len(tokenizer))
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-6, fused=True)

    def fill(self) -> tuple[datasets.Dataset, dict[str, float], dict[str, int]]:
        """Rows with their states; seconds and bytes of every modality."""
        clock = measuring.clock_of(self.settings.device)[1]
        rows, seconds, sizes = self.rows, {}, {}
        for name in MODALITIES:
            before, started = self._cache_bytes(), clock()
            rows = cache_states(
                rows,
                name,
                self.model,
                MerDataCollator(self.processor, [name]),
                batch_size=self.settings.batch,
                dtype=self.settings.dtype,
            )
            seconds[name], sizes[name] = clock() - started, self._cache_bytes() - before
        return rows, seconds, sizes

    def _cache_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / "cache").glob("hf_mer_states/*/*.arrow"))

    def loader(self, rows: datasets.Dataset) -> Any:
        """The trainer's batches."""
        arguments = MerTrainingArguments(
            output_dir=str(self.folder / "run"),
            train_sampling_strategy="group_by_length",
            per_device_train_batch_size=self.settings.batch,
            dataloader_pin_memory=False,
            use_cpu=self.settings.device == "cpu",
        )
        collator = MerDataCollator(self.processor, MODALITIES, training=True)
        trainer = MerTrainer(model=self.model, args=arguments, train_dataset=rows, data_collator=collator)
        return trainer.get_train_dataloader()

    def epoch(self, loader: Any) -> Callable[[], None]:
        """Training on every batch."""

        def run() -> None:
            for batch in loader:
                self.step(batch)

        return run

    def step(self, batch: dict[str, Any]) -> None:
        self.model(**batch).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def flops(self, loader: Any) -> int:
        """Of an epoch's matrix products and convolutions, forward and backward; those of the GRUs are not counted."""
        counter = FlopCounterMode(display=False)
        with counter:
            self.epoch(loader)()
        return counter.get_total_flops()


def reading(loader: Any) -> Callable[[], None]:
    """Making every batch, without training on it."""

    def run() -> None:
        for _ in loader:
            pass

    return run


def memory_of(settings: argparse.Namespace, rows: int) -> float:
    """Peak MiB of filling the cache; called in a process of its own."""
    size = "shallow" if settings.size == "base" else settings.size
    with tempfile.TemporaryDirectory() as folder:
        Epochs(settings, size, rows, folder).fill()
        return measuring.peak_mib(settings.device)


def measure(settings: argparse.Namespace, folder: str) -> dict[str, Any]:
    epochs = Epochs(settings, settings.size, settings.rows, folder)
    cached, filling, sizes = epochs.fill()
    loaders = {"encoded anew": epochs.loader(epochs.rows), "cached": epochs.loader(cached)}
    cases = {name: epochs.epoch(loader) for name, loader in loaders.items()}
    cases.update({f"{name}, reading": reading(loader) for name, loader in loaders.items()})
    started = time.perf_counter()
    seconds = measuring.interleaved(cases, settings.repeats, device=settings.device)
    return {
        "settings": vars(settings),
        "hardware": measuring.hardware(settings.device),
        "seconds": seconds,
        "wall_seconds": time.perf_counter() - started,
        "audio_seconds": sum(epochs.rows["duration"]),
        "filling_seconds": filling,
        "cache_bytes": sizes,
        "flops": {name: epochs.flops(loader) for name, loader in loaders.items()},
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(settings, folder)
    seconds, flops = result["seconds"], result["flops"]
    ratio = Ratio.of(seconds["encoded anew"], seconds["cached"])
    medians = {name: sorted(values)[settings.repeats // 2] for name, values in seconds.items()}
    filling = ", ".join(f"{name} {value:.1f}" for name, value in result["filling_seconds"].items())
    per_second = {name: size / 1e3 / result["audio_seconds"] for name, size in result["cache_bytes"].items()}
    row = {
        "name": "encoded anew over cached",
        "ratio": str(ratio),
        "flops": f"{flops['encoded anew'] / flops['cached']:.2f}",
        "anew": f"{medians['encoded anew']:.2f} ({medians['encoded anew, reading']:.2f})",
        "cached": f"{medians['cached']:.2f} ({medians['cached, reading']:.2f})",
        "filling": f"{sum(result['filling_seconds'].values()):.1f} ({filling})",
        "disk": f"{sum(per_second.values()):.0f}",
    }
    columns = {
        "name": f"{settings.size}, {settings.rows} utterances, {result['audio_seconds']:.0f} s of audio",
        "ratio": "epoch encoded anew over cached",
        "flops": "the same in FLOP",
        "anew": "s encoded anew (reading files)",
        "cached": "s cached (reading states)",
        "filling": "s filling",
        "disk": "kB per second of audio",
    }
    memory = {}
    if settings.memory:
        counts = (settings.memory_rows, 4 * settings.memory_rows)
        memory = {count: measuring.in_fresh_process(memory_of, settings, count) for count in counts}
        columns["memory"] = f"peak MiB of filling with {counts[0]}, {counts[1]} utterances"
        row["memory"] = ", ".join(f"{peak:.0f}" for peak in memory.values())
    result.update(rows=[row], ratio=ratio.value, kilobytes_per_second=per_second, peak_mib=memory)
    measuring.report(result, columns, [row], settings.json)
    return result


if __name__ == "__main__":
    main()
