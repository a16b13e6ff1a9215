"""What speaks for a prediction: words, stretches of sound, and the keywords of the label."""

from collections.abc import Sequence
from typing import Any

import numpy as np

SHOWN_KEYWORDS = 10
_GAP = 0.1  # seconds that may lie between salient frames of one stretch


def word_attention(words: list, tokens: np.ndarray | None, names: Sequence[str]) -> list[dict[str, Any]]:
    """Per word the mean cosine of its tokens with every label.

    Args:
        words: `(word, token positions, is current utterance)`, as the processor gives them.
        tokens: Cosines of tokens and labels. Shape `(T, C)`; None where the model has none.
        names: Labels. Length `C`.
    """
    if tokens is None:
        return []
    return [
        {"word": word, "current": current, **dict(zip(names, tokens[positions].mean(axis=0).tolist(), strict=True))}
        for word, positions, current in words
    ]


def frame_attention(frames: np.ndarray | None, seconds: np.ndarray, names: Sequence[str]) -> dict[str, list[float]]:
    """Cosines of every frame with every label, beside the frames' centres; nothing where the model has none."""
    if frames is None or len(frames) == 0:
        return {}
    return {"seconds": seconds.tolist(), **{name: frames[:, i].tolist() for i, name in enumerate(names)}}


def salient(cosines: np.ndarray) -> np.ndarray:
    """Where cosines stand out: at least their mean plus one standard deviation; nowhere if all are alike. `(N,)`."""
    spread = cosines.std() if len(cosines) else 0.0
    return cosines >= cosines.mean() + spread if spread > 1e-6 else np.zeros(len(cosines), dtype=bool)


def salient_stretches(frames: dict[str, list[float]], label: str) -> list[dict[str, float]]:
    """Stretches of sound in which the label attention of one label stands out, best first.

    A frame is salient where its cosine with the label is at least the mean plus one standard deviation of all frames
    of the utterance. Salient frames with less than 0.1 s between them make one stretch, from the beginning of its
    first frame to the end of its last.

    Args:
        frames: What `frame_attention` gave.
        label: Usually the predicted one.

    Returns:
        `start` and `end` in seconds, and `cosine`, the mean over the salient frames of the stretch.
    """
    if not frames:
        return []
    cosines, seconds = np.asarray(frames[label]), np.asarray(frames["seconds"])
    half = (seconds[1] - seconds[0]) / 2 if len(seconds) > 1 else 0.0
    chosen = np.flatnonzero(salient(cosines))
    if len(chosen) == 0:
        return []
    runs = np.split(chosen, np.flatnonzero(np.diff(seconds[chosen]) > _GAP + 2 * half) + 1)
    stretches = [
        {
            "start": float(seconds[run[0]] - half),
            "end": float(seconds[run[-1]] + half),
            "cosine": float(cosines[run].mean()),
        }
        for run in runs
    ]
    return sorted(stretches, key=lambda stretch: -stretch["cosine"])


def salient_words(words: list[dict[str, Any]], label: str) -> list[dict[str, Any]]:
    """Words in which the label attention of one label stands out, by the same rule among words, best first."""
    cosines = np.array([word[label] for word in words])
    chosen = [
        {"word": word["word"], "current": word["current"], "cosine": word[label]}
        for word, stands_out in zip(words, salient(cosines), strict=True)
        if stands_out
    ]
    return sorted(chosen, key=lambda word: -word["cosine"])


def keywords_of(store: Any, label: str) -> list[dict[str, Any]]:
    """The first keywords of a label with their scores, best first; none without a label store."""
    keywords = store.keywords.get(label, []) if store is not None else []
    return [{"word": word, "score": score} for word, score in keywords[:SHOWN_KEYWORDS]]
