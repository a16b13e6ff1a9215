"""Throughput of the pipeline over transformers' own audio classification, and over calling the encoders alone.

    python recipes/benchmarks/pipeline.py --size base --rows 16 --batch 4
    python recipes/benchmarks/pipeline.py --size base --rows 512 --batch 32 --device cuda --dtype bfloat16

Recordings of IEMOCAP's lengths (noise, seeded) go through, in every round:

- `audio-classification`, the pipeline of transformers, with `Wav2Vec2ForSequenceClassification`; it is handed samples,
  since it opens files with the program ffmpeg only;
- this package's pipeline with LE-MER on speech alone, around the same encoder, handed the same samples, and files;
- the encoder alone, on the very batches that this pipeline prepared;
- this package's pipeline with LE-MER on text and speech, from files, and its two encoders alone on its batches.

All share their encoders' parameters; weights are random: time does not depend on them. With `--one-by-one`, also both
pipelines without batches; with `--overhead`, what this one costs by itself, with models that answer at once.
"""

import argparse
import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import soundfile
import torch
from bucketing import iemocap_durations
from measuring import Ratio
from step_time import SIZES, encoder_configs
from transformers import AutoModel, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline

from hf_mer.models import (
    PIPELINE_TASK,
    LeMerConfig,
    LeMerForEmotionClassification,
    MerOutput,
    MerProcessor,
)
from hf_mer.training.tokenizer import train_tokenizer

RATE = 16000
WORDS = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "klmnrst"]
WORDS_PER_SECOND = 2.5
LABELS = {i: str(i) for i in range(4)}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", choices=SIZES, default="base", help="size of the encoders; base is wav2vec2-base and BERT-base"
    )
    parser.add_argument("--rows", type=int, default=16, help="utterances")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--history", type=int, default=3, help="earlier utterances per utterance, for text and speech")
    parser.add_argument(
        "--longest", type=float, default=15.0, help="longest recording in seconds; longer ones are cut"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="loading processes of both pipelines")
    measuring.add_device_argument(parser)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--one-by-one", action="store_true", help="also measure both pipelines without batches")
    parser.add_argument("--overhead", action="store_true", help="also measure the pipeline without its model")
    measuring.add_output_argument(parser)
    return parser.parse_args(argv)


class Corpus:
    """Recordings as files and as samples, with words and histories."""

    def __init__(self, settings: argparse.Namespace, folder: str):
        rng = np.random.default_rng(0)
        self.seconds = iemocap_durations(settings.rows, rng).clip(max=settings.longest)
        self.samples, self.files, self.rows = [], [], []
        for index, seconds in enumerate(self.seconds):
            path = str(Path(folder, f"{index}.wav"))
            soundfile.write(path, rng.normal(scale=0.1, size=round(seconds * RATE)).clip(-1, 1), RATE)
            samples, _ = soundfile.read(path, dtype="float32")
            self.samples.append(samples)
            self.files.append(path)
            history = [self.sentence(rng, other) for other in rng.choice(self.seconds, settings.history)]
            self.rows.append({"audio": path, "text": self.sentence(rng, seconds), "history": history})

    def sentence(self, rng: np.random.Generator, seconds: float) -> str:
        return " ".join(rng.choice(WORDS, max(1, round(seconds * WORDS_PER_SECOND))))

    def raw(self) -> list[dict[str, Any]]:
        """New dictionaries for every call: the pipeline of transformers empties those that it is given."""
        return [{"raw": samples, "sampling_rate": RATE} for samples in self.samples]


class Systems:
    """Pipelines around one pair of encoders."""

    def __init__(self, settings: argparse.Namespace):
        torch.manual_seed(0)
        self.settings = settings
        configs = encoder_configs(settings.size)
        dtype = getattr(torch, settings.dtype)
        self.text = AutoModel.from_config(configs["text_config"], add_pooling_layer=False)
        self.speech = AutoModel.from_config(configs["speech_config"])
        for encoder in (self.text, self.speech):
            encoder.eval().to(settings.device, dtype)
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        processor = MerProcessor(extractor, train_tokenizer([" ".join(WORDS)] * 2, 1000))
        common = {"device": settings.device, "num_workers": settings.workers}
        self.ours = {
            name: pipeline(PIPELINE_TASK, model=self.le_mer(configs, modalities), processor=processor, **common)
            for name, modalities in (("speech", ["speech"]), ("both", ["text", "speech"]))
        }
        theirs = Wav2Vec2ForSequenceClassification(self.shallow(configs)["speech_config"]).eval()
        theirs.to(settings.device, dtype).wav2vec2 = self.speech
        self.theirs = pipeline("audio-classification", model=theirs, feature_extractor=extractor, **common)

    def shallow(self, configs: dict[str, Any]) -> dict[str, Any]:
        """Configurations of encoders that are made to be replaced."""
        configs = copy.deepcopy(configs)
        for config in configs.values():
            config.num_hidden_layers = 1
        return configs

    def le_mer(self, configs: dict[str, Any], modalities: list[str]) -> LeMerForEmotionClassification:
        configs = {name: config for name, config in self.shallow(configs).items() if name.split("_")[0] in modalities}
        model = LeMerForEmotionClassification(LeMerConfig(**configs, modalities=modalities, id2label=LABELS)).eval()
        model.to(self.settings.device, getattr(torch, self.settings.dtype))
        for name in modalities:  # new modules around the same parameters
            encoder = getattr(self, name)
            shared = {id(parameter): parameter for parameter in encoder.parameters()}
            setattr(model, f"{name}_encoder", copy.deepcopy(encoder, shared))
        model.guard_padding()
        return model

    def prepared(self, name: str, inputs: list[Any]) -> list[dict[str, Any]]:
        """The batches that this package's pipeline hands to its model."""
        batches: list[dict[str, Any]] = []
        model = self.ours[name].model
        handle = model.register_forward_pre_hook(lambda _, __, batch: batches.append(batch), with_kwargs=True)
        self.ours[name](inputs, batch_size=self.settings.batch)
        handle.remove()
        return batches

    @torch.no_grad()
    def encode(self, batches: list[dict[str, Any]], with_text: bool) -> None:
        for batch in batches:
            self.speech(batch["input_values"], attention_mask=batch["audio_attention_mask"])
            if with_text:
                self.text(**{name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")})


def make_cases(settings: argparse.Namespace, systems: Systems, corpus: Corpus) -> dict[str, Callable[[], Any]]:
    speech, both = systems.ours["speech"], systems.ours["both"]
    batches = {
        "speech": systems.prepared("speech", corpus.raw()),
        "both": systems.prepared("both", corpus.rows),
    }
    size = {"batch_size": settings.batch}
    single = {
        "audio-classification, one by one": lambda: systems.theirs(corpus.raw()),
        "LE-MER on speech, one by one": lambda: speech(corpus.raw()),
    }
    return {
        **(single if settings.one_by_one else {}),
        "audio-classification, batches": lambda: systems.theirs(corpus.raw(), **size),
        "LE-MER on speech, batches": lambda: speech(corpus.raw(), **size),
        "LE-MER on speech, files, batches": lambda: speech(corpus.files, **size),
        "speech encoder alone": lambda: systems.encode(batches["speech"], with_text=False),
        "LE-MER on text and speech, files, batches": lambda: both(corpus.rows, **size),
        "both encoders alone": lambda: systems.encode(batches["both"], with_text=True),
    }


BASELINES = {
    "LE-MER on speech, one by one": "audio-classification, one by one",
    "LE-MER on speech, batches": "audio-classification, batches",
    "LE-MER on speech, files, batches": "speech encoder alone",
    "LE-MER on text and speech, files, batches": "both encoders alone",
}


def overhead(settings: argparse.Namespace, systems: Systems, corpus: Corpus) -> dict[str, Callable[[], Any]]:
    """The pipelines of this package around models that answer at once."""
    for recognise in systems.ours.values():

        def answer(**batch: Any) -> MerOutput:
            return MerOutput(logits=torch.zeros(len(batch["audio_attention_mask"]), len(LABELS)))

        recognise.model.forward = answer
    return {
        "speech, files": lambda: systems.ours["speech"](corpus.files, batch_size=settings.batch),
        "text and speech, files": lambda: systems.ours["both"](corpus.rows, batch_size=settings.batch),
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        corpus, systems = Corpus(settings, folder), Systems(settings)
        seconds = measuring.interleaved(
            make_cases(settings, systems, corpus), settings.repeats, device=settings.device
        )
        alone = {}
        if settings.overhead:
            cases = overhead(settings, systems, corpus)
            alone = measuring.interleaved(cases, settings.repeats, device=settings.device)
    rows = []
    for name, values in seconds.items():
        median = float(np.median(values))
        row: dict[str, Any] = {"case": name, "seconds": f"{median:.3f}", "utterances": f"{settings.rows / median:.2f}"}
        if baseline := BASELINES.get(name):
            ratio = Ratio.of(values, seconds[baseline])
            row.update(ratio=f"{ratio} of {baseline}", ratio_value=ratio.value)
        rows.append(row)
    for name, values in alone.items():
        median = float(np.median(values))
        row = {"case": f"without the model: {name}", "seconds": f"{median:.3f}"}
        rows.append({**row, "utterances": f"{settings.rows / median:.0f}"})
    result = {
        "settings": vars(settings),
        "hardware": measuring.hardware(settings.device),
        "audio_seconds": float(corpus.seconds.sum()),
        "seconds": seconds,
        "overhead_seconds": alone,
        "rows": rows,
        "ratios": {row["case"]: row["ratio_value"] for row in rows if "ratio_value" in row},
    }
    title = f"{settings.size}, {settings.rows} utterances, batches of {settings.batch}, {settings.dtype}"
    columns = {"case": title, "seconds": "s", "utterances": "utterances/s", "ratio": "time over"}
    measuring.report(result, columns, rows, settings.json)
    return result


if __name__ == "__main__":
    main()
