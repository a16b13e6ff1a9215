"""Utterances per second of training with batches of like length over those of random batches.

    python recipes/benchmarks/bucketing.py --batch 16 --batches 50

The lengths are IEMOCAP's: a log-normal with its median of 3.58 s and its 95th percentile of 11.1 s, cut at its
longest, 34.1 s (the processor then keeps 30 s), with words in proportion. Trainer, sampler, collator and padding are
those of real training. As many batches of either kind are timed from their making to the optimizer's step; 50 of them
are what the library's sampler sorts at once.
"""

import argparse
import tempfile
from collections.abc import Callable
from itertools import islice
from typing import Any

import measuring
import numpy as np
import torch
from datasets import Dataset
from measuring import Ratio
from transformers import (
    BertConfig,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
)

from hf_mer.data.collator import MerDataCollator
from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor
from hf_mer.training import MerTrainer, MerTrainingArguments
from hf_mer.training.features import add_lengths
from hf_mer.training.tokenizer import train_tokenizer

MEDIAN, PERCENTILE_95, LONGEST = 3.58, 11.1, 34.1  # seconds
WORDS_PER_SECOND, SAMPLING_RATE, MEL_HZ = 2.6, 16000, 25  # log-mel frames of 10 ms, four to a step
SIZES = {"tiny": (32, 1, 2, 32), "mini": (128, 2, 4, 64), "small": (256, 4, 4, 128), "base": (768, 12, 12, 512)}
VOCABULARY = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "klmnrst"]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", choices=SIZES, default="small", help="size of the two encoders; base is BERT-base with wav2vec2-base"
    )
    parser.add_argument(
        "--encoder",
        choices=("wav2vec2", "wav2vec2-bert"),
        default="wav2vec2",
        help="speech encoder, on the waveform or on log-mel frames",
    )
    parser.add_argument(
        "--rows", type=int, default=4290, help="rows of the corpus (default: 4290, as in four sessions of IEMOCAP)"
    )
    parser.add_argument(
        "--batches", type=int, default=50, help="batches of each of the two orders per round (default: 50)"
    )
    parser.add_argument("--batch", type=int, default=16, help="utterances per batch (default: 16)")
    parser.add_argument(
        "--history", type=int, default=0, help="earlier utterances before every text, at most 150 tokens in all"
    )
    parser.add_argument("--repeats", type=int, default=3, help="number of rounds (default: 3)")
    measuring.add_device_argument(parser)
    measuring.add_output_argument(parser)
    return parser.parse_args(argv)


def iemocap_durations(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Seconds, evenly over the quantiles, so that a small sample has the distribution's shape. Shape `(rows,)`."""
    from scipy.stats import norm

    sigma = np.log(PERCENTILE_95 / MEDIAN) / norm.ppf(0.95)
    durations = MEDIAN * np.exp(sigma * norm.ppf((np.arange(rows) + 0.5) / rows))
    return rng.permutation(durations.clip(0.6, LONGEST))


def make_rows(settings: argparse.Namespace, processor: MerProcessor) -> Dataset:
    """A corpus without audio: the collator below makes up the features."""
    rng = np.random.default_rng(0)
    durations = iemocap_durations(settings.rows, rng)

    def sentence(duration: float) -> str:
        return " ".join(rng.choice(VOCABULARY, max(1, round(duration * WORDS_PER_SECOND))))

    rows = {
        "audio": [None] * settings.rows,
        "text": [sentence(duration) for duration in durations],
        "history": [[sentence(other) for other in rng.choice(durations, settings.history)] for _ in durations],
        "duration": durations,
        "label": rng.integers(0, 4, settings.rows),
    }
    return add_lengths(Dataset.from_dict(rows), processor, ["speech"])


class NoiseCollator(MerDataCollator):
    """Features of noise, as long as the row says, at no more cost than reading them from memory."""

    noise = np.random.default_rng(0).standard_normal((30 * MEL_HZ, 320), dtype=np.float32)

    def audio_features(self, row: dict[str, Any]) -> np.ndarray:
        if self.processor.audio_input_name == "input_features":
            return self.noise[: row["length"] * MEL_HZ // SAMPLING_RATE]
        return np.resize(self.noise, row["length"])


def make_processor(encoder: str) -> MerProcessor:
    tokenizer = train_tokenizer([" ".join(VOCABULARY)] * 2, 1000)
    extractor = (
        Wav2Vec2FeatureExtractor(return_attention_mask=True)
        if encoder == "wav2vec2"
        else SeamlessM4TFeatureExtractor(stride=4)
    )
    return MerProcessor(extractor, tokenizer)


def make_model(settings: argparse.Namespace, vocabulary: int) -> LeMerForEmotionClassification:
    width, layers, heads, conv_width = SIZES[settings.size]
    shape = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }
    if settings.encoder == "wav2vec2":
        speech: Any = Wav2Vec2Config(**shape, conv_dim=[conv_width] * 7, layerdrop=0.0)
    else:
        speech = Wav2Vec2BertConfig(**shape, feature_projection_input_dim=320, layerdrop=0.0)
    text = BertConfig(**shape, vocab_size=vocabulary)
    labels = {i: str(i) for i in range(4)}
    return LeMerForEmotionClassification(LeMerConfig(text_config=text, speech_config=speech, id2label=labels)).to(
        settings.device
    )


class Loaders:
    """The trainers of both kinds of batches around one model, and what their batches were padded with."""

    def __init__(self, settings: argparse.Namespace, folder: str):
        torch.manual_seed(0)
        self.settings = settings
        processor = make_processor(settings.encoder)
        rows = make_rows(settings, processor)
        self.model = make_model(settings, len(processor.tokenizer)).train()
        collator = NoiseCollator(processor, ["text", "speech"], use_history=settings.history > 0, training=True)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, fused=True)
        self.padded: dict[str, list[float]] = {}
        self.loaders = {}
        for name in ("random", "group_by_length"):
            arguments = MerTrainingArguments(
                output_dir=folder,
                train_sampling_strategy=name,
                per_device_train_batch_size=settings.batch,
                dataloader_pin_memory=False,
                use_cpu=settings.device == "cpu",
            )
            trainer = MerTrainer(model=self.model, args=arguments, train_dataset=rows, data_collator=collator)
            self.loaders[name] = trainer.get_train_dataloader()

    def round_of(self, name: str) -> Callable[[], None]:
        """Training on the first batches of one strategy's epoch."""
        self.padded[name] = []

        def run() -> None:
            real = cells = 0
            for batch in islice(self.loaders[name], self.settings.batches):
                mask = batch["audio_attention_mask"]
                real, cells = real + int(mask.sum()), cells + mask.numel()
                self.model(**batch).loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad()
            self.padded[name].append(1 - real / cells)

        return run


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        kinds = Loaders(settings, folder)
        cases = {name: kinds.round_of(name) for name in kinds.loaders}
        seconds = measuring.interleaved(cases, settings.repeats, warmup=0, device=settings.device)
    ratio = Ratio.of(seconds["random"], seconds["group_by_length"])
    rows = []
    for name in cases:
        median = float(np.median(seconds[name]))
        row = {
            "batches": name,
            "utterances": f"{settings.rows / median:.2f}",
            "padding": f"{np.median(kinds.padded[name]):.0%}",
        }
        rows.append({**row, "ratio": str(ratio) if name == "group_by_length" else "1"})
    result = {
        "settings": vars(settings),
        "hardware": measuring.hardware(settings.device),
        "seconds": seconds,
        "rows": rows,
    }
    result.update(ratio=ratio.value, padding=kinds.padded)
    title = f"{settings.encoder} {settings.size}, batches of {settings.batch}, history {settings.history}"
    columns = {"batches": title, "utterances": "utterances/s", "padding": "padding of the audio", "ratio": "speed-up"}
    measuring.report(result, columns, rows, settings.json)
    return result


if __name__ == "__main__":
    main()
