"""What the best system could reach on a generated corpus, by what it sees."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_mer.data.mark import is_generated, read_mark


def ceiling(results: Mapping[str, Any], data_dir: str | Path | None, score: str) -> float | None:
    """Highest expected score of a run's system, which follows from how the corpus was generated.

    Args:
        results: Of the run.
        data_dir: Root of the corpus.
        score: `wa`, `ua` or `wf1`.

    Returns:
        A fraction; None where nobody knows it: the corpus is not a generated one, the task is not the one that it was
        generated for, the system does not tell its modalities, or there is no rule for the score.
    """
    if data_dir is None or not is_generated(data_dir):
        return None
    data = results["settings"].get("data", {})
    modalities = results["settings"].get("model", {}).get("modalities")
    if not modalities or data.get("task") not in ("4class", "emotion"):
        return None
    known = read_mark(data_dir)["ceilings"]
    suffix = "" if data.get("use_history", True) or "text" not in modalities else "_without_history"
    if data["task"] == "emotion":  # MELD's layout: by score and by modalities
        ordered = [name for name in ("text", "speech", "video") if name in modalities]
        return known.get(score, {}).get("+".join(ordered) + suffix)
    if score == "wf1":
        return None
    seen = "both" if {"text", "speech"} <= set(modalities) else "text" if "text" in modalities else "voice"
    return known.get(seen + suffix)
