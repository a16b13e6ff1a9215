"""Size and latency of LE-MER in PyTorch, as an ONNX graph, and as one with matrix products in eight bits.

    python recipes/benchmarks/export.py --size base
    python recipes/benchmarks/export.py --size small --encoder wav2vec2-bert
    python recipes/benchmarks/export.py --checkpoint runs/le_mer/Ses05/model

One call of each on the same batch in turns, on the same number of threads; features are ready. Weights are random,
unless a checkpoint is given: time does not depend on them. The share of equal labels does, and says little with random
ones.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import measuring
import torch
from measuring import Ratio
from transformers import (
    BertConfig,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
)

from hf_mer.export import OnnxMerModel, export_onnx
from hf_mer.export.source import Source
from hf_mer.export.utterances import RandomUtterances
from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor
from hf_mer.models.mer_encoders import frames_after
from hf_mer.training.tokenizer import train_tokenizer

SIZES = {"tiny": (32, 1, 2, 32), "small": (256, 4, 4, 128), "base": (768, 12, 12, 512)}
FILES = {"ONNX": "model.onnx", "int8": "model_int8.onnx"}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", choices=SIZES, default="base", help="size of the encoders; base is BERT-base with wav2vec2-base"
    )
    parser.add_argument(
        "--encoder",
        choices=("wav2vec2", "wav2vec2-bert"),
        default="wav2vec2",
        help="speech encoder, on the waveform or on log-mel frames",
    )
    parser.add_argument("--checkpoint", help="checkpoint to measure instead of random encoders")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="utterances")
    parser.add_argument(
        "--seconds", type=float, default=3.6, help="seconds of the longest utterance; the shortest has half"
    )
    parser.add_argument("--tokens", type=int, default=30, help="tokens of the longest text")
    parser.add_argument("--repeats", type=int, default=7, help="number of rounds; each runs every case once")
    measuring.add_output_argument(parser)
    return parser.parse_args(argv)


def save_checkpoint(settings: argparse.Namespace, folder: Path) -> str:
    """LE-MER with random encoders and a processor."""
    torch.manual_seed(0)
    width, layers, heads, conv_width = SIZES[settings.size]
    shape = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }
    extractor: Any
    speech: Any
    if settings.encoder == "wav2vec2":
        speech, extractor = Wav2Vec2Config(**shape, conv_dim=[conv_width] * 7), Wav2Vec2FeatureExtractor()
    else:
        speech = Wav2Vec2BertConfig(**shape, feature_projection_input_dim=320)
        extractor = SeamlessM4TFeatureExtractor(stride=4)
    vocabulary = BertConfig().vocab_size if settings.size == "base" else 1000
    config = LeMerConfig(
        text_config=BertConfig(**shape, vocab_size=vocabulary),
        speech_config=speech,
        id2label={i: str(i) for i in range(4)},
    )
    LeMerForEmotionClassification(config).save_pretrained(folder)
    MerProcessor(extractor, train_tokenizer(["so it is said"] * 2, 100)).save_pretrained(folder)
    return str(folder)


class Forms:
    """One checkpoint in three forms, and batches for it."""

    def __init__(self, settings: argparse.Namespace, checkpoint: str, exported: Path):
        self.settings = settings
        self.description = export_onnx(checkpoint, exported, int8=True)
        self.source = Source.load(checkpoint)
        self.random = RandomUtterances(self.source.model.config, self.source.spec)
        self.graphs = {name: OnnxMerModel.from_pretrained(exported, file) for name, file in FILES.items()}

    def calls(self, batch_size: int) -> dict[str, Callable[[], Any]]:
        """A call of every form on utterances of evenly spread lengths, from half of the longest to all of it."""
        config, seconds = self.source.model.config, self.settings.seconds
        if "input_values" in self.source.spec.inputs:
            frames = frames_after(config.speech_config, round(seconds * 16000))
        else:
            frames = round(seconds * 100 / self.source.processor.feature_extractor.stride)
        shares = [1 - 0.5 * index / max(1, batch_size - 1) for index in range(batch_size)]
        longest = {"text": self.settings.tokens, "speech": frames}
        batch = self.random.batch([self.random.lengths(longest, share) for share in shares])

        def pytorch() -> None:
            with torch.inference_mode():
                self.source.model(**batch)

        return {"PyTorch": pytorch, **{name: partial(graph, **batch) for name, graph in self.graphs.items()}}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    rows, seconds = [], {}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = settings.checkpoint or save_checkpoint(settings, Path(folder, "checkpoint"))
        forms = Forms(settings, checkpoint, Path(folder, "exported"))
        for batch_size in settings.batches:
            seconds[batch_size] = measuring.interleaved(forms.calls(batch_size), settings.repeats)
    sizes = {"PyTorch": forms.description["pytorch_bytes"]}
    sizes.update({name: forms.description["sizes"][file] for name, file in FILES.items()})
    for name, size in sizes.items():
        row = {"form": name, "size": f"{size / 1e6:.1f}"}
        for batch_size, measured in seconds.items():
            median = sorted(measured[name])[settings.repeats // 2]
            ratio = Ratio.of(measured[name], measured["PyTorch"])
            row[f"ms {batch_size}"] = f"{1000 * median:.1f}"
            row[f"ratio {batch_size}"] = "1" if name == "PyTorch" else str(ratio)
        rows.append(row)
    result = {
        "settings": vars(settings),
        "hardware": measuring.hardware(),
        "seconds": seconds,
        "sizes": sizes,
        "differences": forms.description["differences"],
        "int8": forms.description["int8"],
        "rows": rows,
    }
    title = settings.checkpoint or f"{settings.encoder} {settings.size}"
    columns = {"form": f"{title}, {settings.seconds:g} s", "size": "MB"}
    for batch_size in settings.batches:
        columns[f"ms {batch_size}"] = f"ms, batch {batch_size}"
        columns[f"ratio {batch_size}"] = "over PyTorch"
    measuring.report(result, columns, rows, settings.json)
    return result


if __name__ == "__main__":
    main()
