"""What is known about every class: words, tonal codes, and the embeddings they give (LE-MER, sections 2.1 and 2.2)."""

import json
import os
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers.utils import cached_file

from .fields_mer import FieldError, Rule, anything, check_fields, list_of, number, shown, table_of, whole, word

STORE_FILE = "label_store.json"
TENSORS_FILE = "label_store.safetensors"
STORE_FIELDS = {"labels", "keywords", "tonal_codes", "discretizer", "settings"}
TENSOR_NAMES = ("text_embeddings", "tonal_embeddings", "centroids")


def _scored(rule: Rule) -> Rule:
    """A list of pairs: what the rule says, and its score."""

    def check(name: str, value: Any) -> list[tuple[Any, float]]:
        pairs = list_of(list_of(anything))(name, value)
        if any(len(pair) != 2 for pair in pairs):
            raise FieldError(f"{name}={shown(value)} must be a list of pairs, each with its score")
        return [(rule(name, item), float(number()(name, score))) for item, score in pairs]

    return check


_OF_DISCRETIZER = {"kind": word, "groups": whole(1, 1000), "entries": whole(0)}


class LabelEmbeddingStore:
    """Keywords, tonal codes and initial label embeddings of a fold's training rows.

    It is saved beside the processor as `label_store.json` (all that can be read) and `label_store.safetensors` (the
    tensors).

    Args:
        labels: Class names, in the order of the logits.
        keywords: Per class, words with their TF-IDF scores, best first.
        tonal_codes: Per class, codes of the speech discretizer with their TF-IDF scores, best first. A code of a
            product quantizer is `sum_g index_g * entries^g`, see `code_indices`.
        discretizer: How frames become codes: `kind` (`codebook` or `kmeans`), `groups`, `entries`, and for k-means
            `features`.
        settings: How the store was built (initialisations, K, documents of the TF-IDF, number of utterances).
        text_embeddings: Semantic label embeddings `L_t`. Shape `(C, D_t)`.
        tonal_embeddings: Tonal label embeddings `L_s`. Shape `(C, D)`, `D` the width of the tonal space.
        centroids: Of the k-means discretizer. Shape `(K, D_f)`.

    Raises:
        ValueError: If classes are missing from the keywords or codes, or a tensor's first axis is not the number of
            classes.
    """

    def __init__(
        self,
        labels: list[str],
        keywords: dict[str, list[tuple[str, float]]] | None = None,
        tonal_codes: dict[str, list[tuple[int, float]]] | None = None,
        discretizer: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        text_embeddings: Tensor | None = None,
        tonal_embeddings: Tensor | None = None,
        centroids: Tensor | None = None,
    ):
        self.labels = list_of(word)("labels", labels)
        self.keywords = table_of(_scored(word))("keywords", {} if keywords is None else keywords)
        self.tonal_codes = table_of(_scored(whole(0)))("tonal_codes", {} if tonal_codes is None else tonal_codes)
        self.discretizer = check_fields(
            _OF_DISCRETIZER, table_of(anything)("discretizer", {} if discretizer is None else discretizer)
        )
        self.settings = table_of(anything)("settings", {} if settings is None else settings)
        self.text_embeddings = text_embeddings
        self.tonal_embeddings = tonal_embeddings
        self.centroids = centroids
        self._check()

    def _check(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise FieldError(f"classes of a label store must differ, got {self.labels}")
        for field, table in (("keywords", self.keywords), ("tonal_codes", self.tonal_codes)):
            if table and set(table) != set(self.labels):
                raise FieldError(
                    f"{field} are for classes {sorted(table)}, the label store is for {sorted(self.labels)}"
                )
        for name in TENSOR_NAMES:
            tensor = getattr(self, name)
            if tensor is None:
                continue
            rows = len(self.labels) if name != "centroids" else len(tensor) if tensor.dim() else 0
            if tensor.dim() != 2 or len(tensor) != rows:
                raise FieldError(f"{name} must have shape ({rows}, width), not {tuple(tensor.shape)}")
            if not tensor.is_floating_point() or not tensor.isfinite().all():
                raise FieldError(f"{name} must be finite numbers, and has NaN, infinity or values of {tensor.dtype}")

    def __repr__(self) -> str:
        return f"LabelEmbeddingStore(labels={self.labels}, settings={self.settings})"

    def code_indices(self, code: int) -> tuple[int, ...]:
        """A code's entry in every group of the codebook."""
        entries, groups = self.discretizer.get("entries", 0), self.discretizer.get("groups", 1)
        return tuple(code // entries**group % entries for group in range(groups)) if entries else (code,)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors, ready for JSON."""
        return {
            "labels": self.labels,
            "keywords": self.keywords,
            "tonal_codes": self.tonal_codes,
            "discretizer": self.discretizer,
            "settings": self.settings,
        }

    def to_json_string(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_table(self, top: int = 9) -> str:
        """A table to print: one class per line, with its first words and tonal codes."""
        rows = [("class", "words (TF-IDF)", "tonal codes (TF-IDF)")]
        for label in self.labels:
            words = ", ".join(f"{word} {score:.3f}" for word, score in self.keywords.get(label, [])[:top]) or "-"
            codes = self.tonal_codes.get(label, [])
            shown = ", ".join(
                f"{'-'.join(map(str, self.code_indices(code)))} {score:.3f}"
                for code, score in codes[: max(1, top // 2)]
            )
            rows.append(
                (
                    label,
                    words,
                    f"{shown}{', ...' if len(codes) > max(1, top // 2) else ''} ({len(codes)})" if codes else "-",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])

    def save_pretrained(self, save_directory: str | os.PathLike) -> list[str]:
        """Writes both files, each whole or not at all, and returns their paths."""
        os.makedirs(save_directory, exist_ok=True)
        tensors = {name: getattr(self, name) for name in TENSOR_NAMES}
        tensors = {
            name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items() if tensor is not None
        }
        paths = [os.path.join(save_directory, name) for name in (TENSORS_FILE, STORE_FILE)]
        save_file(tensors, paths[0] + ".tmp", metadata={"format": "pt"})
        with open(paths[1] + ".tmp", "w", encoding="utf-8") as file:
            file.write(self.to_json_string() + "\n")
        for path in paths:
            os.replace(path + ".tmp", path)
        return paths

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike, **kwargs: Any) -> "LabelEmbeddingStore":
        """Reads a store from a folder or a repository on the Hub.

        Args:
            name_or_path: Folder or repository.
            **kwargs: Of `transformers.utils.cached_file`: `revision`, `token`, `cache_dir`, `local_files_only`,
            `subfolder` ...

        Raises:
            OSError: If there is no store.
            ValueError: If the files are damaged or do not belong together.
        """
        known = ("revision", "token", "cache_dir", "local_files_only", "force_download", "proxies", "subfolder")
        kwargs = {key: value for key, value in kwargs.items() if key in known and value is not None}
        store_path = cached_file(name_or_path, STORE_FILE, **kwargs)
        tensors_path = cached_file(name_or_path, TENSORS_FILE, **kwargs)
        try:
            with open(store_path, encoding="utf-8") as file:
                content = json.load(file)
            with safe_open(tensors_path, framework="pt") as tensors_file:
                tensors = {name: tensors_file.get_tensor(name) for name in tensors_file.keys()}  # noqa: SIM118
        except (ValueError, SafetensorError) as error:
            raise ValueError(f"the label store in '{name_or_path}' is damaged or half-written: {error}") from error
        fields = set(content) if isinstance(content, dict) else set()
        if "labels" not in fields or not fields <= STORE_FIELDS or not set(tensors) <= set(TENSOR_NAMES):
            raise ValueError(
                f"the label store in '{name_or_path}' is damaged: "
                f"it has {sorted(fields) or type(content).__name__} and {sorted(tensors)}"
            )
        try:
            return cls(**content, **tensors)
        except FieldError as error:
            name = TENSORS_FILE if str(error).startswith(TENSOR_NAMES) else STORE_FILE
            raise FieldError(f"{os.path.join(name_or_path, name)}: {error}") from error
