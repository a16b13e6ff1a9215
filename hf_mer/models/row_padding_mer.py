"""Padding of rows that a processor made before, one by one or in other batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers import BatchFeature

from .lengths_mer import BatchSettings, Lengths, pad_arrays


def pad_rows(processor: Any, features: Any, kwargs: Mapping[str, Any]) -> BatchFeature:
    """See `MerProcessor.pad`."""
    if isinstance(features, Mapping):  # of columns
        features = [dict(zip(features, row, strict=True)) for row in zip(*features.values(), strict=True)]
    rows = [{name: value for name, value in row.items() if value is not None} for row in features]
    if processor.is_channel_first:
        rows = [_turned(row) for row in rows]
    settings = BatchSettings.of(processor, kwargs, has_text=any("input_ids" in row for row in rows))
    groups = (
        (settings.text, "attention_mask", ("input_ids", "token_type_ids")),
        (settings.audio, "audio_attention_mask", (processor.audio_input_name,)),
        (settings.video, "video_attention_mask", ("pixel_values",)),
    )
    fills = {"input_ids": processor.tokenizer.pad_token_id or 0}
    batch: dict[str, np.ndarray] = {}
    for lengths, mask_name, names in groups:
        batch.update(_padded(rows, lengths, mask_name, names, fills))
    processor.turn_frames(batch)
    columns = sorted({name for row in rows for name in row})
    if not batch:
        raise ValueError(
            f"processor.pad needs rows that the processor made ({', '.join(processor.model_input_names)}), but these "
            f"have {', '.join(columns) or 'no columns'}. MerDataCollator takes rows with audio and text; if "
            "Trainer removed the columns, set TrainingArguments(remove_unused_columns=False)"
        )
    for name in sorted(set(columns) - set(batch) - {mask_name for _, mask_name, _ in groups}):
        batch[name] = _stacked(rows, name)
    return BatchFeature(batch, tensor_type=settings.return_tensors)


def _turned(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its frames as `(S, F)`, which a call gives as `(F, S)`."""
    if "input_features" not in row:
        return row
    return {**row, "input_features": np.swapaxes(np.asarray(row["input_features"]), -1, -2)}


def _padded(
    rows: list[dict[str, Any]], lengths: Lengths, mask_name: str, names: tuple[str, ...], fills: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The arrays of one modality and their mask; nothing where no row has them."""
    found: dict[str, list[np.ndarray | None]] = {name: [_row(row, name, mask_name) for row in rows] for name in names}
    first = found[names[0]]
    if all(array is None for array in first):
        return {}
    length = lengths.common([None if array is None else len(array) for array in first])
    masks = [
        None if array is None else _mask(row, mask_name, array, index)
        for index, (row, array) in enumerate(zip(rows, first, strict=True))
    ]
    padded = {
        name: pad_arrays(arrays, length, name, fills.get(name, 0))
        for name, arrays in found.items()
        if any(array is not None for array in arrays)
    }
    return {**padded, mask_name: pad_arrays(masks, length, mask_name)}


def _row(row: Mapping[str, Any], name: str, mask_name: str) -> np.ndarray | None:
    """An array of one row, without the axis of a batch of one."""
    if name not in row:
        return None
    array = np.asarray(row[name])
    places = np.asarray(row[mask_name]).ndim if mask_name in row else array.ndim - (name == "input_features")
    return array[0] if places == 2 and len(array) == 1 else array


def _mask(row: Mapping[str, Any], mask_name: str, array: np.ndarray, index: int) -> np.ndarray:
    if mask_name not in row:
        return np.ones(len(array), np.int64)
    mask = np.asarray(row[mask_name]).reshape(-1)
    if len(mask) != len(array):
        raise ValueError(f"item {index}: {mask_name} has {len(mask)} values for {len(array)} positions")
    return mask.astype(np.int64)


def _stacked(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    """Labels and other numbers that every row has in one shape."""
    values = [np.asarray(row[name]) if name in row else None for row in rows]
    for index, value in enumerate(values):
        if value is None or value.dtype.kind not in "biuf" or value.shape != getattr(values[0], "shape", None):
            given = "nothing" if value is None else f"{value.dtype} of shape {value.shape}"
            raise ValueError(f"item {index} has {given} under {name!r}, which cannot be stacked: remove the column")
    return np.stack([value for value in values if value is not None])
