"""What never changes is computed once and found again by what it was computed from."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Dataset, List, Value
from filelock import FileLock

from hf_mer.data.collator import MerDataCollator
from hf_mer.data.schema import column
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.segments_mer import audio_of
from hf_mer.training.fingerprints import content, content_columns, records
from hf_mer.training.stages import Stage

logger = logging.getLogger(__name__)

_FORMAT = 4  # of the files; raise it with every change of what they hold


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


def cache_features(rows: Dataset, processor: Any, num_proc: int | None = None, stage: Stage | None = None) -> Dataset:
    """Adds the columns `features` and `feature_dim` with what `processor.extract_audio` gives.

    The folder in the datasets cache is named after the rows' ids, what is in their audio files and the feature
    extractor's settings, so that it is found by later folds, epochs and runs, and made anew when any of these changes.

    Args:
        rows: Rows with audio (None where an utterance has none).
        processor: A `MerProcessor`.
        num_proc: Processes.
        stage: Notes whether they were found.
    """
    settings = f"{processor.feature_extractor.to_json_string()} {_audio_limits(processor)}"
    return _with_columns(
        rows,
        _cache_folder(settings, rows, "speech", "hf_mer_features"),
        "log-mel features",
        {"features": List(Value("float32")), "feature_dim": Value("int32")},
        _extract,
        stage,
        num_proc,
        fn_kwargs={"processor": processor},
    )


def cache_frames(rows: Dataset, processor: Any, num_proc: int | None = None, stage: Stage | None = None) -> Dataset:
    """Adds the columns `frames` and `frames_shape` with what `processor.read_video` gives: a byte a pixel and colour.

    The folder in the datasets cache is named after the rows' ids, what is in their video files and the processor's
    settings for video, like that of `cache_features`.

    Args:
        rows: Rows with video (None where an utterance has none).
        processor: A `MerProcessor` with an image processor.
        num_proc: Processes.
        stage: Notes whether they were found.
    """
    return _with_columns(
        rows,
        _cache_folder(video_settings(processor), rows, "video", "hf_mer_frames"),
        "video frames",
        {"frames": List(Value("uint8")), "frames_shape": List(Value("int32"))},
        _read_frames,
        stage,
        num_proc,
        fn_kwargs={"processor": processor},
    )


def _with_columns(
    rows: Dataset,
    folder: Path,
    what: str,
    columns: dict[str, Any],
    function: Any,
    stage: Stage | None,
    num_proc: int | None = None,
    **kwargs: Any,
) -> Dataset:
    """Rows with further columns out of a folder of our naming, which is filled by one process if it is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = rows.with_format(None)
    with FileLock(folder / ".lock"):
        for half_written in folder.glob("tmp*"):  # by a process that was killed, or it would hold the lock
            half_written.unlink()
        reused = any(folder.glob("*.arrow"))
        made = plain.map(
            function,
            cache_file_name=str(folder / "rows.arrow"),
            new_fingerprint=folder.name,
            features=datasets.Features(columns),
            remove_columns=rows.column_names,
            desc=what,
            num_proc=num_proc if (num_proc or 1) > 1 else None,
            writer_batch_size=64,
            **kwargs,
        )
    if stage is not None:
        stage.add(reused)
    logger.info("%s of %d utterances %s (%s)", what, len(rows), "found in the cache" if reused else "computed", folder)
    return arrays_as_numpy(datasets.concatenate_datasets([plain, made], axis=1))


def arrays_as_numpy(rows: Dataset) -> Dataset:
    """Rows whose cached features and frames are arrays; as lists of numbers they would take long."""
    arrays = [name for name in rows.column_names if name in ("features", "frames")]
    return rows.with_format("numpy", columns=arrays, output_all_columns=True) if arrays else rows


def _extract(row: dict[str, Any], processor: Any) -> dict[str, Any]:
    if row["audio"] is None:
        # not None, which datasets' NumPy format cannot have first in a batch
        return {"features": np.zeros(0, dtype=np.float32), "feature_dim": 1}
    with collected_notes():  # the check of the corpus has counted them
        features = processor.extract_audio(audio_of(row))
    return {"features": features.ravel(), "feature_dim": features.shape[1] if features.ndim == 2 else 1}


def _read_frames(row: dict[str, Any], processor: Any) -> dict[str, Any]:
    if row["video"] is None:
        return {"frames": np.zeros(0, dtype=np.uint8), "frames_shape": [0, 0, 0, 0]}
    with collected_notes():
        frames = processor.read_video(row["video"])
    return {"frames": frames.ravel(), "frames_shape": frames.shape}


def _cache_folder(settings: str, rows: Dataset, modality: str, folder: str) -> Path:
    """Folder in the datasets cache, named after everything that its content depends on."""
    digest = hashlib.sha256(f"{_FORMAT} {settings}".encode())
    for row in records(rows, ["id", *content_columns(rows, modality)]):
        digest.update(f"{row['id']} {content(row, modality)}\n".encode())
    return Path(datasets.config.HF_DATASETS_CACHE) / folder / digest.hexdigest()[:24]


def reading(collator: MerDataCollator, modality: str) -> str:
    """The settings by which a row becomes the encoder's input."""
    processor = collator.processor
    if modality == "text":
        limits = f"{processor.max_history} {processor.max_text_tokens}"
        return f"{processor.tokenizer.backend_tokenizer.to_str()} {limits} {collator.use_history}"
    if modality == "speech":
        return f"{processor.feature_extractor.to_json_string()} {_audio_limits(processor)}"
    return video_settings(processor)


def video_settings(processor: Any) -> str:
    """The settings by which a clip becomes frames."""
    limits = f"{processor.num_frames} {processor.max_video_seconds} {processor.face_crop}"
    return f"{processor.image_processor.to_json_string()} {limits}"


def _audio_limits(processor: Any) -> str:
    return f"{processor.max_audio_seconds} {processor.min_audio_seconds}"
