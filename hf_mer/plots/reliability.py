"""How far a model's confidence can be believed: accuracy of utterances by their confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hf_mer.plots.style import FAINT_INK, INK, OKABE_ITO, SMALL_FONT_SIZE, figure, styled


@styled
def reliability_diagram(panels: Mapping[str, tuple[Mapping[str, Any], float]], *, title: str | None = None) -> Figure:
    """Accuracy in each bin of confidence, a panel for each set of probabilities, how many utterances below it.

    A calibrated model's bars end at the diagonal; below it, it is more confident than right. The mapping has the
    numbers behind the figure.

    Source: Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017, figure 1.

    Args:
        panels: By title, the bins of `hf_mer.metrics.calibration.reliability_bins` and their calibration error.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no panel, or one has no utterances.
    """
    if not panels:
        raise ValueError("no bins to draw; give at least one panel")
    for name, (bins, _) in panels.items():
        if not sum(bins["counts"]):
            raise ValueError(f"{name}: the bins hold no utterances")
    fig = figure(1.0 + 2.9 * len(panels), 4.1, title)
    axes = fig.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False, height_ratios=[3, 1])
    for column, (name, (bins, error)) in enumerate(panels.items()):
        _draw_accuracy(axes[0, column], bins)
        axes[0, column].set_title(f"{name}\ncalibration error {error:.3f}")
        _draw_counts(axes[1, column], bins)
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("utterances")
    handles = [
        Patch(color=OKABE_ITO["sky"], label="accuracy"),
        Patch(facecolor="none", edgecolor=OKABE_ITO["vermilion"], hatch="////", label="gap to confidence"),
        *axes[0, 0].plot([], [], color=FAINT_INK, linestyle="--", linewidth=1.0, label="accuracy = confidence"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def _places(bins: Mapping[str, Any]) -> tuple[np.ndarray, float, np.ndarray]:
    """Left edges of the bins, their width, and which hold any utterances."""
    size = len(bins["counts"])
    return np.arange(size) / size, 1 / size, np.array(bins["counts"]) > 0


def _draw_accuracy(axes: Axes, bins: Mapping[str, Any]) -> None:
    left, width, filled = _places(bins)
    accuracy, confidence = np.array(bins["accuracy"])[filled], np.array(bins["confidence"])[filled]
    bar: dict[str, Any] = {"width": width, "align": "edge", "linewidth": 0.6}
    axes.bar(left[filled], accuracy, color=OKABE_ITO["sky"], edgecolor="white", **bar)
    axes.bar(
        left[filled],
        np.abs(confidence - accuracy),
        bottom=np.minimum(confidence, accuracy),
        facecolor="none",
        edgecolor=OKABE_ITO["vermilion"],
        hatch="////",
        **bar,
    )
    axes.plot([0, 1], [0, 1], color=FAINT_INK, linestyle="--", linewidth=1.0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid(True, axis="y")


def _draw_counts(axes: Axes, bins: Mapping[str, Any]) -> None:
    left, width, _ = _places(bins)
    axes.bar(left, bins["counts"], width=width, align="edge", color=OKABE_ITO["grey"], edgecolor="white")
    mean = float(np.average(bins["confidence"], weights=bins["counts"]))
    right = float(np.average(bins["accuracy"], weights=bins["counts"]))
    for value, style, name in ((mean, "-", "mean confidence"), (right, ":", "accuracy")):
        axes.axvline(value, color=INK, linestyle=style, linewidth=1.2, label=f"{name} {value:.2f}")
    axes.legend(fontsize=SMALL_FONT_SIZE - 1, loc="upper left", handlelength=1.6, borderaxespad=0.2)
    axes.set_xlabel("confidence")
    axes.grid(True, axis="y")
