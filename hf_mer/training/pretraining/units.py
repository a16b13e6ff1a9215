"""Units for masked prediction: k-means on log-mel frames, later on the states of the encoder that these trained."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import SeamlessM4TFeatureExtractor

from hf_mer.files import write_atomically
from hf_mer.models import MerProcessor
from hf_mer.models.mer_encoders import receptive_field
from hf_mer.training.features import cache_features
from hf_mer.training.label_store.discretizer import KMeansDiscretizer

logger = logging.getLogger(__name__)

HOP, WINDOW = 160, 400  # samples of a log-mel frame at 16 kHz
FrameSource = Callable[[Dataset], Iterator[tuple[int, np.ndarray]]]
"""Frames `(S, D)` of each of the given rows, with the number in its column `row`."""


@dataclass
class Units:
    """The unit of every encoder frame.

    Attributes:
        centroids: Shape `(K, D)`.
        codes: Units of an utterance by its row number, one per encoder frame; a frame more or less at the end than the
            encoder gives is mended in `batch`.
    """

    centroids: np.ndarray
    codes: dict[int, np.ndarray]

    def __len__(self) -> int:
        return len(self.centroids)

    def batch(self, rows: list[int], lengths: list[int], num_frames: int) -> Tensor:
        """Units of a batch, -100 at padding. Shape `(B, S)`.

        Args:
            rows: Row numbers.
            lengths: Real frames of the encoder.
            num_frames: Frames of the padded batch, S.
        """
        padded = torch.full((len(rows), num_frames), -100, dtype=torch.long)
        for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            codes = self.codes[row][:length]
            padded[index, : len(codes)] = torch.from_numpy(codes.astype(np.int64))
            padded[index, len(codes) : length] = int(codes[-1])
        return padded

    def save(self, path: Path) -> None:
        """Writes a safetensors file."""
        tensors: dict[str, np.ndarray] = {
            "centroids": np.ascontiguousarray(self.centroids, dtype=np.float32),
            "rows": np.array(list(self.codes), dtype=np.int64),
            "lengths": np.array([len(codes) for codes in self.codes.values()], dtype=np.int64),
            "codes": np.concatenate(list(self.codes.values())).astype(np.int32),
        }
        write_atomically(path, lambda temporary: save_file(tensors, temporary))

    @classmethod
    def load(cls, path: Path) -> "Units":
        """Reads what `save` wrote."""
        tensors = load_file(path)
        parts = np.split(tensors["codes"], np.cumsum(tensors["lengths"])[:-1])
        return cls(tensors["centroids"], dict(zip(tensors["rows"].tolist(), parts, strict=True)))


def find_units(
    train: Dataset, others: Dataset | None, frames: FrameSource, clusters: int, limit: int, seed: int
) -> Units:
    """Fits k-means on frames of training rows and gives every row its units.

    Args:
        train: Rows with the column `row`; the centroids come of these.
        others: Rows that only get units, such as a validation part.
        frames: Gives a row's frames.
        clusters: Centroids at most.
        limit: Frames that the centroids are fitted on.
        seed: Of the choice of rows and of the first centroids.
    """
    chosen, count = [], 0
    order = np.random.default_rng(seed).permutation(len(train))
    for _, values in frames(train.select(order)):
        chosen.append(values)
        count += len(values)
        if count >= limit:
            break
    kmeans = KMeansDiscretizer(clusters, "input", seed)
    kmeans.fit(np.concatenate(chosen)[:limit] if chosen else np.empty((0, 1)))
    codes = {
        row: kmeans.codes(torch.from_numpy(values)).numpy()
        for part in (train, others)
        if part is not None
        for row, values in frames(part)
    }
    logger.info("%d units of %d frames", len(kmeans.centroids), count)
    return Units(kmeans.centroids.numpy(), codes)


def input_frames(processor: Any, rows: Dataset, num_proc: int | None) -> FrameSource:
    """Log-mel frames: the encoder's own where it takes them, else those of the recordings, 10 ms each.

    Args:
        processor: Of the encoder.
        rows: All rows of the corpus, with cached features where the encoder takes log-mel frames.
        num_proc: Processes for frames that are not there yet.
    """
    if processor.audio_input_name != "input_features":
        mel = SeamlessM4TFeatureExtractor(stride=1)
        limits = {name: getattr(processor, name) for name in ("max_audio_seconds", "min_audio_seconds")}
        rows = cache_features(rows, MerProcessor(mel, processor.tokenizer, **limits), num_proc)

    def frames(part: Dataset) -> Iterator[tuple[int, np.ndarray]]:
        for row in part["row"]:
            item = rows[int(row)]
            yield int(row), np.asarray(item["features"], dtype=np.float32).reshape(-1, item["feature_dim"])

    return frames


def at_encoder_frames(units: Units, config: Any) -> Units:
    """Units of 10 ms frames as units of an encoder on the waveform: the one under the middle of each of its frames."""
    hop = int(np.prod(config.conv_stride))
    middle = receptive_field(config) / 2 - WINDOW / 2
    codes = {}
    for row, values in units.codes.items():
        starts = np.arange(len(values) * HOP // hop + 2) * hop
        codes[row] = values[np.clip(np.rint((starts + middle) / HOP), 0, len(values) - 1).astype(np.int64)]
    return Units(units.centroids, codes)


def hidden_frames(model: Any, collator: Any, layer: int, batch_size: int, device: torch.device) -> FrameSource:
    """States of one layer of a trained encoder.

    Args:
        model: A `SpeechPretrainer`.
        collator: Makes its audio inputs and the column `row`.
        layer: From 1.
        batch_size: Rows at once.
        device: That computes.
    """

    @torch.no_grad()
    def frames(part: Dataset) -> Iterator[tuple[int, np.ndarray]]:
        model.to(device).eval()
        for batch in DataLoader(part, batch_size=batch_size, collate_fn=collator):
            audio = batch["input_values"] if "input_values" in batch else batch["input_features"]
            audio, mask = audio.to(device), batch["audio_attention_mask"].to(device)
            states = model.encode(audio, mask, output_hidden_states=True).hidden_states[layer].float().cpu()
            for row, values, real in zip(batch["row"].tolist(), states, model.frames(audio, mask).cpu(), strict=True):
                yield row, values[real].numpy()

    return frames
