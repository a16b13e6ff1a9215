"""Label stores on disk: named after everything that they depend on, built once, found again by folds and runs."""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from datasets import Dataset
from filelock import FileLock
from torch.utils.data import DataLoader

from hf_mer.data.collator import MerDataCollator, states_of
from hf_mer.data.schema import column
from hf_mer.files import write_atomically
from hf_mer.models import LabelEmbeddingStore
from hf_mer.models.lengths_mer import pad_masked
from hf_mer.training.features import reading
from hf_mer.training.fingerprints import content, content_columns, module_hash, records
from hf_mer.training.label_store.builder import LabelStoreArguments, build_label_store
from hf_mer.training.label_store.overlap import tell
from hf_mer.training.stages import Stage

logger = logging.getLogger(__name__)

_FORMAT = 2  # of what a store holds; raise it with every change of how stores are built


@dataclass
class StoreRecipe:
    """What a label store is built from.

    Attributes:
        model: With its encoders before fine-tuning, on the device that computes.
        collator: Reads the rows; not the training's, which may drop modalities.
        train: Training rows with the column `length`.
        labels: Class names.
        arguments: Settings of the store.
        pretraining: The speech checkpoint with its quantizer, where codes are its.
        label_text_encoder: Embeds the labels of a model without a text branch.
        seed: Of the order of the rows, of k-means and of projections.
        batch_size: Utterances that are encoded at once.
        num_workers: Processes that read audio.
        states: Precision of the states of the frozen speech encoder that rows bring, see `cache_states`; None without.
    """

    model: Any
    collator: MerDataCollator
    train: Dataset
    labels: list[str]
    arguments: LabelStoreArguments
    pretraining: Any = None
    label_text_encoder: Any = None
    seed: int = 0
    batch_size: int = 32
    num_workers: int = 0
    states: str | None = None

    @property
    def wants_codes(self) -> bool:
        """Whether speech becomes codes, which is the one thing that audio is read for."""
        return self.model.config.has_tonal_labels and self.model.config.tonal_label_init == "codebook"

    @property
    def wants_audio(self) -> bool:
        """Whether recordings are read for it: not where the hidden states that become codes are there already."""
        arguments = self.arguments
        of_states = arguments.discretizer == "kmeans" and arguments.kmeans_features == "hidden"
        return self.wants_codes and not (self.states and of_states)

    @property
    def text_encoder(self) -> Any:
        """The encoder that embeds words or class names; None if there are no such embeddings."""
        config = self.model.config
        if config.has_text_labels and config.text_label_init != "random":
            return self.model.text_encoder
        if config.has_tonal_labels and config.tonal_label_init == "bert":
            return self.label_text_encoder if self.model.text_encoder is None else self.model.text_encoder
        return None

    def key(self) -> str:
        """A fingerprint of all that decides what is in the store, and of nothing else.

        Settings of the fusion, the losses or the training are not in it: runs that differ in these share a store.
        """
        config, processor = self.model.config, self.collator.processor
        parts: dict[str, Any] = {
            "format": _FORMAT,
            "labels": self.labels,
            "arguments": asdict(self.arguments),
            "inits": [config.text_label_init, config.tonal_label_init, config.tonal_space],
            "branches": [config.has_text_labels, config.has_tonal_labels],
            "seed": self.seed,
            "rows": self._rows_hash(),
        }
        if self.text_encoder is not None:
            parts["text"] = [
                module_hash(self.text_encoder),
                processor.tokenizer.backend_tokenizer.to_str(),
                processor.max_text_tokens,
                config.tonal_width if config.has_tonal_labels else None,
            ]
        if self.wants_codes:
            quantizer = module_hash(self.pretraining) if self.pretraining is not None else None
            # k-means is fitted on the first frames, and which these are depends on the size of the batches
            speech = module_hash(self.model.speech_encoder)
            parts["speech"] = [speech, quantizer, reading(self.collator, "speech"), self.batch_size]
            if self.states:
                parts["states"] = self.states
        mixtures = {name: self.model.mixture(name) for name in ("text", "speech")}
        if mixed := {name: one.scale for name, one in mixtures.items() if one is not None}:
            parts["mixed"] = mixed
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()

    def build(self, progress: bool) -> LabelEmbeddingStore:
        """The store, made now."""
        return build_label_store(
            self.model,
            self.collator.processor,
            self._batches(),
            self.labels,
            self.arguments,
            self.pretraining,
            self.label_text_encoder,
            seed=self.seed,
            progress=progress,
        )

    def _rows_hash(self) -> str:
        digest = hashlib.sha256()
        names = ["id", "label", "text", *(content_columns(self.train, "speech") if self.wants_codes else [])]
        for row in records(self.train, names):
            audio = content(row, "speech") if self.wants_codes else ""
            digest.update(repr((row["id"], row["label"], row["text"], audio)).encode())
        return digest.hexdigest()

    def _batches(self) -> Iterable[dict[str, Any]]:
        """Training rows in shuffled batches of like length; audio and states only where codes are wanted."""
        processor = self.collator.processor

        def collate(batch: list[dict[str, Any]]) -> dict[str, Any]:
            features = [self.collator.audio_features(row) if self.wants_audio else None for row in batch]
            inputs = dict(processor.collate(features, [None] * len(batch), require_input=False))
            states = [states_of(row, "speech") if self.states and self.wants_codes else None for row in batch]
            if any(one is not None for one in states):
                padded = pad_masked(states, "speech_features", "speech_features_mask")
                inputs.update({name: torch.from_numpy(value) for name, value in padded.items()})
            return {
                "labels": [row["label"] for row in batch],
                "texts": [row["text"] for row in batch],
                "inputs": inputs or None,
            }

        order = np.random.default_rng(self.seed).permutation(len(self.train))
        lengths = np.array(column(self.train, "length"))
        chunk = 16 * self.batch_size
        buckets = [sorted(order[i : i + chunk], key=lambda j: lengths[j]) for i in range(0, len(order), chunk)]
        batches = [
            bucket[i : i + self.batch_size] for bucket in buckets for i in range(0, len(bucket), self.batch_size)
        ]
        return DataLoader(self.train, batch_sampler=batches, collate_fn=collate, num_workers=self.num_workers)


def find_or_build(recipe: StoreRecipe, stage: Stage, progress: bool = True) -> LabelEmbeddingStore:
    """The store of a recipe, from the cache of `datasets` if it is there; one process builds it while others wait.

    Args:
        recipe: What it is built from.
        stage: Notes whether it was found.
        progress: Whether to show a bar.
    """
    key = recipe.key()
    path = Path(datasets.config.HF_DATASETS_CACHE) / "hf_mer_label_stores" / key[:24]
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if path.exists():
            store = LabelEmbeddingStore.from_pretrained(path)
            if store.settings.get("key") == key:
                logger.info("label store found: %s", path)
                tell(store)
                stage.add(reused=True)
                return store
        store = recipe.build(progress)
        store.settings["key"] = key
        write_atomically(path, store.save_pretrained)
    tell(store)
    stage.add(reused=False)
    return store
