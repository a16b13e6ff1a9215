"""Features that never change are computed once and found again by what they were computed from."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, List, Value

from hf_mer.data.schema import column

logger = logging.getLogger(__name__)


def add_lengths(rows: Dataset, processor: Any, modalities: list[str]) -> Dataset:
    """Adds the column `length` that batches are bucketed by: samples of audio, or characters of text without it."""
    if "speech" in modalities:
        durations = column(rows, "duration")
        longest = processor.max_audio_seconds or float("inf")
        lengths = [int(min(duration or 0.0, longest) * processor.sampling_rate) for duration in durations]
    else:
        lengths = [
            len(text or "") + sum(map(len, history))
            for text, history in zip(column(rows, "text"), column(rows, "history"), strict=True)
        ]
    return rows.add_column("length", lengths)


def cache_features(rows: Dataset, processor: Any, num_proc: int | None = None) -> Dataset:
    """Adds the columns `features` and `feature_dim` with what `processor.extract_audio` gives.

    The file in the datasets cache is named after the rows' ids, their audio files (path, size, time of change) and
    the feature extractor's settings, so that it is found by later folds, epochs and runs, and made anew when any of
    these changes.

    Args:
        rows: Rows with audio (None where an utterance has none).
        processor: A `MerProcessor`.
        num_proc: Processes.
    """
    fingerprint = _fingerprint(rows, processor)
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "hf_mer_features"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{fingerprint}.arrow"
    reused = path.exists() or any(folder.glob(f"{fingerprint}_*_of_*.arrow"))
    schema = rows.features.copy()
    schema.update({"features": List(Value("float32")), "feature_dim": Value("int32")})
    with_features = rows.map(
        _extract,
        fn_kwargs={"processor": processor},
        num_proc=num_proc if (num_proc or 1) > 1 else None,
        cache_file_name=str(path),
        new_fingerprint=fingerprint,
        features=schema,
        writer_batch_size=64,
        desc="features",
    )
    logger.info("features of %d utterances %s (%s)", len(rows), "found in the cache" if reused else "computed", path)
    return with_features.with_format("numpy", columns=["features"], output_all_columns=True)


def _extract(row: dict[str, Any], processor: Any) -> dict[str, Any]:
    if row["audio"] is None:
        return {"features": None, "feature_dim": 1}
    features = processor.extract_audio(row["audio"])
    return {"features": features.ravel(), "feature_dim": features.shape[1] if features.ndim == 2 else 1}


def _fingerprint(rows: Dataset, processor: Any) -> str:
    digest = hashlib.sha256(processor.feature_extractor.to_json_string().encode())
    digest.update(f"{processor.max_audio_seconds} {processor.min_audio_seconds} {rows._fingerprint}".encode())
    for row_id, audio in zip(column(rows, "id"), column(rows, "audio"), strict=True):
        path = (audio or {}).get("path") or ""
        state = os.stat(path) if path and os.path.exists(path) else None
        digest.update(f"{row_id} {path} {state and (state.st_size, state.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:24]
