"""What of a prediction is to be explained: settings, checked before any work is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PLAYERS = {"text": "text", "history": "history", "speech": "features", "video": "pixels"}
"""What an utterance is made of, and the field of `Variant` that holds it."""
BUDGET = 1000
LEAST_BUDGET = 100  # of text, history, speech and video 79 are needed


@dataclass(frozen=True)
class Explaining:
    """What of a prediction is to be explained, and at what cost.

    Attributes:
        label: The class that is explained; None for the predicted one.
        budget: Largest number of variants of an utterance that the model is asked about.
        modalities: Whose places are valued, of `text`, `history`, `speech` and `video`; None for all that there are.
    """

    label: str | None = None
    budget: int = BUDGET
    modalities: tuple[str, ...] | None = None

    @classmethod
    def of(cls, asked: Any, config: Any) -> "Explaining | None":
        """What `explain=...` asks for: True, or a dictionary of the above; None where nothing is to be explained.

        Args:
            asked: Of a kind that `check_parameters` lets through.
            config: Of the model.

        Raises:
            ValueError: If the model has no such class or modality.
        """
        if asked is None or (not isinstance(asked, Mapping) and not asked):
            return None
        given = {} if not isinstance(asked, Mapping) else {k: v for k, v in asked.items() if v is not None}
        labels = [config.id2label[index] for index in range(config.num_labels)]
        label, modalities = given.get("label"), given.get("modalities")
        if label is not None and label not in labels:
            raise ValueError(f"explain: label {label!r} is not one of {', '.join(labels)}")
        valid = [name for name in PLAYERS if (name if name != "history" else "text") in config.modalities]
        for name in modalities or ():
            if name not in valid:
                raise ValueError(f"explain: modality {name!r} is not one of {', '.join(valid)}, which this model has")
        chosen = None if modalities is None else tuple(modalities)
        return cls(label, int(given.get("budget", BUDGET)), chosen)


def check_explain(asked: Any) -> None:
    """Refuses an `explain` of another kind or out of range, whatever the model.

    Raises:
        TypeError: If it, or what stands in it, is of another kind.
        ValueError: If the budget is too small.
    """
    known = ("label", "budget", "modalities")
    if isinstance(asked, (bool, np.bool_)):
        return
    if not isinstance(asked, Mapping):
        raise TypeError(f"explain={asked!r} must be True or False, or a dictionary with any of {', '.join(known)}")
    if unknown := sorted(map(str, set(asked) - set(known))):
        raise TypeError(f"explain: unknown key {unknown[0]!r}; known are {', '.join(known)}")
    label, budget, modalities = (asked.get(name) for name in known)
    if label is not None and not isinstance(label, str):
        raise TypeError(f"explain: label={label!r} must be the name of a class")
    if isinstance(modalities, str) or not isinstance(modalities, (Sequence, type(None))):
        raise TypeError(f"explain: modalities={modalities!r} must be a list of any of {', '.join(PLAYERS)}")
    if budget is not None:
        if isinstance(budget, (bool, np.bool_)) or not isinstance(budget, (int, np.integer)):
            raise TypeError(f"explain: budget={budget!r} must be a whole number of forward passes")
        if budget < LEAST_BUDGET:
            raise ValueError(f"explain: budget={budget} must be at least {LEAST_BUDGET} forward passes")
