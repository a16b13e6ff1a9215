"""How alike the classes of a label store are: keywords and codes that they share, and cosines of their embeddings.

Plain TF-IDF ranks by how often a class uses a term. Where every class uses every term, as with the codes of speech,
the best terms of all classes are nearly the same, and label embeddings that are means over them start as nearly one
vector.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from torch import Tensor
from torch.nn.functional import cosine_similarity

from hf_mer.models.label_store import LabelEmbeddingStore

logger = logging.getLogger(__name__)

ALIKE = 0.99  # embeddings with a higher cosine tell their classes from one another by next to nothing


@dataclass(frozen=True)
class Pair:
    """Two classes of one kind of label.

    Attributes:
        first: A class.
        second: Another one.
        shared: Terms that are among the best of both; None where there are no terms.
        cosine: Of their embeddings, before any training; None where the store has none (a random start).
    """

    first: str
    second: str
    shared: int | None
    cosine: float | None


@dataclass(frozen=True)
class Overlap:
    """All pairs of classes for one kind of label, semantic or tonal.

    Attributes:
        kind: `semantic` or `tonal`.
        terms: What the terms are, `keywords` or `codes`.
        most: Terms of the class that has most of them; 0 without terms.
        pairs: Every two classes, in the store's order.
    """

    kind: str
    terms: str
    most: int
    pairs: list[Pair]

    def summary(self) -> str:
        """Least and most that two classes share, as one line."""
        shared = [pair.shared for pair in self.pairs if pair.shared is not None]
        cosines = [pair.cosine for pair in self.pairs if pair.cosine is not None]
        said = []
        if shared:
            said.append(f"{_span(f'{min(shared)}', f'{max(shared)}')} of {self.most} {self.terms} shared")
        if cosines:
            said.append(f"cosine of the embeddings {_span(f'{min(cosines):.4f}', f'{max(cosines):.4f}')}")
        return f"{self.kind} labels, two classes: {', '.join(said)}"


def overlaps(store: LabelEmbeddingStore) -> list[Overlap]:
    """What every two classes share, for each kind of label that the store has; nothing for a single class."""
    kinds: list[tuple[str, str, dict[str, Any], Tensor | None]] = [
        ("semantic", "keywords", store.keywords, store.text_embeddings),
        ("tonal", "codes", store.tonal_codes, store.tonal_embeddings),
    ]
    found = []
    for kind, terms, table, embeddings in kinds:
        best = [{term for term, _ in table.get(label, [])} for label in store.labels]
        most = max(map(len, best), default=0)
        if len(store.labels) > 1 and (most or embeddings is not None):
            found.append(Overlap(kind, terms, most, _pairs(store.labels, best if most else None, embeddings)))
    return found


def _pairs(labels: Sequence[str], best: list[set] | None, embeddings: Tensor | None) -> list[Pair]:
    return [
        Pair(
            labels[i],
            labels[j],
            None if best is None else len(best[i] & best[j]),
            None
            if embeddings is None
            else float(cosine_similarity(embeddings[i].double(), embeddings[j].double(), 0)),
        )
        for i, j in combinations(range(len(labels)), 2)
    ]


def overlap_summary(store: LabelEmbeddingStore) -> str:
    """One line per kind of label; empty where there is nothing to compare."""
    return "\n".join(overlap.summary() for overlap in overlaps(store))


def overlap_table(store: LabelEmbeddingStore) -> str:
    """Every two classes on a line, the most alike first, under each kind's summary."""
    blocks = []
    for overlap in overlaps(store):
        pairs = sorted(overlap.pairs, key=lambda pair: (-(pair.cosine or 0), -(pair.shared or 0)))
        names = [f"{pair.first}, {pair.second}" for pair in pairs]
        width = max(map(len, names))
        lines = [f"  {name:<{width}}  {_told(pair, overlap)}" for name, pair in zip(names, pairs, strict=True)]
        blocks.append("\n".join([overlap.summary(), *lines]))
    return "\n".join(blocks)


def tell(store: LabelEmbeddingStore) -> None:
    """Logs how alike the classes are, and warns of those whose embeddings start as nearly one vector."""
    for overlap in overlaps(store):
        logger.info("label store: %s", overlap.summary())
        alike = [pair for pair in overlap.pairs if pair.cosine is not None and pair.cosine > ALIKE]
        if alike:
            closest = max(alike, key=lambda pair: pair.cosine or 0)
            advice = "; tfidf_contrast: true makes their terms differ, the embeddings less so"
            logger.warning(
                "label store: the %s label embeddings of %d of %d pairs of classes start as nearly one vector (cosine "
                "above %s; nearest: %s and %s, %s)%s",
                overlap.kind, len(alike), len(overlap.pairs), ALIKE, closest.first, closest.second,
                _told(closest, overlap), advice if _ranked_plainly(store, overlap) else "",
            )  # fmt: skip


def _ranked_plainly(store: LabelEmbeddingStore, overlap: Overlap) -> bool:
    """Whether the embeddings are means over terms that plain TF-IDF found."""
    name, value = {"semantic": ("text_label_init", "tfidf"), "tonal": ("tonal_label_init", "codebook")}[overlap.kind]
    return store.settings.get(name) == value and not store.settings.get("tfidf_contrast")


def _told(pair: Pair, overlap: Overlap) -> str:
    said = [] if pair.shared is None else [f"{pair.shared} of {overlap.most} {overlap.terms}"]
    return ", ".join(said if pair.cosine is None else [*said, f"cosine {pair.cosine:.4f}"])


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
