"""What other libraries do in a training step, on the same sound: SpeechBrain and transformers, see `peers.py`."""

import argparse
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from bucketing import VOCABULARY, make_rows
from step_time import encoder_configs
from torch import Tensor, nn
from transformers import (
    AutoModel,
    DataCollatorWithPadding,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

from hf_mer.models import MerProcessor
from hf_mer.training.tokenizer import train_tokenizer

RATE = 16000
LABELS = {i: str(i) for i in range(4)}


class Corpus:
    """Rows of IEMOCAP's lengths, cut at the longest, with words in proportion; their sound is noise in memory."""

    def __init__(self, rows: int, longest: float):
        tokenizer = train_tokenizer([" ".join(VOCABULARY)] * 2, 1000)
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        self.processor = MerProcessor(extractor, tokenizer, max_audio_seconds=longest)
        self.dataset = make_rows(argparse.Namespace(rows=rows, history=0), self.processor)
        self.rows = self.dataset.to_list()
        self.lengths = [row["length"] for row in self.rows]
        noise = np.random.default_rng(0).standard_normal(round(longest * RATE), dtype=np.float32)
        self.noise = 0.1 * noise

    def samples(self, row: dict[str, Any]) -> np.ndarray:
        return self.noise[: row["length"]]


class Case:
    """One system: how it draws and makes batches, its loss, its optimizers."""

    modalities: ClassVar[list[str]] = ["speech"]
    model: nn.Module
    optimizers: list[torch.optim.Optimizer]

    def __init__(self, settings: argparse.Namespace, batch_size: int, folder: str):
        torch.manual_seed(0)
        self.settings, self.batch_size, self.folder = settings, batch_size, folder
        self.configs = encoder_configs(settings.size)
        self.corpus = Corpus(self.corpus_size(), settings.longest)
        self.build()
        self.model.train()
        self.plans = [self.plan(number) for number in range(settings.rounds)]  # drawn beforehand: not in the times
        self.rounds = 0

    def corpus_size(self) -> int:
        return int(self.settings.rows)

    def build(self) -> None:
        """Sets `model` and `optimizers`."""
        raise NotImplementedError

    def plan(self, number: int) -> list[list[int]]:
        """The rows of every batch of a round: in another random order each time, the same for every library."""
        order = np.random.default_rng(number).permutation(len(self.corpus.rows)).tolist()
        return self.cut(order)

    def cut(self, order: list[int]) -> list[list[int]]:
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]

    def collate(self, rows: list[dict[str, Any]]) -> Any:
        raise NotImplementedError

    def loss(self, batch: Any) -> Tensor:
        return self.model(**batch).loss

    def step(self, rows: list[int]) -> None:
        """Makes a batch; forward, backward, optimizers."""
        batch = self.collate([self.corpus.rows[row] for row in rows])
        self.loss(batch).backward()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()

    def run(self) -> None:
        """The next round."""
        for rows in self.plans[self.rounds]:
            self.step(rows)
        self.rounds += 1

    def warm_up(self) -> None:
        self.step(self.plans[0][0])

    def longest(self) -> list[int]:
        """The largest batch, padding counted, of all that may be drawn: what an epoch needs memory for."""
        return max((rows for plan in self.plans for rows in plan), key=self.cells)

    def cells(self, rows: list[int]) -> int:
        return len(rows) * max(self.corpus.lengths[row] for row in rows)

    def sound(self) -> list[float]:
        """Seconds of sound in every round, padding not counted."""
        return [sum(self.corpus.lengths[row] for rows in plan for row in rows) / RATE for plan in self.plans]

    def padding(self) -> float:
        """Share of padding in all batches of all rounds."""
        batches = [[self.corpus.lengths[row] for row in rows] for plan in self.plans for rows in plan]
        return 1 - sum(map(sum, batches)) / sum(len(lengths) * max(lengths) for lengths in batches)


def adamw(model: nn.Module) -> list[torch.optim.Optimizer]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [torch.optim.AdamW(trained, lr=1e-6, fused=True)]


class SpeechBrain(Case):
    """Its recipe for IEMOCAP with wav2vec 2.0: wrapper, pooling, layer, loss, optimizers and padding are its own."""

    def build(self) -> None:
        from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
        from speechbrain.nnet.activations import Softmax
        from speechbrain.nnet.linear import Linear
        from speechbrain.nnet.pooling import StatisticsPooling

        source, config = str(Path(self.folder, "wav2vec2")), self.configs["speech_config"]
        AutoModel.from_config(config).save_pretrained(source)
        Wav2Vec2FeatureExtractor().save_pretrained(source)
        saved = str(Path(self.folder, "speechbrain"))
        encoder = Wav2Vec2(source, saved, output_norm=True, freeze=False, freeze_feature_extractor=True)
        encoder.model.feature_extractor._freeze_parameters()  # the recipe calls it too
        output = Linear(input_size=config.hidden_size, n_neurons=len(LABELS), bias=False)
        self.pool, self.log_softmax = StatisticsPooling(return_std=False), Softmax(apply_log=True)
        self.model = nn.ModuleDict({"wav2vec2": encoder, "output_mlp": output})
        self.optimizers = [
            torch.optim.Adam(encoder.parameters(), lr=1e-5),
            torch.optim.Adam(output.parameters(), lr=1e-4),
        ]

    def collate(self, rows: list[dict[str, Any]]) -> Any:
        from speechbrain.dataio.batch import PaddedBatch

        return PaddedBatch(
            [
                {"sig": torch.from_numpy(self.corpus.samples(row)), "emo_encoded": torch.tensor([row["label"]])}
                for row in rows
            ]
        )

    def loss(self, batch: Any) -> Tensor:
        from speechbrain.nnet.losses import nll_loss

        waves, lengths = batch.sig
        labels, _ = batch.emo_encoded
        states = self.model["wav2vec2"](waves, lengths)
        pooled = self.pool(states, lengths).view(len(waves), -1)
        return nll_loss(self.log_softmax(self.model["output_mlp"](pooled)), labels.squeeze(1))


class AudioClassification(Case):
    """The example of transformers: its classifier, feature extractor and collator."""

    def build(self) -> None:
        config = self.configs["speech_config"]
        config.num_labels = len(LABELS)
        self.model = Wav2Vec2ForSequenceClassification(config)
        self.model.freeze_feature_encoder()  # as the example does
        self.optimizers = adamw(self.model)
        self.extractor = self.corpus.processor.feature_extractor
        self.pad = DataCollatorWithPadding(self.extractor)

    def collate(self, rows: list[dict[str, Any]]) -> Any:
        values = self.extractor([self.corpus.samples(row) for row in rows], sampling_rate=RATE)["input_values"]
        pairs = zip(values, rows, strict=True)
        return self.pad([{"input_values": value, "labels": row["label"]} for value, row in pairs])


class Concatenation(nn.Module):
    """Means of BERT's and of wav2vec 2.0's states, side by side, and a linear layer."""

    def __init__(self, configs: dict[str, Any]):
        super().__init__()
        self.text = AutoModel.from_config(configs["text_config"], add_pooling_layer=False)
        self.speech = AutoModel.from_config(configs["speech_config"])
        self.speech.freeze_feature_encoder()
        self.classifier = nn.Linear(self.text.config.hidden_size + self.speech.config.hidden_size, len(LABELS))

    def forward(self, text: dict[str, Tensor], sound: dict[str, Tensor], labels: Tensor) -> Tensor:
        """The loss."""
        tokens = self.text(**text).last_hidden_state  # (B, T, D)
        frames = self.speech(**sound).last_hidden_state  # (B, S, D)
        mask = self.speech._get_feature_vector_attention_mask(frames.shape[1], sound["attention_mask"])  # (B, S)
        both = torch.cat((mean(tokens, text["attention_mask"]), mean(frames, mask)), dim=-1)  # (B, 2 D)
        return nn.functional.cross_entropy(self.classifier(both), labels)


def mean(states: Tensor, mask: Tensor) -> Tensor:
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


class TextAndSpeech(Case):
    """BERT and wav2vec 2.0 of transformers on random batches."""

    def build(self) -> None:
        self.model = Concatenation(self.configs)
        self.optimizers = adamw(self.model)

    def collate(self, rows: list[dict[str, Any]]) -> Any:
        processor = self.corpus.processor
        text = processor.tokenizer([row["text"] for row in rows], padding=True, truncation=True, return_tensors="pt")
        samples = [self.corpus.samples(row) for row in rows]
        sound = processor.feature_extractor(samples, sampling_rate=RATE, padding=True, return_tensors="pt")
        return {"text": text, "sound": sound, "labels": torch.tensor([row["label"] for row in rows])}

    def loss(self, batch: Any) -> Tensor:
        return self.model(**batch)
