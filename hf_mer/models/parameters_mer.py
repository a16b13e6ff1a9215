"""What the parameters of the pipeline may be, checked before any work is done."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from .explain_settings_mer import check_explain
from .resampling_mer import HIGHEST_RATE, LOWEST_RATE

_WHOLE = {"top_k": 1, "batch_size": 1, "num_workers": 0}
_REAL = {
    "threshold": (0.0, 1.0),
    "sampling_rate": (LOWEST_RATE, HIGHEST_RATE),
    "window_seconds": (0.0, math.inf),
    "hop_seconds": (0.0, math.inf),
}
_SWITCHES = ("return_attention", "merge_overlaps", "dialogue")


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuses what is of another kind or out of range; None is the default of each.

    Raises:
        TypeError: If a value is of another kind.
        ValueError: If a number is out of range.
    """
    for name, value in given.items():
        if value is None:
            continue
        is_switch = isinstance(value, (bool, np.bool_))
        if name in _SWITCHES and not is_switch:
            raise TypeError(f"{name}={value!r} must be True or False")
        if name == "progress" and not (is_switch or all(hasattr(value, wanted) for wanted in ("update", "close"))):
            raise TypeError(f"{name}={value!r} must be True or False, or a bar with update(count) and close()")
        if name == "explain":
            check_explain(value)
        if name in _WHOLE:
            if is_switch or not isinstance(value, Integral):
                raise TypeError(f"{name}={value!r} must be a whole number of at least {_WHOLE[name]}")
            if value < _WHOLE[name]:
                raise ValueError(f"{name}={value} must be at least {_WHOLE[name]}")
        if name in _REAL:
            least, most = _REAL[name]
            limits = f"from {least:g} to {most:g}" if math.isfinite(most) else f"at least {least:g}, and finite"
            if is_switch or not isinstance(value, Real):
                raise TypeError(f"{name}={value!r} must be a number, {limits}")
            if not (least <= float(value) <= most and math.isfinite(value)):
                raise ValueError(f"{name}={value} must be {limits}")
    if given.get("explain") not in (None, False) and given.get("merge_overlaps"):
        raise ValueError("merge_overlaps joins windows that have an explanation each: leave it or explain out")
