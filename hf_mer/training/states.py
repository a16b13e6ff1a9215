"""States of frozen encoders: one cache for every encoder, with one entry for every recording, whatever table names it.

Folds, tables, orders and subsets of the same recordings share the entries; what is missing is computed and added.
"""

import errno
import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, Value
from filelock import FileLock
from tqdm.auto import tqdm

from hf_mer.data.collator import MerDataCollator
from hf_mer.data.schema import column
from hf_mer.data.state_files import references, state_batch, state_schema
from hf_mer.training.corpus import has_modality
from hf_mer.training.features import arrays_as_numpy, reading
from hf_mer.training.fingerprints import content, content_columns, module_hash, records
from hf_mer.training.stages import Stage

logger = logging.getLogger(__name__)

_FORMAT = 5  # of the files; raise it with every change of what they hold
_FILE_BYTES = 64 << 20  # after so many a file is closed: what a killed process had closed is kept
_REFERENCE = {"path": Value("string"), "row": Value("int32"), "history": Value("int32")}
_KEPT = ("id", "audio", "audio_start", "audio_end", "video", "text", "history")
_KEPT_IF_THERE = ("features", "feature_dim", "frames", "frames_shape")


def cache_states(
    rows: Dataset,
    modality: str,
    model: Any,
    collator: MerDataCollator,
    batch_size: int = 32,
    dtype: str = "float16",
    stage: Stage | None = None,
) -> Dataset:
    """Adds the column `<modality>_states`: where what a frozen encoder makes of every row lies on disk.

    The folder in the datasets cache is named after the encoder's weights, the processor's settings for the modality
    and whether layers are mixed, which are all kept then; an entry is named after what is in a row's file, or its
    texts. Epochs, folds, seeds and other tables of the same recordings find it again. What is missing goes through the
    encoder in batches of like length, the longest first, and into files as it comes; memory does not grow with the
    corpus. The size is said before, and a disk that is too small is refused.

    Args:
        rows: Rows with the column `length`.
        modality: One of the model's `cacheable_modalities`.
        model: On the device that computes.
        collator: Makes the encoder's inputs out of rows.
        batch_size: Rows of a batch.
        dtype: `float16` or `float32`, of the states on disk.
        stage: Notes whether all were found.

    Raises:
        OSError: If there is too little space, before anything is computed.
        ValueError: If states do not fit into `dtype`; the message names the row.
    """
    having = has_modality(rows, modality, collator.use_history)
    keys = [key if has else None for key, has in zip(_keys(rows, modality, collator), having, strict=True)]
    folder = _folder(modality, model, collator, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        for half_written in folder.glob("tmp*"):  # by a process that was killed, or it would hold the lock
            half_written.unlink()
        found = _sound_references(folder)
        first: dict[str, int] = {}
        for index, key in enumerate(keys):
            if key is not None and key not in found:
                first.setdefault(key, index)
        if first:
            making = _Making(rows, modality, model, collator, batch_size, dtype)
            training = model.training
            model.eval()
            making.check_space(list(first.values()), folder)
            making.write({index: key for key, index in first.items()}, folder)
            model.train(training)
            found = references(folder)
    if stage is not None:
        stage.add(reused=not first)
    distinct = len(set(keys) - {None})
    said = "computed" if first else "found in the cache"
    if 0 < len(first) < distinct:
        said = f"({distinct - len(first)} found in the cache) computed"
    logger.info("states of the frozen %s encoder of %s %s (%s)", modality, _utterances(distinct), said, folder)
    return _with_references(rows, modality, [None if key is None else found[key] for key in keys])


class _Making:
    """Computes states and writes them.

    Args:
        rows: Of the corpus.
        modality: What is encoded.
        model: On the device that computes.
        collator: Makes the encoder's inputs out of rows.
        batch_size: Rows of a batch.
        dtype: Of the states on disk.
    """

    def __init__(
        self, rows: Dataset, modality: str, model: Any, collator: MerDataCollator, batch_size: int, dtype: str
    ):
        wanted = [*_KEPT, *(name for name in _KEPT_IF_THERE if name in rows.column_names)]
        self.rows = rows.with_format(None).select_columns([name for name in wanted if name in rows.column_names])
        self.lengths, self.durations = column(rows, "length"), column(rows, "duration")
        self.modality, self.model, self.collator = modality, model, collator
        self.batch_size, self.dtype = batch_size, dtype

    def check_space(self, indices: list[int], folder: Path) -> None:
        """Says how large the states of some rows will be, and refuses a disk that has less room.

        Raises:
            OSError: If it has.
        """
        longest = max(indices, key=lambda index: self.lengths[index])
        states = next(self._encode([longest]))[1]
        amounts = dict(zip(indices, self._amounts(indices), strict=True))
        share = sum(amounts.values()) / amounts[longest] if amounts[longest] else len(indices)
        size = int(share * states.nbytes)
        free = shutil.disk_usage(folder).free
        layers = f"{states.shape[1]} layers, " if states.ndim == 3 else ""
        what = f"states of the frozen {self.modality} encoder: about {bytes_text(size)}"
        logger.info(
            "%s for %s (%sup to %d positions of %d numbers in %s); %s are free in %s",
            what, _utterances(len(indices)), layers, len(states), states.shape[-1], self.dtype, bytes_text(free),
            folder,
        )  # fmt: skip
        if size > free:
            advice = "cache_features=false encodes them again in every epoch"
            raise OSError(errno.ENOSPC, f"{what} for {_utterances(len(indices))}; {advice}", str(folder))

    def write(self, keys: dict[int, str], folder: Path) -> None:
        """Adds the states of some rows to a folder, file after file."""
        order = sorted(keys, key=lambda index: -self.lengths[index])
        schema, writer, size = state_schema(self.dtype), None, 0
        temporary = folder / "tmp.arrow"
        with tqdm(total=len(order), desc=f"states of the {self.modality} encoder", leave=False, disable=None) as bar:
            for index, states, history in self._encode(order):
                writer = writer or pa.ipc.new_file(str(temporary), schema)
                writer.write_batch(state_batch(schema, keys[index], states, history))
                size += states.nbytes
                bar.update()
                if size >= _FILE_BYTES:
                    _close(writer, temporary)
                    writer, size = None, 0
        if writer is not None:
            _close(writer, temporary)

    def _amounts(self, indices: list[int]) -> list[float]:
        """What the number of places grows with: seconds, tokens, or videos."""
        if self.modality == "speech":
            longest = self.collator.processor.max_audio_seconds or float("inf")
            return [min(self.durations[index] or 0.0, longest) for index in indices]
        if self.modality == "video":
            return [1.0] * len(indices)
        counts: list[float] = []
        for start in range(0, len(indices), 256):
            batch = self.collator(self.rows.__getitems__(indices[start : start + 256]))
            counts += batch["attention_mask"].sum(dim=1).tolist()
        return counts

    def _encode(self, order: list[int]) -> Iterator[tuple[int, np.ndarray, int | None]]:
        """Index, states `(L, D)` or `(L, K, D)`, and tokens of history of every row, in this order."""
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            rows = self.rows.__getitems__(chosen)
            batch = {name: value.to(self.model.device) for name, value in self.collator(rows).items()}
            states, mask = (tensor.cpu() for tensor in self.model.precompute(self.modality, **batch))
            types = batch["token_type_ids"].cpu() if self.modality == "text" else torch.ones_like(mask)
            for place, index in enumerate(chosen):
                own = states[place][mask[place]].float().numpy()
                history = int((types[place][mask[place]] == 0).sum()) if self.modality == "text" else None
                yield index, self._as_stored(own, rows[place]["id"]), history

    def _as_stored(self, states: np.ndarray, row_id: str) -> np.ndarray:
        with np.errstate(over="ignore"):
            stored = states.astype(self.dtype)
        if not np.isfinite(stored).all():
            raise ValueError(
                f"row {row_id}: states of the {self.modality} encoder, up to {np.abs(states).max():g}, do not fit "
                f"into {self.dtype}; set cache_dtype=float32, or look for NaN in the encoder's weights"
            )
        return stored


def bytes_text(size: int) -> str:
    """A size in the unit that suits it, powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1000:.1f} kB"


def _close(writer: Any, temporary: Path) -> None:
    """Gives a file that is whole a name that no other ever had."""
    writer.close()
    os.replace(temporary, temporary.with_name(f"{uuid.uuid4().hex}.arrow"))


def _sound_references(folder: Path) -> dict[str, dict[str, Any]]:
    """What is in a folder; a file that a crash of the machine has damaged is removed, and made anew."""
    while True:
        try:
            return references(folder)
        except pa.ArrowInvalid as error:
            path = Path(str(error).split(".arrow: ")[0] + ".arrow")
            logger.warning("%s; it is removed, and what was in it is computed again", error)
            path.unlink()


def _folder(modality: str, model: Any, collator: MerDataCollator, dtype: str) -> Path:
    """Folder in the datasets cache, named after everything that the states of any recording depend on."""
    layers = "last" if model.mixture(modality) is None else "mix"
    settings = f"{_FORMAT} {module_hash(getattr(model, f'{modality}_encoder'))} {reading(collator, modality)} {dtype}"
    name = hashlib.sha256(f"{settings} {layers}".encode()).hexdigest()[:24]
    return Path(datasets.config.HF_DATASETS_CACHE) / "hf_mer_states" / name


def _keys(rows: Dataset, modality: str, collator: MerDataCollator) -> list[str]:
    """What a row's states depend on, in 24 letters: what is in its file, or its texts as far as they are read."""
    keys = []
    for row in records(rows, content_columns(rows, modality)):
        if modality == "text" and not collator.use_history:
            row = {**row, "history": []}
        keys.append(hashlib.sha256(content(row, modality).encode("utf-8", "surrogatepass")).hexdigest()[:24])
    return keys


def _with_references(rows: Dataset, modality: str, found: list[dict[str, Any] | None]) -> Dataset:
    features = datasets.Features({f"{modality}_states": _REFERENCE})
    places = Dataset.from_dict({f"{modality}_states": found}, features=features)
    return arrays_as_numpy(datasets.concatenate_datasets([rows.with_format(None), places], axis=1))


def _utterances(number: int) -> str:
    return f"{number} utterance{'s' if number != 1 else ''}"
