"""How far each class leans on words, and how far on the face: the gates of WavFusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hf_mer.plots.style import (
    FAINT_INK,
    INK,
    SMALL_FONT_SIZE,
    class_colors,
    class_markers,
    figure,
    shade,
    styled,
    write_beside,
)

_LEAST_REACH = 0.05  # of the axis on either side of 1/2: noise must not look like a preference
_GRID = 128  # points of a density


@styled
def gate_distributions(
    panels: Mapping[str, np.ndarray],
    classes: np.ndarray,
    labels: Sequence[str],
    *,
    title: str | None = None,
) -> Figure:
    """The gate `P` by deep layer and class: its density over utterances, its middle half, and its mean.

    `P` is the share of the text in what the speech encoder is told: 1 for text alone, 0 for video alone, 1/2 for as
    much of both. The arguments are the numbers behind the figure.

    Source: WavFusion, equations 10 and 11.

    Args:
        panels: By system, the mean gate of every utterance in every deep layer, NaN where an utterance lacks text or
            video. Shape `(N, L)`.
        classes: Class of each utterance. Shape `(N,)`.
        labels: Names of the classes.
        title: Title of the figure.

    Returns:
        The figure: a row of panels for each system, a column for each deep layer.

    Raises:
        ValueError: If there are no gates, shapes do not fit, or a gate lies outside 0 and 1.
    """
    classes = np.asarray(classes)
    _check(panels, classes)
    layers = max(gates.shape[1] for gates in panels.values())
    named = len(panels) > 1
    row_height = 0.45 + 0.3 * len(labels)
    longest = max(len(label) for label in labels)
    fig = figure(0.4 + 0.07 * longest + 2.7 * layers, 0.55 + row_height * len(panels) + 0.3 * bool(title), title)
    grid = fig.subplots(len(panels), layers, squeeze=False, sharex=True, sharey=True)
    reach = max(_LEAST_REACH, *(float(np.nanmax(np.abs(gates - 0.5))) for gates in panels.values()))
    for row, (name, gates) in enumerate(panels.items()):
        for layer, axes in enumerate(grid[row]):
            if layer >= gates.shape[1]:
                axes.set_axis_off()
                continue
            _draw_layer(axes, gates[:, layer], classes, labels)
            heading = f"deep layer {layer + 1}"
            axes.set_title(f"{name}, {heading}" if named and layer == 0 else heading)
            axes.set_xlim(0.5 - 1.08 * reach, 0.5 + 1.08 * reach)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
            if row == len(panels) - 1:
                axes.set_xlabel("gate P  (video ← 1/2 → text)")
    return fig


def _draw_layer(axes: Axes, gates: np.ndarray, classes: np.ndarray, labels: Sequence[str]) -> None:
    colors, markers = class_colors(labels), class_markers(labels)
    axes.axvline(0.5, color=FAINT_INK, linewidth=0.8, linestyle=(0, (4, 3)))
    for index, label in enumerate(labels):
        values = gates[(classes == index) & np.isfinite(gates)]
        if not len(values):
            continue
        color, ink = colors[label], shade(colors[label], -0.3)
        places, density = _density(values)
        axes.fill_between(
            places, index - density, index + density, facecolor=shade(color, 0.6), edgecolor=ink, linewidth=0.6
        )
        low, high = np.quantile(values, [0.25, 0.75])
        axes.plot([low, high], [index, index], color=ink, linewidth=3, solid_capstyle="butt")
        mean = float(values.mean())
        axes.plot(
            mean,
            index,
            marker=markers[label],
            markersize=5.5,
            markerfacecolor="#FFFFFF",
            markeredgecolor=INK,
            zorder=3,
        )
        write_beside(axes, index, f"{mean:.2f}")
    axes.annotate(
        "mean", (1, 1), xycoords="axes fraction", xytext=(6, 2), textcoords="offset points", fontsize=SMALL_FONT_SIZE
    )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")


def _density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian kernel density over the values' range, 0.4 high at most; Scott's rule gives the width.

    Without any spread there is no density: then it is a sliver at the value.
    """
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    width = max(deviation * len(values) ** -0.2, 5e-4)
    beyond = 0.0 if deviation > 0 else 2 * width
    places = np.linspace(values.min() - beyond, values.max() + beyond, _GRID)
    density = np.exp(-0.5 * ((places[:, None] - values) / width) ** 2).sum(axis=1)  # (grid, N) summed over N
    return places, 0.4 * density / density.max()


def _check(panels: Mapping[str, np.ndarray], classes: np.ndarray) -> None:
    if not panels:
        raise ValueError("no gates to draw; give those of at least one system")
    for name, gates in panels.items():
        if np.ndim(gates) != 2 or len(gates) != len(classes) or not gates.shape[1]:
            raise ValueError(f"{name}: gates of the shape {np.shape(gates)}, expected ({len(classes)}, layers)")
        known = gates[np.isfinite(gates)]
        if not known.size:
            raise ValueError(f"{name}: no utterance has a gate; all lack text or video")
        if known.min() < 0 or known.max() > 1:
            raise ValueError(f"{name}: gates go from {known.min():g} to {known.max():g}, expected 0 to 1")
