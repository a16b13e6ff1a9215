"""The inputs of one batch under any condition; what a condition leaves alone is read and padded once."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hf_mer.data.collator import STATE_MASKS, MerDataCollator
from hf_mer.data.words import word_spans
from hf_mer.evaluation.condition import Condition
from hf_mer.evaluation.sound import Babble, mix, white_noise
from hf_mer.models.audio_mer import load_audio
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.segments_mer import audio_of
from hf_mer.models.video_mer import probe_video

Texts = dict[str, tuple[str | None, list[str]]]
"""Text and history by id."""


class BatchReader:
    """Reads the utterances of a batch, each file once, and makes model inputs of them.

    Args:
        rows: Of the batch.
        processor: A `MerProcessor`.
        use_history: Whether earlier utterances go before the text.
        wrong_words: Texts and histories with errors, by rate.
        babble: Where a condition wants it.
        seed: Of white noise.
        place: Moves tensors to where the model is.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        processor: Any,
        use_history: bool,
        wrong_words: dict[float, Texts],
        babble: Babble | None,
        seed: int,
        place: Callable[[dict[str, Any]], dict[str, Any]],
    ):
        self.rows, self.processor, self.use_history = rows, processor, use_history
        self.wrong_words, self.babble, self.seed, self.place = wrong_words, babble, seed, place
        self._samples: list[np.ndarray | None] | None = None
        self._kept: dict[str, tuple[dict[str, Any], np.ndarray]] = {}

    def inputs(self, condition: Condition) -> tuple[dict[str, Any], np.ndarray]:
        """Inputs of `forward` under a condition, and which modalities every utterance then has.

        Returns:
            inputs: Tensors; of modalities that the condition does not change the very same ones every time.
            present: Booleans in the order of the condition's modalities. Shape `(B, M)`.
        """
        inputs: dict[str, Any] = {}
        present = []
        for modality in condition.modalities:
            if modality in condition.changes:
                made, having = self._make(modality, condition)
            else:
                if modality not in self._kept:
                    self._kept[modality] = self._make(modality, None)
                made, having = self._kept[modality]
            inputs.update(made)
            present.append(having)
        return inputs, np.stack(present, axis=1)

    def _make(self, modality: str, condition: Condition | None) -> tuple[dict[str, Any], np.ndarray]:
        rows = getattr(self, f"_{modality}")(condition)
        batch = MerDataCollator(self.processor, [modality], self.use_history)(rows)
        mask = batch.get(STATE_MASKS[modality])  # none where nobody has the modality
        having = np.zeros(len(rows), dtype=bool) if mask is None else mask.bool().any(dim=1).numpy()
        return self.place(batch), having

    def _text(self, condition: Condition | None) -> list[dict[str, Any]]:
        rows = []
        for row in self.rows:
            text, history = row.get("text"), list(row.get("history") or [])
            if condition is not None and condition.kind == "words":
                text, history = self.wrong_words[condition.value or 0.0][row["id"]]
            elif condition is not None:
                seconds = _seconds_of(row)
                text = first_words(text, (condition.value or 0.0) / seconds) if seconds else text
            rows.append({"text": text, "history": history})
        return rows

    def _speech(self, condition: Condition | None) -> list[dict[str, Any]]:
        heard = zip(self.rows, self.samples(), strict=True)
        if condition is None:
            return [{"audio": samples} for _, samples in heard]
        return [
            {"audio": None if samples is None else self._changed(row, samples, condition)} for row, samples in heard
        ]

    def _changed(self, row: dict[str, Any], samples: np.ndarray, condition: Condition) -> np.ndarray:
        value = float(condition.value or 0.0)
        if condition.kind == "seconds":
            return samples[: max(1, int(value * self.processor.sampling_rate))]
        if condition.kind == "white":
            return mix(samples, white_noise(len(samples), self.seed, row["id"]), value)
        assert self.babble is not None
        return mix(samples, self.babble.over(row, len(samples)), value)

    def _video(self, condition: Condition | None) -> list[dict[str, Any]]:
        videos = [row.get("video") for row in self.rows]
        if condition is not None:
            seconds = float(condition.value or 0.0)
            videos = [None if video is None else first_seconds(video, seconds) for video in videos]
        return [{"video": video} for video in videos]

    def samples(self) -> list[np.ndarray | None]:
        """Every utterance's sound at the processor's rate, decoded once; None where it has none."""
        if self._samples is None:
            rate, longest = self.processor.sampling_rate, self.processor.max_audio_seconds
            with collected_notes():
                self._samples = [
                    None if row.get("audio") is None else load_audio(audio_of(row), rate, max_seconds=longest)
                    for row in self.rows
                ]
        return self._samples


def _seconds_of(row: dict[str, Any]) -> float | None:
    """Length of an utterance, or of its clip where nobody measured it; None for words alone."""
    if row.get("duration"):
        return float(row["duration"])
    return None if row.get("video") is None else probe_video(row["video"]).seconds


def first_words(text: str | None, share: float) -> str | None:
    """The beginning of a text with a share of its words, at least one: corpora do not say when a word is spoken."""
    spans = word_spans(text or "")
    kept = int(np.ceil(share * len(spans) - 1e-9))
    if text is None or kept >= len(spans):
        return text
    return text[: spans[max(kept, 1) - 1][1]]


def first_seconds(video: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The video of a row, cut at its end."""
    end = float(video.get("start") or 0.0) + seconds
    old = video.get("end")
    return {**video, "end": end if old is None else min(end, float(old))}
