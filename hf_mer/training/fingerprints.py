"""What things are, in a few letters: rows, the recordings that they name, and encoders."""

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from datasets import Dataset

from hf_mer.models.segments_mer import SEGMENT, audio_of
from hf_mer.training.corpus import MEDIA


def records(rows: Dataset, names: list[str]) -> Iterator[dict[str, Any]]:
    """Rows with some of their columns, read in chunks: one by one takes long, and all at once may not fit."""
    for chunk in rows.with_format(None).select_columns(names).iter(batch_size=1000):
        for values in zip(*(chunk[name] for name in names), strict=True):
            yield dict(zip(names, values, strict=True))


def recordings_hash(rows: Dataset, modalities: Sequence[str]) -> str | None:
    """A fingerprint of the recordings and videos that rows name, wherever they lie; None for texts alone.

    Every file is read, once in a process. Hearing and seeing all of them, which comes first, takes far longer.

    Args:
        rows: Of a corpus.
        modalities: What the system sees of them.
    """
    names = [name for name in ("speech", "video") if name in modalities and MEDIA[name] in rows.column_names]
    if not names:
        return None
    digest = hashlib.sha256()
    columns = [name for modality in names for name in content_columns(rows, modality)]
    for row in records(rows, columns):
        digest.update("\n".join(content(row, modality) for modality in names).encode())
    return digest.hexdigest()


def content_columns(rows: Dataset, modality: str) -> list[str]:
    """The columns that `content` looks at."""
    if modality not in MEDIA:
        return ["text", "history"]
    segment = [name for name in SEGMENT if modality == "speech" and name in rows.column_names]
    return [MEDIA[modality], *segment]


def content(row: dict[str, Any], modality: str) -> str:
    """What a row's states depend on: its texts; or what is in its file, and the span of it."""
    if modality not in MEDIA:
        return repr((row["text"], row["history"]))
    file = (audio_of(row) if modality == "speech" else row[MEDIA[modality]]) or {}
    span = tuple(file.get(name) for name in ("start", "end", "side"))
    path, embedded = file.get("path") or "", file.get("bytes")
    if embedded is None and path and os.path.exists(path):  # beside bytes a path is a mere name
        state = os.stat(path)
        return repr((*span, _file_hash(path, state.st_size, state.st_mtime_ns)))
    known = path.encode("utf-8", "surrogatepass") if embedded is None else embedded
    return repr((*span, hashlib.sha256(known).hexdigest()))


@functools.cache
def _file_hash(path: str, size: int, changed: int) -> str:
    """Of what is in a file; read anew when its size or its time of change is another."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def module_hash(module: Any) -> str:
    """Of an encoder's kind, configuration and weights."""
    digest = hashlib.sha256(f"{type(module).__name__} {module.config.to_json_string()}".encode())
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
