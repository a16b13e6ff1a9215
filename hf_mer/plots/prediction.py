"""The label attention of one prediction of the pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hf_mer.plots.attention import label_attention
from hf_mer.plots.word_boxes import estimated_word_times


def prediction_figure(
    prediction: Mapping[str, Any],
    labels: Sequence[str],
    *,
    waveform: np.ndarray | None = None,
    sampling_rate: int = 16000,
    word_times: np.ndarray | None = None,
    true_label: str | None = None,
    title: str | None = None,
) -> Figure:
    """Scores of an utterance, and the label attention over its waveform and words (LE-MER, figure 4).

    It shows similarity to the labels' embeddings and does not explain the decision, see [`explanation_figure`].

    Args:
        prediction: What the pipeline gives with `return_attention=True`.
        labels: Class names, in the order of the logits.
        waveform: Samples that were given to the pipeline, mono. Shape `(N,)`.
        sampling_rate: Of the waveform, Hz.
        word_times: Start and end of [`shown_words`] in seconds. Without them those of the prediction are used, from a
            speech recogniser or given with the words; where it has none, the figure estimates them and says so. Shape
            `(words, 2)`.
        true_label: The right class, if it is known.
        title: Title of the figure.

    Raises:
        ValueError: If there is no label attention to draw: the model has no label embeddings.
    """
    scores = {item["label"]: item["score"] for item in prediction["scores"]}
    words = shown_words(prediction)
    word_times = known_times(words) if word_times is None else word_times
    frames = prediction["frames"] if waveform is not None else {}
    speech: dict[str, Any] = {}
    if frames:
        speech = {
            "waveform": np.asarray(waveform),
            "sampling_rate": sampling_rate,
            "frame_times": np.asarray(frames["seconds"]),
            "frame_attention": np.array([frames[label] for label in labels]).T,
        }
    text: dict[str, Any] = {}
    if words:
        attention = np.array([[word[label] for label in labels] for word in words])
        tokens = [word["word"] for word in words]
        text = {"tokens": tokens, "token_attention": attention}
        if speech and words[0]["current"]:  # earlier utterances are in another recording
            estimated = word_times is None
            if estimated:
                word_times = estimated_word_times(tokens, speech["waveform"], sampling_rate)
            text.update(word_times=word_times, times_estimated=estimated)
    return label_attention(
        labels,
        **speech,
        **text,
        scores=[scores.get(label, 0.0) for label in labels],
        true_label=true_label,
        title=title,
    )


def shown_words(prediction: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The words that are drawn: those of the utterance itself, or where it has none, its history's."""
    return [word for word in prediction["words"] if word["current"]] or list(prediction["words"])


def known_times(words: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    """Start and end in seconds of words of a prediction; None unless all have them. Shape `(words, 2)`."""
    if not words or not all("start" in word for word in words):
        return None
    return np.array([[word["start"], word["end"]] for word in words])
