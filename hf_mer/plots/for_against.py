"""What speaks for a class and what against it: one scale of colours, its ticks, and bars; see `hf_mer.factors`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex

from hf_mer.factors import shown_value, value_limit
from hf_mer.plots.style import FAINT_INK, INK

FOR, AGAINST = "#6A2C91", "#857A1E"
"""Violet and olive: neither is a class's colour, and no kind of colour blindness takes one for the other."""
FOR_AGAINST = LinearSegmentedColormap.from_list(
    "hf_mer_for_against", [AGAINST, "#CFC88A", "#FFFFFF", "#C4A6D8", FOR], N=257
)
_FACTORS = (1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e6, 1e9)  # of ticks


def value_norm(explanation: Mapping[str, Any]) -> Normalize:
    """The scale of colours that all parts of one utterance share, symmetric about 0, see `value_limit`."""
    limit = value_limit(explanation)
    return Normalize(-limit, limit, clip=True)


def place_color(place: Mapping[str, Any], norm: Normalize) -> str:
    """Hexadecimal colour of a word, segment or span; white where its value is within its standard error."""
    return to_hex(FOR_AGAINST(norm(shown_value(place))))


def factor_ticks(limit: float) -> list[tuple[float, str]]:
    """Ticks from -limit to limit, 0 and the largest round factor: their values and what is written there."""
    round_factor = max(factor for factor in _FACTORS if factor == 1.0 or math.log(factor) <= 1.001 * limit)
    value = math.log(round_factor)
    marks = [(-value, f"÷{round_factor:g}"), (0.0, "×1"), (value, f"×{round_factor:g}")]
    return marks if value else marks[1:2]


def draw_factor_axis(axis: Axis, limit: float) -> None:
    """Ticks of [`factor_ticks`] on an axis."""
    ticks = factor_ticks(limit)
    axis.set_ticks([value for value, _ in ticks], [text for _, text in ticks])


def draw_value_bars(axes: Axes, places: Sequence[Mapping[str, Any]], norm: Normalize) -> None:
    """A bar from 0 to the value of each place, up for what speaks for the class, whiskers of one standard error.

    Args:
        axes: Whose horizontal axis has the unit of `start` and `end`.
        places: Segments or spans of an explanation.
        norm: Of [`value_norm`].
    """
    starts, ends, heights, spread = (
        np.array([place[name] for place in places], dtype=float) for name in ("start", "end", "value", "error")
    )
    middles, colors = (starts + ends) / 2, [place_color(place, norm) for place in places]
    axes.bar(middles, heights, 0.94 * (ends - starts), color=colors, edgecolor=FAINT_INK, linewidth=0.4)
    unsure = spread > 0
    if unsure.any():
        axes.errorbar(
            middles[unsure], heights[unsure], spread[unsure], fmt="none", ecolor=INK, elinewidth=0.9, capsize=1.5
        )
    axes.axhline(0, color=FAINT_INK, linewidth=0.7)
    reach = max(float(norm.vmax or 0), float((np.abs(heights) + spread).max(initial=0)))
    axes.set_ylim(-1.08 * reach, 1.08 * reach)
    draw_factor_axis(axes.yaxis, reach)
