"""Time of building a label store over that of one plain pass of the speech encoder's convolutions.

    python recipes/benchmarks/label_store.py --size base --rows 32 --batch 4

The store is LE-MER's with tonal codes of the checkpoint's codebook in the contrastive space, without a Transformer
layer: words and codes are counted, ranked and embedded. Baseline: the library's own convolutions, without gradients,
over the same batches. The semantic labels are left out: they cost four sentences through the text encoder, however
many rows there are; and the Transformers have one layer, since none of them runs. With `--memory`, also the peak
memory of a process that builds a store from these rows, and from twice as many.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import measuring
import torch
from measuring import Ratio
from transformers import BertConfig, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor
from hf_mer.training import LabelStoreArguments, build_label_store
from hf_mer.training.tokenizer import train_tokenizer

LABELS = ["angry", "happy", "neutral", "sad"]
SIZES = {"tiny": (32, 2, 32), "small": (256, 4, 128), "base": (768, 12, 512)}  # hidden size, heads, convolutions
VOCABULARY = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "klmnrst"]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", choices=SIZES, default="base", help="size of the encoder; base has the convolutions of wav2vec2-base"
    )
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument(
        "--seconds",
        type=float,
        default=4.0,
        help="seconds of the longest utterance of a batch; the shortest has three quarters",
    )
    parser.add_argument("--repeats", type=int, default=5)
    measuring.add_device_argument(parser)
    parser.add_argument(
        "--memory", action="store_true", help="also measure peak memory with these rows and with twice as many"
    )
    measuring.add_output_argument(parser)
    return parser.parse_args(argv)


def make_batches(settings: argparse.Namespace, rows: int) -> Iterator[dict[str, Any]]:
    """Batches as the experiment makes them: labels, texts and padded audio."""
    generator = torch.Generator().manual_seed(0)
    for start in range(0, rows, settings.batch):
        size = min(settings.batch, rows - start)
        samples = (torch.linspace(1.0, 0.75, size) * settings.seconds * 16000).long()
        mask = torch.arange(int(samples.max())) < samples[:, None]
        words = torch.randint(len(VOCABULARY), (size, 10), generator=generator).tolist()
        audio = torch.randn(mask.shape, generator=generator) * mask
        yield {
            "labels": [(start + i) % len(LABELS) for i in range(size)],
            "texts": [" ".join(VOCABULARY[word] for word in row) for row in words],
            "inputs": {
                "input_values": audio.to(settings.device),
                "audio_attention_mask": mask.long().to(settings.device),
            },
        }


class Builder:
    """A speech checkpoint with its quantizer, LE-MER around the same weights, and a processor."""

    def __init__(self, settings: argparse.Namespace):
        torch.manual_seed(0)
        self.settings = settings
        width, heads, conv_width = SIZES[settings.size]
        shape = {
            "hidden_size": width,
            "num_hidden_layers": 1,
            "num_attention_heads": heads,
            "intermediate_size": 4 * width,
        }
        speech = Wav2Vec2Config(**shape, conv_dim=[conv_width] * 7)
        self.pretraining = Wav2Vec2ForPreTraining(speech).to(settings.device).eval()
        tokenizer = train_tokenizer([" ".join(VOCABULARY)] * 2, 1000)
        self.processor = MerProcessor(Wav2Vec2FeatureExtractor(return_attention_mask=True), tokenizer)
        config = LeMerConfig(
            text_config=BertConfig(**shape, vocab_size=len(tokenizer)),
            speech_config=speech,
            text_label_init="random",
            tonal_space="contrastive",
            tonal_dim=speech.proj_codevector_dim,
            id2label=dict(enumerate(LABELS)),
        )
        self.model = LeMerForEmotionClassification(config).to(settings.device).eval()
        self.model.load_encoders(speech_encoder=self.pretraining.wav2vec2)

    def build(self, batches: Any) -> None:
        """The store."""
        build_label_store(
            self.model,
            self.processor,
            batches,
            LABELS,
            LabelStoreArguments(),
            pretraining=self.pretraining,
            progress=False,
        )

    @torch.no_grad()
    def plain_pass(self, batches: Any) -> None:
        """The baseline."""
        for batch in batches:
            self.pretraining.wav2vec2.feature_extractor(batch["inputs"]["input_values"])


def memory_of(settings: argparse.Namespace, rows: int) -> float:
    """Peak MiB of building a store from batches that are made as they are needed; called in a process of its own."""
    Builder(settings).build(make_batches(settings, rows))
    return measuring.peak_mib(settings.device)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    builder = Builder(settings)
    batches = list(make_batches(settings, settings.rows))
    cases = {"store": lambda: builder.build(batches), "plain pass": lambda: builder.plain_pass(batches)}
    seconds = measuring.interleaved(cases, settings.repeats, device=settings.device)
    ratio = Ratio.of(seconds["store"], seconds["plain pass"])
    median = sorted(seconds["store"])[settings.repeats // 2]
    title = f"{settings.size}, {settings.rows} x {settings.seconds:g} s, batches of {settings.batch}"
    columns = {"name": title, "ratio": "store over plain pass", "utterances": "utterances/s"}
    row: dict[str, Any] = {
        "name": "codebook, contrastive",
        "ratio": str(ratio),
        "utterances": f"{settings.rows / median:.1f}",
    }
    memory = {}
    if settings.memory:
        memory = {
            rows: measuring.in_fresh_process(memory_of, settings, rows) for rows in (settings.rows, 2 * settings.rows)
        }
        columns["memory"] = "peak MiB from these rows, twice as many"
        row["memory"] = ", ".join(f"{peak:.0f}" for peak in memory.values())
    result = {
        "settings": vars(settings),
        "hardware": measuring.hardware(settings.device),
        "seconds": seconds,
        "rows": [row],
    }
    result.update(ratio=ratio.value, peak_mib=memory)
    measuring.report(result, columns, [row], settings.json)
    return result


if __name__ == "__main__":
    main()
