"""Values of an explanation as a reader meets them: factors of a probability, and what is coloured at all.

A value is a difference of natural logarithms of a class's probability; a reader is shown `×2` for twice as likely and
`÷2` for half as likely.
"""

import math
from collections.abc import Mapping
from typing import Any

LEAST_LIMIT = math.log(1.25)
"""Parts that change little stay pale: full colour is at least a quarter more likely."""


def value_limit(explanation: Mapping[str, Any]) -> float:
    """The value that has full colour, the same for all parts of one utterance.

    It is the largest value of a word, a segment of sound or a span of video; of a modality where there are none of
    them; at least `LEAST_LIMIT`.

    Args:
        explanation: As the pipeline gives it.
    """
    places = [*explanation["words"], *explanation["segments"], *explanation["video_spans"]]
    values = [place["value"] for place in places] or list(explanation["modalities"].values())
    return max(LEAST_LIMIT, *(abs(value) for value in values), 0.0)


def shown_value(place: Mapping[str, Any]) -> float:
    """What a word, segment or span is coloured by: its value, or 0 where that is within its standard error."""
    return place["value"] if abs(place["value"]) > place["error"] else 0.0


def factor_text(value: float) -> str:
    """A value as a reader meets it: `×2.0`, `÷1.25`, `×1` where nothing changes."""
    factor = math.exp(min(abs(value), 50.0))
    digits = 2 if factor < 1.995 else 1 if factor < 9.95 else 0
    shown = f"{factor:.{digits}f}"
    if float(shown) == 1:
        return "×1"
    return f"{'×' if value > 0 else '÷'}{shown}"


def prior_text(explanation: Mapping[str, Any]) -> str:
    """From which probability to which the parts lead together, in words."""
    alike = " (equal for all classes: the checkpoint does not state their shares)"
    source = alike if explanation["prior_source"] == "uniform" else ""
    return f"from {explanation['prior']:.2f}, before anything is seen{source}, to {explanation['score']:.2f}"
