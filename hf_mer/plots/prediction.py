"""The figure of one prediction of the pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hf_mer.plots.attention import draw_scores, label_attention
from hf_mer.plots.style import class_colors, figure, styled
from hf_mer.plots.waveform import amplitude_limit, draw_waveform
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
    """What a model found in an utterance: scores, and the label attention over waveform and words (LE-MER, figure 4).

    A model without label embeddings has no such attention; then the scores stand beside the waveform.

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
    """
    scores = {item["label"]: item["score"] for item in prediction["scores"]}
    words = shown_words(prediction)
    word_times = known_times(words) if word_times is None else word_times
    frames = prediction["frames"] if waveform is not None else {}
    if not words and not frames:
        return _plain(list(labels), scores, waveform, sampling_rate, true_label, title)
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


@styled
def _plain(
    labels: list[str],
    scores: Mapping[str, float],
    waveform: np.ndarray | None,
    sampling_rate: int,
    true_label: str | None,
    title: str | None,
) -> Figure:
    """Scores, beside the waveform if there is one."""
    heard = waveform is not None and len(waveform) > 0
    fig = figure(8.4 if heard else 4.2, 0.9 + 0.25 * len(labels) + 0.35 * bool(title), title)
    right: Any = fig
    if heard:
        left, right = fig.subfigures(1, 2, width_ratios=(4.4, 2.4), squeeze=False)[0]
        axes = left.add_subplot()
        draw_waveform(axes, np.asarray(waveform), sampling_rate, "#4D4D4D", amplitude_limit(np.asarray(waveform)))
        axes.set_title("Speech")
        axes.set_xlabel("time (s)")
    draw_scores(right, labels, [scores.get(label, 0.0) for label in labels], true_label, class_colors(labels))
    return fig
