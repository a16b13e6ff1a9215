"""Where the representations of the modalities lie, by class, for several systems side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hf_mer.plots.style import FAINT_INK, SMALL_FONT_SIZE, class_colors, class_markers, figure, shade, styled

# of the class' colour: darker below 0, lighter above
_SHADES = {"speech": -0.25, "text": 0.6, "video": 0.25, "fused": 0.0}
_SIZES = {"speech": 10, "text": 24, "video": 17, "fused": 15}  # a light one shows around a dark one at its place
_WORDS = {"speech": "speech: dark", "text": "text: light", "video": "video: between"}
_LEGEND_GREY = "#6E6E6E"
_PANEL = 2.5  # inches
_PER_ROW = 4


@styled
def representation_panels(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    classes: np.ndarray,
    labels: Sequence[str],
    *,
    notes: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """Points of every modality in a plane, such as t-SNE makes it: one panel per system, the same utterances in each.

    Speech is dark and text light, as in the paper; the colour and the shape of a point tell its class. Axes have no
    ticks: neither distances between far groups nor directions mean anything in such a plane. The arguments are the
    numbers behind the figure.

    Source: MGCMA, figure 3.

    Args:
        panels: By system, by modality (`speech`, `text`, `video`, or `fused` for all in one), places of the
            utterances, NaN where an utterance lacks the modality. Shape `(N, 2)` each.
        classes: Class of each utterance. Shape `(N,)`.
        labels: Names of the classes.
        notes: A line below the name of a system.
        title: Title of the figure.

    Returns:
        The figure, four panels in a row at most.

    Raises:
        ValueError: If there are no panels, a modality is not known, or shapes do not fit.
    """
    classes = np.asarray(classes)
    _check(panels, classes, labels)
    modalities = [name for name in _SHADES if any(name in panel for panel in panels.values())]
    columns = min(len(panels), _PER_ROW)
    rows = -(-len(panels) // columns)
    handles = _legend(labels, modalities)
    width = max(_PANEL * columns, 4.4)
    legend_columns = _legend_columns(handles, width)
    legend_rows = -(-len(handles) // legend_columns)
    fig = figure(
        width, rows * (_PANEL + 0.15 + 0.2 * bool(notes)) + 0.2 + 0.17 * legend_rows + 0.3 * bool(title), title
    )
    grid = fig.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (name, panel) in zip(grid.flat, panels.items(), strict=False):
        _draw_panel(axes, panel, classes, labels)
        axes.set_title(name)
        if notes and name in notes:
            axes.set_xlabel(notes[name], fontsize=SMALL_FONT_SIZE, color=FAINT_INK)
    fig.legend(handles=handles, loc="outside lower center", ncols=legend_columns)
    return fig


def _draw_panel(axes: Axes, panel: Mapping[str, np.ndarray], classes: np.ndarray, labels: Sequence[str]) -> None:
    colors, markers = class_colors(labels), class_markers(labels)
    for modality in sorted(panel, key=lambda name: -_SHADES[name]):  # light ones below dark ones
        points = np.asarray(panel[modality], dtype=np.float64)
        for index, label in enumerate(labels):
            chosen = points[(classes == index) & np.isfinite(points).all(axis=1)]
            if len(chosen):
                axes.scatter(
                    chosen[:, 0],
                    chosen[:, 1],
                    s=_SIZES[modality],
                    marker=markers[label],
                    facecolor=shade(colors[label], _SHADES[modality]),
                    edgecolor=shade(colors[label], -0.35),
                    linewidth=0.35,
                    alpha=0.9,
                )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#BBBBBB")
    axes.margins(0.06)
    axes.set_box_aspect(1)


def _legend(labels: Sequence[str], modalities: Sequence[str]) -> list[Line2D]:
    colors, markers = class_colors(labels), class_markers(labels)

    def handle(label: str, marker: str, face: str, edge: str) -> Line2D:
        return Line2D(
            [],
            [],
            linestyle="none",
            marker=marker,
            markersize=6,
            markerfacecolor=face,
            markeredgecolor=edge,
            markeredgewidth=0.5,
            label=label,
        )

    handles = [handle(label, markers[label], colors[label], shade(colors[label], -0.35)) for label in labels]
    for modality in [name for name in modalities if name in _WORDS]:
        face = shade(_LEGEND_GREY, _SHADES[modality])
        handles.append(handle(_WORDS[modality], "s", face, shade(_LEGEND_GREY, -0.35)))
    return handles


def _legend_columns(handles: Sequence[Line2D], width: float) -> int:
    """As many as fit beside each other: a letter is about 0.065 inches wide, a marker with its gaps 0.55."""
    widest = 0.55 + 0.065 * max(len(str(handle.get_label())) for handle in handles)
    return max(1, min(len(handles), int(width / widest)))


def _check(panels: Mapping[str, Mapping[str, np.ndarray]], classes: np.ndarray, labels: Sequence[str]) -> None:
    if not panels or not all(panels.values()):
        raise ValueError("no points to draw; give at least one modality of at least one system")
    for name, panel in panels.items():
        for modality, points in panel.items():
            if modality not in _SHADES:
                raise ValueError(f"{name}: modality '{modality}' is not one of {', '.join(_SHADES)}")
            if np.shape(points) != (len(classes), 2):
                raise ValueError(
                    f"{name}, {modality}: points of the shape {np.shape(points)}, expected ({len(classes)}, 2)"
                )
    if len(classes) and not 0 <= classes.min() <= classes.max() < len(labels):
        raise ValueError(f"classes go from {classes.min()} to {classes.max()}, labels are {list(labels)}")
