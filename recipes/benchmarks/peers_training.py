"""Training steps of this package beside those of other libraries, in turns; see `peers.py`."""

import argparse
import gc
import tempfile
from collections.abc import Callable
from typing import Any, ClassVar

import measuring
import numpy as np
from measuring import Ratio
from peers_others import LABELS, AudioClassification, Case, Corpus, SpeechBrain, TextAndSpeech, adamw

from hf_mer.data.collator import MerDataCollator
from hf_mer.models import LeMerConfig, LeMerForEmotionClassification
from hf_mer.training import MerTrainer, MerTrainingArguments

OURS = "hf_mer"


class SoundCollator(MerDataCollator):
    """This package's, on sound in memory."""

    corpus: Corpus

    def audio_features(self, row: dict[str, Any]) -> np.ndarray:
        return self.processor.features_of(self.corpus.samples(row))


class LeMerSpeech(Case):
    """LE-MER's speech branch without label embeddings: mean over frames and a linear layer, as its peers have them."""

    fields: ClassVar[dict[str, Any]] = {"tonal_label_init": "none", "pooling": "mean"}

    def corpus_size(self) -> int:
        return int(self.settings.corpus)

    def build(self) -> None:
        used = {name: config for name, config in self.configs.items() if name.split("_")[0] in self.modalities}
        common = {"modalities": self.modalities, "freeze": ["speech_feature_encoder"], "id2label": LABELS}
        self.model = LeMerForEmotionClassification(LeMerConfig(**used, **common, **self.fields))
        self.optimizers = adamw(self.model)
        self.collator = SoundCollator(self.corpus.processor, self.modalities, use_history=False, training=True)
        self.collator.corpus = self.corpus
        arguments = MerTrainingArguments(
            output_dir=self.folder,
            per_device_train_batch_size=self.batch_size,
            dataloader_pin_memory=False,
            use_cpu=True,
        )
        self.trainer = MerTrainer(
            model=self.model, args=arguments, train_dataset=self.corpus.dataset, data_collator=self.collator
        )

    def epoch(self, number: int) -> list[list[int]]:
        self.trainer.state.epoch = float(number)
        return [rows for rows in self.cut(list(self.trainer._get_train_sampler())) if len(rows) == self.batch_size]

    def longest(self) -> list[int]:
        return max(self.epoch(0), key=self.cells)  # those of a round need not reach the longest

    def plan(self, number: int) -> list[list[int]]:
        """Of an epoch's batches so many as hold `--rows`, evenly over their lengths, in the sampler's order."""
        batches = self.epoch(number)
        ranked = sorted(range(len(batches)), key=lambda place: sum(self.corpus.lengths[row] for row in batches[place]))
        wanted = min(len(ranked), max(1, self.settings.rows // self.batch_size))
        chosen = {ranked[int((place + 0.5) * len(ranked) / wanted)] for place in range(wanted)}
        return [batches[place] for place in sorted(chosen)]

    def collate(self, rows: list[dict[str, Any]]) -> Any:
        return self.collator(rows)


class LeMerSpeechAsPeers(LeMerSpeech):
    """The same on its peers' random batches: what a padded step costs, whatever the sampler."""

    corpus_size, plan, longest = Case.corpus_size, Case.plan, Case.longest


class LeMer(LeMerSpeech):
    """LE-MER as its paper has it: label embeddings of both branches, constrained cross-attention, all its losses."""

    modalities: ClassVar[list[str]] = ["text", "speech"]
    fields: ClassVar[dict[str, Any]] = {}


GROUPS: dict[str, dict[str, Callable[..., Case]]] = {
    "speech": {"speechbrain": SpeechBrain, "transformers": AudioClassification, OURS: LeMerSpeech},
    "speech, same batches": {"transformers": AudioClassification, OURS: LeMerSpeechAsPeers},
    "text and speech": {"transformers": TextAndSpeech, OURS: LeMer},
}


def memory_of(settings: argparse.Namespace, batch_size: int, group: str, name: str) -> float:
    """Peak MiB of two steps on one case's largest batch; called in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        case = GROUPS[group][name](settings, batch_size, folder)
        for _ in range(2):  # in the second the optimizer has its states
            case.step(case.longest())
    return measuring.peak_mib()


def compare(settings: argparse.Namespace, batch_size: int, group: str) -> list[dict[str, Any]]:
    """Every case of a group in turns, and what is reported of each."""
    makers = {name: make for name, make in GROUPS[group].items() if name not in settings.without}
    with tempfile.TemporaryDirectory() as folder:
        cases = {name: make(settings, batch_size, folder) for name, make in makers.items()}
        for case in cases.values():
            case.warm_up()
        rounds = {name: case.run for name, case in cases.items()}
        seconds = measuring.interleaved(rounds, settings.rounds, warmup=0)
    speed = {
        name: [sound / taken for sound, taken in zip(case.sound(), seconds[name], strict=True)]
        for name, case in cases.items()
    }
    rows = []
    for name, case in cases.items():
        ratio = Ratio.of(speed[name], speed[OURS])
        row: dict[str, Any] = {"part": group, "batch": batch_size, "case": name, "seconds": seconds[name]}
        row.update(sound=case.sound(), speed=f"{np.median(speed[name]):.2f}", padding=f"{case.padding():.0%}")
        row.update(ratio="1" if name == OURS else str(ratio), ratio_value=ratio.value, padding_value=case.padding())
        rows.append(row)
    cases.clear()
    rounds.clear()
    gc.collect()  # the next group's models take its place
    for row in rows if settings.memory else ():
        row["mib"] = round(measuring.in_fresh_process(memory_of, settings, batch_size, group, row["case"]))
    return rows


def measure(settings: argparse.Namespace) -> list[dict[str, Any]]:
    return [row for group in settings.groups for size in settings.batches for row in compare(settings, size, group)]
