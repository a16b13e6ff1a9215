"""What speaks for and against a class in an utterance, as exactly as a visitor's patience allows."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from hf_mer.app.media import as_notices
from hf_mer.app.model import PageModel
from hf_mer.app.utterance import Prediction, load_row
from hf_mer.models.explain_settings_mer import BUDGET, LEAST_BUDGET

SECONDS = 3.0
"""After which a visitor should see an explanation, on a machine that is fast enough for the smallest one."""


def explain(model: PageModel, prediction: Prediction, label: str) -> dict[str, Any]:
    """Explains a prediction; what is unsure or grouped is computed again if there is time to do it better.

    The first, smallest explanation shows what a forward pass costs on this machine, for this model and utterance.

    Args:
        model: The model.
        prediction: Of `predict`; its recording is read again.
        label: Class that is explained.

    Returns:
        As `explain_utterance`.

    Raises:
        AudioError: If the recording is gone.
        VideoError: If the video is gone.
    """
    row, _, _ = load_row(model, prediction.utterance)
    row = {**row, "text": prediction.said or row["text"]}
    began = monotonic()
    found = _explained(model, row, label, LEAST_BUDGET)
    spent = monotonic() - began
    affordable = min(BUDGET, int((SECONDS - spent) / spent * found["forward_passes"]))
    if affordable < 2 * LEAST_BUDGET or _is_exact(found):
        return found
    return _explained(model, row, label, affordable)


def notices_of(explanation: Mapping[str, Any]) -> tuple[str, ...]:
    """Its warnings as sentences for the page."""
    return as_notices(told.removeprefix("explain: ") for told in explanation.get("warnings", ()))


def _explained(model: PageModel, row: dict[str, Any], label: str, budget: int) -> dict[str, Any]:
    return model(row, explain={"label": label, "budget": budget})["explanation"]


def _is_exact(explanation: dict[str, Any]) -> bool:
    """Whether more forward passes would change nothing."""
    places = [*explanation["words"], *explanation["segments"], *explanation["video_spans"]]
    return "warnings" not in explanation and all(place["error"] == 0 for place in places)
