"""What the pipeline gives: scores, decisions and explanations of utterances, time lines of long recordings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .label_attention_mer import frame_attention, keywords_of, word_attention
from .long_recordings_mer import overall, without_overlap
from .timed_words_mer import as_entries, with_times
from .utterances_mer import Utterance


@dataclass(frozen=True)
class ResultForm:
    """Puts results into the form that was asked for.

    Attributes:
        labels: Class names, in the order of the scores.
        frame_times: Centres, in seconds, of so many frames of the speech encoder.
        label_store: For keywords; None without.
        top_k: Labels that are given; all if None.
        threshold: Score below which there is no label; None where no label is wanted.
        return_attention: Whether label attention is given too.
        merge_overlaps: Whether windows make a time line without overlap.
    """

    labels: Sequence[str]
    frame_times: Callable[[int], np.ndarray]
    label_store: Any = None
    top_k: int | None = None
    threshold: float | None = None
    return_attention: bool = False
    merge_overlaps: bool = False

    def of_utterance(self, output: dict[str, Any], utterance: Utterance) -> Any:
        """The result of one utterance, for which the pipeline's `_forward` gave `output`."""
        if not self.return_attention and self.threshold is None and "explanation" not in output:
            return self._ranked(output["scores"])
        return _warned(self._dictionary(output, utterance), utterance.notes)

    def of_window(self, output: dict[str, Any], window: Utterance) -> dict[str, Any]:
        """One entry of a time line; times are those of the recording, in seconds."""
        entry = {"start": window.start, "end": window.end, "modalities": output["modalities"]}
        return _warned({**entry, **self._dictionary(output, window)}, window.notes)

    def of_recording(
        self,
        entries: list[dict[str, Any]],
        probabilities: list[np.ndarray],
        notes: Sequence[str] = (),
        undecided: Sequence[bool] = (),
    ) -> dict[str, Any]:
        """The result of a long recording.

        Args:
            entries: What `of_window` gave, in order.
            probabilities: Of every window. Each of shape `(C,)`.
            notes: What is to be said of it.
            undecided: Per window, whether there is nothing but silence to decide by; it has no say then in the whole
                and in a time line without overlap, unless no window has anything else.

        Raises:
            ValueError: If nothing could be said about any window.
        """
        if not entries:
            raise ValueError("a recording has no window with anything that this model can use")
        nothing = bool(undecided) and all(undecided)
        counted = [index for index in range(len(entries)) if nothing or not undecided or not undecided[index]]
        spans = [(entries[index]["start"], entries[index]["end"]) for index in counted]
        probabilities = [probabilities[index] for index in counted]
        result = self._decision(overall(spans, probabilities), nothing)
        if self.merge_overlaps:
            cells = zip(*without_overlap(spans, probabilities), strict=True)
            entries = [{"start": start, "end": end, **self._decision(mean, nothing)} for (start, end), mean in cells]
        return _warned({**result, "timeline": entries}, notes)

    def _ranked(self, probabilities: np.ndarray) -> list[dict[str, Any]]:
        order = np.argsort(-probabilities, kind="stable")[: self.top_k]
        return [{"label": self.labels[i], "score": float(probabilities[i])} for i in order]

    def _decision(self, probabilities: np.ndarray, undecided: bool = False) -> dict[str, Any]:
        """Scores, and the label where abstention was asked for."""
        decision: dict[str, Any] = {}
        if self.threshold is not None:
            best = int(probabilities.argmax())
            decision["label"] = self.labels[best] if probabilities[best] >= self.threshold and not undecided else None
        return {**decision, "scores": self._ranked(probabilities)}

    def _dictionary(self, output: dict[str, Any], utterance: Utterance) -> dict[str, Any]:
        result = self._decision(output["scores"], utterance.is_undecided)
        if utterance.heard is not None:
            result["text"] = utterance.heard
        if utterance.timed_words is not None:
            result["timed_words"] = as_entries(utterance.timed_words)
        if self.return_attention:
            predicted = self.labels[int(output["scores"].argmax())]
            words = with_times(word_attention(output["words"], output["tokens"], self.labels), utterance.timed_words)
            frames: dict[str, list[float]] = {}
            if output["frames"] is not None:
                seconds = utterance.start + self.frame_times(len(output["frames"]))
                frames = frame_attention(output["frames"], seconds, self.labels)
            result.update(words=words, frames=frames, keywords=keywords_of(self.label_store, predicted))
        if "explanation" in output:
            result["explanation"] = output["explanation"]
        return result


def _warned(result: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """A result with what is to be said of it, if anything is."""
    return {**result, "warnings": list(notes)} if notes else result


def attention_rows(
    attention: torch.Tensor | None, mask: torch.Tensor | None, size: int, trim: bool
) -> list[np.ndarray | None]:
    """One array per utterance, padding removed if it is to be trimmed; None where there is nothing."""
    if attention is None or mask is None:
        return [None] * size
    arrays = attention.float().cpu().numpy()
    return [
        None if not row_mask.any() else (array[row_mask] if trim else array)
        for array, row_mask in zip(arrays, mask.cpu().numpy(), strict=True)
    ]
