"""Builds the label-embedding store of a fold from its training rows, in one pass (LE-MER, sections 2.1 and 2.2)."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from hf_mer.models.label_store import LabelEmbeddingStore
from hf_mer.training.label_store.discretizer import CodebookDiscretizer, KMeansDiscretizer
from hf_mer.training.label_store.tfidf import ClassTfidf, words_of
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments

logger = logging.getLogger(__name__)


def build_label_store(
    model: Any,
    processor: Any,
    batches: Iterable[dict[str, Any]],
    labels: list[str],
    arguments: LabelStoreArguments,
    pretraining: nn.Module | None = None,
    label_text_encoder: nn.Module | None = None,
    seed: int = 0,
    progress: bool = True,
) -> LabelEmbeddingStore:
    """One pass over the training rows of a fold: words and frames are counted, key frames' states are averaged.

    Memory depends on the number of words and codes, not on the number of rows.

    Args:
        model: The model with its encoders before fine-tuning; tells which initialisations are asked for.
        processor: Its tokenizer is used for the descriptions.
        batches: Of `{"labels": (B,), "texts": list[str], "inputs": audio inputs of the model or None}`, in shuffled
            order.
        labels: Class names.
        arguments: Settings.
        pretraining: The speech checkpoint with its quantizer, for `discretizer="codebook"`.
        label_text_encoder: Text encoder for `tonal_label_init="bert"` of a model without a text branch.
        seed: Of k-means and of the projection that fits a text embedding to another width.
        progress: Whether to show a bar.

    Raises:
        ValueError: If a class has no training rows, or an initialisation needs what is not given.
    """
    config = model.config
    words = ClassTfidf(
        len(labels),
        arguments.tfidf_documents,
        arguments.min_word_count,
        arguments.max_word_share,
        arguments.tfidf_contrast,
    )
    wants_codes = config.has_tonal_labels and config.tonal_label_init == "codebook"
    tonal = _TonalCollector(model, arguments, pretraining, len(labels), seed) if wants_codes else None
    rows = np.zeros(len(labels), dtype=np.int64)
    was_training = model.training
    model.eval()
    for batch in tqdm(batches, desc="label store", disable=not progress, leave=False):
        for label, text in zip(batch["labels"], batch["texts"], strict=True):
            rows[label] += 1
            words.add(label, Counter(words_of(text or "")))
        if tonal is not None and batch["inputs"] is not None:
            tonal.add(batch["labels"], batch["inputs"])
    if (rows == 0).any():
        raise ValueError(f"no training rows for class {', '.join(labels[i] for i in np.flatnonzero(rows == 0))}")
    keywords = dict(zip(labels, words.top(arguments.text_top_k), strict=True))
    store = LabelEmbeddingStore(
        labels,
        keywords=keywords,
        settings={
            **asdict(arguments),
            "text_label_init": config.text_label_init,
            "tonal_label_init": config.tonal_label_init,
            "tonal_space": config.tonal_space,
            "rows_per_class": dict(zip(labels, rows.tolist(), strict=True)),
        },
    )
    if tonal is not None:
        tonal.finish(store, labels)
    _embed_texts(store, model, processor, label_text_encoder, seed)
    model.train(was_training)
    return store


class _TonalCollector:
    """Counts codes and, for the hidden space, sums the hidden states of every code's frames."""

    def __init__(
        self, model: Any, arguments: LabelStoreArguments, pretraining: nn.Module | None, num_labels: int, seed: int
    ):
        self.model, self.arguments = model, arguments
        self.hidden_space = model.config.tonal_space == "hidden"
        self.tfidf = ClassTfidf(num_labels, arguments.tfidf_documents, contrast=arguments.tfidf_contrast)
        self.discretizer: Any
        if arguments.discretizer == "codebook":
            if pretraining is None:
                raise ValueError(
                    "discretizer='codebook' needs a speech checkpoint with a quantizer; use 'kmeans' without one"
                )
            self.discretizer = CodebookDiscretizer(pretraining.to(model.device).eval())
        else:
            if not self.hidden_space:
                raise ValueError(
                    "tonal_space='contrastive' needs the codebook of a checkpoint: discretizer='codebook'"
                )
            self.discretizer = KMeansDiscretizer(arguments.kmeans_clusters, arguments.kmeans_features, seed)
        self.waiting: list[tuple[list[int], Tensor, Tensor | None, Tensor]] = []
        self.waiting_frames = 0
        self.sums: dict[int, Tensor] = {}
        self.counts: Counter = Counter()

    @torch.no_grad()
    def add(self, labels: list[int], inputs: dict[str, Tensor]) -> None:
        """Adds a batch of utterances."""
        frames, hidden, mask = self._encode({name: tensor.to(self.model.device) for name, tensor in inputs.items()})
        if isinstance(self.discretizer, KMeansDiscretizer) and self.discretizer.centroids is None:
            # the first frames wait for the centroids, and are counted once these are there
            self.waiting.append((labels, frames, hidden, mask))
            self.waiting_frames += int(mask.sum())
            if self.waiting_frames >= self.arguments.kmeans_frames:
                self._fit()
        else:
            self._count(labels, frames, hidden, mask)

    def _encode(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor | None, Tensor]:
        """What becomes discrete, the hidden states where they are needed, and the mask of real frames."""
        audio: Any = self.model.audio_of(inputs)
        hidden: Any = None
        if self.hidden_space:
            hidden, mask = self.model.encode_speech(audio, inputs["audio_attention_mask"])
        if isinstance(self.discretizer, CodebookDiscretizer):
            frames, mask = self.model.conv_features(audio, inputs["audio_attention_mask"])
        elif self.discretizer.features == "input":
            if audio.dim() != 3:
                raise ValueError(
                    "kmeans_features='input' is for encoders on log-mel frames; use 'hidden' for those on samples"
                )
            frames = self.model.frames_of(audio)
        else:
            frames = hidden
        return frames, hidden, mask

    def _fit(self) -> None:
        frames = [batch[mask].float().cpu().numpy() for _, batch, _, mask in self.waiting]
        self.discretizer.fit(np.concatenate(frames) if frames else np.empty((0, 1)))
        for waiting in self.waiting:
            self._count(*waiting)
        self.waiting = []

    def _count(self, labels: list[int], frames: Tensor, hidden: Tensor | None, mask: Tensor) -> None:
        codes = self.discretizer.codes(frames)  # (B, S)
        for row, label in enumerate(labels):
            found, counts = torch.unique(codes[row][mask[row]], return_counts=True)
            if len(found):
                self.tfidf.add(label, dict(zip(found.tolist(), counts.tolist(), strict=True)))
        if hidden is not None:
            found, inverse, counts = torch.unique(codes[mask], return_inverse=True, return_counts=True)
            sums = torch.zeros(len(found), hidden.shape[-1], device=hidden.device)
            sums.index_add_(0, inverse, hidden[mask].float())
            for code, total, count in zip(found.tolist(), sums.cpu(), counts.tolist(), strict=True):
                self.sums[code] = self.sums[code] + total if code in self.sums else total.clone()
                self.counts[code] += count

    def finish(self, store: LabelEmbeddingStore, labels: list[str]) -> None:
        """Ranks the codes and averages what they stand for."""
        if self.waiting:
            self._fit()
        best = self.tfidf.top(self.arguments.tonal_top_k)
        empty = [label for label, codes in zip(labels, best, strict=True) if not codes]
        if empty:
            raise ValueError(f"no tonal codes for class {', '.join(empty)}: its training rows have no audio")
        store.tonal_codes = dict(zip(labels, best, strict=True))
        store.discretizer = self.discretizer.describe()
        store.centroids = getattr(self.discretizer, "centroids", None)
        store.tonal_embeddings = torch.stack([self._embed([code for code, _ in codes]) for codes in best])

    @torch.no_grad()
    def _embed(self, codes: list[int]) -> Tensor:
        if self.hidden_space:
            return torch.stack([self.sums[code] / self.counts[code] for code in codes]).mean(0)
        device = self.discretizer.quantizer.codevectors.device
        return self.discretizer.projected_vectors(torch.tensor(codes, device=device)).mean(0).float().cpu()


@torch.no_grad()
def describe_labels(descriptions: list[str], encoder: Any, tokenizer: Any, max_tokens: int = 128) -> Tensor:
    """Mean of the last hidden states over each description's tokens, special ones left out. Shape `(C, D)`."""
    rows = []
    training = encoder.training
    encoder.eval()
    for description in descriptions:
        encoding = tokenizer(
            description, return_tensors="pt", return_special_tokens_mask=True, truncation=True, max_length=max_tokens
        )
        words = ~encoding.pop("special_tokens_mask")[0].bool()
        encoding.pop("token_type_ids", None)
        states = encoder(**encoding.to(encoder.device)).last_hidden_state[0].float().cpu()  # (T, D)
        rows.append(states[words].mean(0) if words.any() else states.mean(0))
    encoder.train(training)
    return torch.stack(rows)


def _embed_texts(
    store: LabelEmbeddingStore, model: Any, processor: Any, label_text_encoder: nn.Module | None, seed: int
) -> None:
    """Fills the embeddings that come from text: the semantic labels, and the tonal labels of system B4."""
    config = model.config
    if config.has_text_labels and config.text_label_init != "random":
        descriptions = store.labels
        if config.text_label_init == "tfidf":
            descriptions = [" ".join(word for word, _ in store.keywords[label]) or label for label in store.labels]
        store.text_embeddings = describe_labels(
            descriptions, model.text_encoder, processor.tokenizer, processor.max_text_tokens
        )
    if config.has_tonal_labels and config.tonal_label_init == "bert":
        encoder = model.text_encoder if model.text_encoder is not None else label_text_encoder
        if encoder is None:
            raise ValueError("tonal_label_init='bert' needs a text encoder")
        embeddings = describe_labels(store.labels, encoder, processor.tokenizer, processor.max_text_tokens)
        store.tonal_embeddings = _to_width(embeddings, config.tonal_width, seed)


def _to_width(embeddings: Tensor, width: int, seed: int) -> Tensor:
    """Fits embeddings to another width by a random orthonormal map, which keeps angles as far as it can."""
    if embeddings.shape[-1] == width:
        return embeddings
    larger, smaller = max(embeddings.shape[-1], width), min(embeddings.shape[-1], width)
    basis = torch.linalg.qr(
        torch.randn(larger, smaller, generator=torch.Generator().manual_seed(seed))
    ).Q  # (larger, smaller)
    return embeddings @ (basis if embeddings.shape[-1] == larger else basis.T)
