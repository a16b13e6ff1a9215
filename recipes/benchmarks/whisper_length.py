"""Whisper at a clip's own length over transformers' `WhisperForAudioClassification`, which pads every clip to 30 s.

    python recipes/benchmarks/whisper_length.py --checkpoint openai/whisper-tiny.en --recordings RAVDESS --batch 8
    python recipes/benchmarks/whisper_length.py --size small --batch 8

Both classify the same recordings with the same encoder, the mean over its frames and a linear layer; ours is WavFusion
on speech alone, without deep layers. A training step is forward, backward and AdamW over all parameters; inference
begins with samples, and is also timed from log-mel frames. Besides, of a frozen encoder: a training step that runs it,
over one that has its states from before. Without a checkpoint weights are random: time does not depend on them.
Without recordings there is noise of IEMOCAP's lengths.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import torch
from bucketing import SAMPLING_RATE, iemocap_durations
from measuring import Ratio
from torch import Tensor
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification, logging

from hf_mer.models import MerProcessor, WavFusionConfig, WavFusionForEmotionClassification
from hf_mer.models.audio_mer import load_audio
from hf_mer.training.tokenizer import train_tokenizer

LABELS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
LONGEST = 30.0  # seconds, of both sides
SIZES = {"tiny": (16, 1, 2), "small": (384, 4, 6), "base": (768, 12, 12)}  # width, layers, heads; small is tiny.en's
PAIRS = {  # what is measured: the slower case over the faster one
    "training step": ("30 s, training", "native, training"),
    "inference, from samples": ("30 s, from samples", "native, from samples"),
    "inference, from log-mel frames": ("30 s, inference", "native, inference"),
    "training step, frozen over cached": ("frozen, training", "cached, training"),
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="Whisper checkpoint: folder or name on the Hub")
    parser.add_argument(
        "--size", choices=SIZES, default="small", help="size of the random encoder, without --checkpoint"
    )
    parser.add_argument("--recordings", type=Path, help="folder with recordings, also in its subfolders")
    parser.add_argument(
        "--batch", type=int, default=8, help="utterances per batch, drawn evenly from the recordings by name"
    )
    parser.add_argument("--repeats", type=int, default=5, help="number of rounds; each runs every case once")
    parser.add_argument(
        "--memory", action="store_true", help="also measure peak memory, each side in a process of its own"
    )
    measuring.add_device_argument(parser)
    measuring.add_output_argument(parser)
    settings = parser.parse_args(argv)
    if settings.recordings is not None and len(recordings_in(settings.recordings)) < settings.batch:
        parser.error(f"--recordings: fewer than {settings.batch} of {', '.join(SUFFIXES)} in {settings.recordings}")
    return settings


def recordings_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def samples_of(settings: argparse.Namespace) -> list[np.ndarray]:
    """A batch of recordings, or of noise."""
    if settings.recordings is None:
        rng = np.random.default_rng(0)
        seconds = iemocap_durations(settings.batch, rng).clip(1.0, LONGEST)
        return [0.1 * rng.standard_normal(round(one * SAMPLING_RATE)).astype(np.float32) for one in seconds]
    paths = recordings_in(settings.recordings)
    chosen = np.linspace(0, len(paths) - 1, settings.batch).round().astype(int)
    return [load_audio(str(paths[index]), SAMPLING_RATE)[: round(LONGEST * SAMPLING_RATE)] for index in chosen]


class Sides:
    """One batch, and both systems around the same encoder's weights."""

    def __init__(self, settings: argparse.Namespace):
        self.settings, self.samples = settings, samples_of(settings)
        self.labels = (torch.arange(settings.batch) % len(LABELS)).to(settings.device)
        torch.manual_seed(0)
        if settings.checkpoint is None:
            width, layers, heads = SIZES[settings.size]
            shape = {"d_model": width, "encoder_layers": layers, "encoder_attention_heads": heads}
            config = WhisperConfig(**shape, encoder_ffn_dim=4 * width, num_labels=len(LABELS))
            self.theirs: Any = WhisperForAudioClassification(config)
        else:
            self.theirs = WhisperForAudioClassification.from_pretrained(
                settings.checkpoint, num_labels=len(LABELS), dtype=torch.float32
            )
        self.theirs.to(settings.device)
        self.extractor = WhisperFeatureExtractor(self.theirs.config.num_mel_bins)
        self.processor = MerProcessor(self.extractor, train_tokenizer(["a"] * 2, 100), max_audio_seconds=LONGEST)

    def ours(self, freeze: list[str]) -> Any:
        config = WavFusionConfig(
            speech_config=self.theirs.config.to_dict(),
            modalities=["speech"],
            num_deep_layers=0,
            freeze=freeze,
            id2label=dict(enumerate(LABELS)),
        )
        model = WavFusionForEmotionClassification(config)
        model.load_encoders(speech_encoder=self.theirs.encoder)
        return model.to(self.settings.device)

    def native_inputs(self) -> dict[str, Tensor]:
        batch = self.processor(audio=self.samples, sampling_rate=SAMPLING_RATE)
        return {name: value.to(self.settings.device) for name, value in batch.items()}

    def padded_inputs(self) -> dict[str, Tensor]:
        batch = self.extractor(self.samples, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        return {"input_features": batch["input_features"].to(self.settings.device)}

    def training(self, model: Any, inputs: dict[str, Tensor]) -> Callable[[], None]:
        """Forward, backward and AdamW over what the model trains."""
        optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-6, fused=True)

        def step() -> None:
            model.train()
            model(**inputs, labels=self.labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    def inference(self, model: Any, inputs: Callable[[], dict[str, Tensor]]) -> Callable[[], None]:
        """Logits; what `inputs` does is timed with it."""

        @torch.no_grad()
        def run() -> None:
            model.eval()
            model(**inputs())

        return run

    def cases(self, native: bool, padded: bool, states: bool) -> dict[str, Callable[[], None]]:
        """What is timed of either side."""
        cases: dict[str, Callable[[], None]] = {}
        if padded:
            inputs = self.padded_inputs()
            cases["30 s, training"] = self.training(self.theirs, inputs)
            cases["30 s, from samples"] = self.inference(self.theirs, self.padded_inputs)
            cases["30 s, inference"] = self.inference(self.theirs, lambda: inputs)
        if native or states:
            own = self.native_inputs()
        if native:
            model = self.ours([])
            cases["native, training"] = self.training(model, own)
            cases["native, from samples"] = self.inference(model, self.native_inputs)
            cases["native, inference"] = self.inference(model, lambda: own)
        if states:
            frozen = self.ours(["speech_encoder"])
            features, mask = frozen.eval().precompute("speech", **own)
            cases["frozen, training"] = self.training(frozen, own)
            known = {"speech_features": features, "audio_attention_mask": mask.long()}
            cases["cached, training"] = self.training(frozen, known)
        return cases


def memory_of(settings: argparse.Namespace, case: str) -> float:
    """Peak MiB of a case, run twice; called in a process of its own."""
    sides = Sides(settings)
    side = case.partition(",")[0]
    run = sides.cases(native=side == "native", padded=side == "30 s", states=side in ("frozen", "cached"))[case]
    run()
    run()
    return measuring.peak_mib(settings.device)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    logging.set_verbosity_error()  # of a checkpoint's decoder, which nobody needs here
    sides = Sides(settings)
    lengths = [len(one) / SAMPLING_RATE for one in sides.samples]
    seconds = measuring.interleaved(sides.cases(True, True, True), settings.repeats, device=settings.device)
    memory = {}
    if settings.memory:
        memory = {
            case: measuring.in_fresh_process(memory_of, settings, case) for pair in PAIRS.values() for case in pair
        }
    rows: list[dict[str, Any]] = []
    for name, (slower, faster) in PAIRS.items():
        ratio = Ratio.of(seconds[slower], seconds[faster])
        medians = [sorted(seconds[case])[settings.repeats // 2] for case in (slower, faster)]
        rows.append({"name": name, "ratio": str(ratio), "ratio_value": ratio.value})
        rows[-1]["seconds"] = " and ".join(f"{value:.3f}" for value in medians)
        if settings.memory:
            rows[-1]["memory"] = f"{memory[slower]:.0f} and {memory[faster]:.0f}"
    spread = f"{np.median(lengths):.1f} s ({min(lengths):.1f}-{max(lengths):.1f})"
    columns = {
        "name": f"{settings.checkpoint or settings.size}, {settings.batch} utterances of {spread}",
        "ratio": "30 s over native length, or frozen over cached",
        "seconds": "s of each",
    }
    columns.update({"memory": "peak MiB of each"} if settings.memory else {})
    result = {
        "settings": vars(settings),
        "hardware": measuring.hardware(settings.device),
        "seconds": seconds,
        "audio_seconds": lengths,
        "rows": rows,
        "peak_mib": memory,
        "ratio": rows[0]["ratio_value"],
    }
    measuring.report(result, columns, rows, settings.json)
    return result


if __name__ == "__main__":
    main()
