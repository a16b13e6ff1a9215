"""Logits of utterances under every condition, batch by batch: memory does not grow with the corpus."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from tqdm import tqdm
from transformers import BatchFeature

from hf_mer.data.schema import column
from hf_mer.data.word_errors import corrupt_transcripts
from hf_mer.evaluation.condition import Condition, ConditionSettings
from hf_mer.evaluation.reading import BatchReader, Texts
from hf_mer.evaluation.sound import Babble
from hf_mer.models.encoder_states_mer import RAW_INPUTS
from hf_mer.models.finite_mer import check_logits


class Predicted(NamedTuple):
    """What a model says under one condition.

    Attributes:
        logits: Rows that have nothing left under the condition are NaN. Shape `(N, C)`.
        temperatures: Of every row, by the modalities that it still has. Shape `(N,)`.
        seen: Rows of which the model saw anything. Booleans of shape `(N,)`.
    """

    logits: np.ndarray
    temperatures: np.ndarray
    seen: np.ndarray


def predict_conditions(
    recognizer: Any,
    rows: Dataset,
    conditions: Sequence[Condition],
    settings: ConditionSettings,
    *,
    wrong_words: dict[float, Texts],
    babble: Babble | None = None,
    use_history: bool = True,
    batch_size: int = 16,
    progress: bool = True,
) -> list[Predicted]:
    """Runs a model over rows under every condition.

    Rows go in batches of like length, and every batch through all conditions at once: files are decoded once, and what
    a condition does not change is neither computed nor encoded again.

    Args:
        recognizer: Of `load_recognizer`; its model, processor and device are used.
        rows: With `duration` where they have sound.
        conditions: Of `all_conditions`.
        settings: Of the conditions.
        wrong_words: Texts with errors, of `transcripts_with_errors`.
        babble: For conditions that want it.
        use_history: Whether earlier utterances go before the text.
        batch_size: Utterances at once.
        progress: Whether a bar shows how far it is.

    Returns:
        One entry per condition, rows in their order.
    """
    model, processor = recognizer.model.eval(), recognizer.processor

    def place(batch: dict[str, Any]) -> Any:
        return BatchFeature(batch).to(device=recognizer.device, dtype=model.dtype)

    size = (len(rows), model.config.num_labels)
    results = [
        Predicted(np.full(size, np.nan), np.ones(len(rows)), np.zeros(len(rows), dtype=bool)) for _ in conditions
    ]
    seconds = [duration or 0.0 for duration in column(rows, "duration")]
    letters = [len(text or "") for text in column(rows, "text")]  # count where seconds say nothing
    order = np.lexsort((letters, seconds))[::-1]  # long ones first: what does not fit fails at once
    starts = tqdm(range(0, len(rows), batch_size), desc="batches", disable=not progress)
    for start in starts:
        places = order[start : start + batch_size]
        batch = [rows[int(place)] for place in places]
        reader = BatchReader(batch, processor, use_history, wrong_words, babble, settings.seed, place)
        with torch.inference_mode(), encoded_once(model):
            for condition, predicted in zip(conditions, results, strict=True):
                inputs, present = reader.inputs(condition)
                seen = present.any(axis=1)
                if not seen.any():
                    continue
                logits = model(**inputs, return_dict=True).logits.double().cpu()[seen]
                check_logits(model, logits)
                predicted.logits[places[seen]] = logits.numpy()
                predicted.seen[places] = seen
                predicted.temperatures[places] = [
                    model.config.temperature_of(np.array(condition.modalities)[having].tolist()) for having in present
                ]
    return results


def transcripts_with_errors(rows: Dataset, conditions: Sequence[Condition], settings: ConditionSettings) -> dict:
    """Text and history of every row by id, by the word error rates that conditions ask for."""
    wrong: dict[float, Texts] = {}
    for rate in [one.value for one in conditions if one.kind == "words" and one.value is not None]:
        changed = corrupt_transcripts(rows, rate, settings.word_error_shares, settings.seed)
        columns = (column(changed, name) for name in ("id", "text", "history"))
        wrong[rate] = {row_id: (text, history) for row_id, text, history in zip(*columns, strict=True)}
    return wrong


@contextmanager
def encoded_once(model: Any) -> Iterator[None]:
    """Within it, an encoder that is given the very tensors that it has been given before is not run again."""
    kept: dict[tuple, tuple[list, Any]] = {}
    encode = model.encode_modality

    def remembered(modality: str, mask: Any, *args: Any, **inputs: Any) -> Any:
        tensors = [inputs.get(name) for name in (*RAW_INPUTS[modality], f"{modality}_features")]
        key = (modality, *map(id, tensors))
        if key not in kept:
            kept[key] = (tensors, encode(modality, mask, *args, **inputs))  # kept, so that no other gets their ids
        return kept[key][1]

    object.__setattr__(model, "encode_modality", remembered)
    try:
        yield
    finally:
        object.__delattr__(model, "encode_modality")
