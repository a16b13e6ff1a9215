"""Label attention of words and frames, and the keywords of a label.

It shows how similar a place is to a label's embedding, and does not explain the decision: on a generated corpus it
finds the words that carry the emotion less often than chance does. What the decision went by is told by `explain_mer`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

SHOWN_KEYWORDS = 10


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


def keywords_of(store: Any, label: str) -> list[dict[str, Any]]:
    """The first keywords of a label with their scores, best first; none without a label store."""
    keywords = store.keywords.get(label, []) if store is not None else []
    return [{"word": word, "score": score} for word, score in keywords[:SHOWN_KEYWORDS]]
