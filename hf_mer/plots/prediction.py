"""The figure of one prediction of the pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hf_mer.plots.attention import label_attention


def prediction_figure(
    prediction: Mapping[str, Any],
    labels: Sequence[str],
    *,
    waveform: np.ndarray | None = None,
    sampling_rate: int = 16000,
    true_label: str | None = None,
    title: str | None = None,
) -> Figure:
    """What a model found in an utterance: scores, and the label attention over waveform and words (LE-MER, figure 4).

    Args:
        prediction: What the pipeline gives with `return_attention=True`.
        labels: Class names, in the order of the logits.
        waveform: Samples that were given to the pipeline, mono. Shape `(N,)`.
        sampling_rate: Of the waveform, Hz.
        true_label: The right class, if it is known.
        title: Title of the figure.

    Raises:
        ValueError: If the model gave no attention: it has no label embeddings.
    """
    scores = {item["label"]: item["score"] for item in prediction["scores"]}
    words = [word for word in prediction["words"] if word["current"]] or list(prediction["words"])
    frames = prediction["frames"] if waveform is not None else {}
    if not words and not frames:
        raise ValueError(
            "there is no label attention to draw: the model has no label embeddings for what it was given"
        )
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
        text = {"tokens": [word["word"] for word in words], "token_attention": attention}
    return label_attention(
        labels,
        **speech,
        **text,
        scores=[scores.get(label, 0.0) for label in labels],
        true_label=true_label,
        title=title,
    )
