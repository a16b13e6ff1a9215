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
from hf_mer.models.mer_encoders import RAW_INPUTS
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.segments_mer import audio_of
from hf_mer.training.fingerprints import content, content_columns, module_hash, records
from hf_mer.training.stages import Stage

logger = logging.getLogger(__name__)

_FORMAT = 3  # of the files; raise it with every change of what they hold


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


def cache_states(
    rows: Dataset,
    modality: str,
    model: Any,
    collator: MerDataCollator,
    batch_size: int = 32,
    dtype: str = "float16",
    stage: Stage | None = None,
) -> Dataset:
    """Adds the columns `<modality>_states` and `<modality>_states_dim`: what a frozen encoder makes of every row.

    Rows go through the encoder in batches of like length and into a file of the datasets cache as they come, and are
    read from there; memory does not grow with the corpus. The folder is named after the rows, what is in their files,
    the processor's settings for the modality and the encoder's weights: epochs, folds and runs find it again, and it
    is made anew when any of these changes.

    Args:
        rows: Rows with the column `length`.
        modality: One of the model's `cacheable_modalities`.
        model: On the device that computes.
        collator: Makes the encoder's inputs out of rows.
        batch_size: Rows of a batch.
        dtype: `float16` or `float32`, of the states on disk.
        stage: Notes whether they were found.
    """
    settings = f"{module_hash(getattr(model, f'{modality}_encoder'))} {reading(collator, modality)} {dtype}"
    training = model.training
    model.eval()
    with_states = _with_columns(
        rows,
        _cache_folder(settings, rows, modality, "hf_mer_states"),
        f"states of the frozen {modality} encoder",
        {f"{modality}_states": List(Value(dtype)), f"{modality}_states_dim": Value("int32")},
        _encode,
        stage,
        fn_kwargs={
            "modality": modality,
            "model": model,
            "collator": collator,
            "rows_at_once": batch_size,
            "dtype": dtype,
        },
        batched=True,
        batch_size=8 * batch_size,
    )
    model.train(training)
    return with_states


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
    joined = datasets.concatenate_datasets([plain, made], axis=1)
    arrays = [name for name in joined.column_names if name in ("features", "frames") or name.endswith("_states")]
    return joined.with_format("numpy", columns=arrays, output_all_columns=True)


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


def _encode(
    columns: dict[str, list], modality: str, model: Any, collator: MerDataCollator, rows_at_once: int, dtype: str
) -> dict[str, list]:
    """A chunk of rows, sorted by length and encoded in batches, in its old order."""
    size = len(columns["id"])
    rows = [{name: values[index] for name, values in columns.items() if name != "label"} for index in range(size)]
    result: dict[str, list] = {
        f"{modality}_states": [np.zeros(0, dtype=dtype)] * size,
        f"{modality}_states_dim": [1] * size,
    }
    order = np.argsort(columns["length"], kind="stable")
    for start in range(0, size, rows_at_once):
        chosen = order[start : start + rows_at_once]
        batch = {name: value.to(model.device) for name, value in collator([rows[index] for index in chosen]).items()}
        if not any(name in batch for name in RAW_INPUTS[modality]):
            continue  # nobody here has the modality
        states, mask = (tensor.cpu() for tensor in model.precompute(modality, **batch))
        for index, row_states, row_mask in zip(chosen, states.float().numpy(), mask.numpy(), strict=True):
            if row_mask.any():
                with np.errstate(over="ignore"):
                    flat = row_states[row_mask].ravel().astype(dtype)
                if not np.isfinite(flat).all():
                    largest = np.abs(row_states[row_mask]).max()
                    raise ValueError(
                        f"row {rows[index]['id']}: states of the {modality} encoder, up to {largest:g}, do not fit "
                        f"into {dtype}; set cache_dtype=float32, or look for NaN in the encoder's weights"
                    )
                result[f"{modality}_states"][index] = flat
                result[f"{modality}_states_dim"][index] = states.shape[-1]
    return result


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
