"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter

from hf_mer.plots.style import BLUES, FONT_SIZE, SMALL_FONT_SIZE, figure, ink_on, styled


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """The numbers behind the colours: share of each true class, NaN in the row of a class without utterances.

    Args:
        matrix: Counts of true class by predicted class. Shape `(C, C)`.

    Returns:
        Float64 of shape `(C, C)`; the diagonal holds the recalls.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    support = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, support, out=np.full_like(matrix, np.nan), where=support > 0)


@styled
def confusion_matrix(matrix: np.ndarray, labels: Sequence[str], *, title: str | None = None) -> Figure:
    """Confusion matrix with counts and the share of the true class, and UA and WA above it.

    Args:
        matrix: Counts of true class (row) by predicted class (column), as of [`hf_mer.metrics.confusion`]. Shape `(C,
            C)`.
        labels: Names of the classes. Length `C`.
        title: Put before the scores.

    Returns:
        The figure, which grows with the number of classes. [`row_shares`] gives the numbers behind the colours.

    Raises:
        ValueError: If the matrix is not `(C, C)` or holds nothing.
    """
    matrix = np.asarray(matrix)
    count = len(labels)
    if matrix.shape != (count, count):
        raise ValueError(
            f"matrix has the shape {matrix.shape}, expected ({count}, {count}) for the labels {list(labels)}"
        )
    if matrix.sum() <= 0:
        raise ValueError("the matrix contains no utterances; there is nothing to draw")
    shares = row_shares(matrix)
    cell = 0.86 if count <= 4 else 0.8 if count <= 6 else 0.7 if count <= 8 else 0.62  # inches
    longest = max(len(label) for label in labels)
    # wide enough for the title too, which would be cut above two classes
    ua, wa = np.nanmean(np.diag(shares)), np.trace(matrix) / matrix.sum()
    heading = f"{title}\n" if title else ""
    fig = figure(
        max(1.9 + 0.075 * longest + cell * count, 4.0),
        1.3 + cell * count + 0.04 * longest,
        f"{heading}UA {ua:.1%}, WA {wa:.1%}",
    )
    axes = fig.add_subplot()

    def counted(row: int, column: int, share: float) -> str:
        return f"{'-' if np.isnan(share) else f'{share:.0%}'}\n{matrix[row, column]:,}"

    image = _draw_cells(axes, shares, counted, SMALL_FONT_SIZE - 0.5 if count > 8 else FONT_SIZE)
    _name_axes(axes, labels, cell)
    _add_bar(fig, image, axes)
    return fig


@styled
def confusion_panels(
    panels: Mapping[str, np.ndarray],
    labels: Sequence[str],
    deviations: Mapping[str, np.ndarray] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Shares of the true class, side by side for several systems, and how much they differ between seeds.

    The mappings are the numbers behind the figure.

    Args:
        panels: By system, shares of true class (row) by predicted class (column), NaN in the row of a class without
            utterances. Shape `(C, C)` each.
        labels: Names of the classes. Length `C`.
        deviations: By system, standard deviations of the shares over seeds, written below them; systems may be
            missing. Shape `(C, C)` each.
        title: Title of the figure.

    Returns:
        The figure, two or three panels in a row.

    Raises:
        ValueError: If there are no panels, a shape does not fit, or shares lie outside 0 and 1.
    """
    deviations, count = deviations or {}, len(labels)
    if not panels:
        raise ValueError("no systems to draw; give the shares of at least one")
    for name, array in [*panels.items(), *deviations.items()]:
        if np.shape(array) != (count, count):
            raise ValueError(f"{name}: shape {np.shape(array)}, expected ({count}, {count}) for {list(labels)}")
    for name, shares in panels.items():
        if np.nanmin(shares) < 0 or np.nanmax(shares) > 1:
            raise ValueError(f"{name}: shares go from {np.nanmin(shares):g} to {np.nanmax(shares):g}, expected 0 to 1")
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = -(-len(panels) // columns)
    cell = 0.62 if count <= 4 else 0.56
    longest = max(len(label) for label in labels)
    beside = 0.3 + 0.07 * longest
    below = 0.3 + (0.055 * longest if longest * 0.066 > cell * 0.9 else 0.1)
    width = beside + columns * (cell * count + 0.12) + 0.95
    fig = figure(max(width, 3.6), 0.1 + rows * (cell * count + 0.28) + below + 0.3 * bool(title), title)
    grid = fig.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for index, (axes, (name, shares)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        spread = deviations.get(name, np.full((count, count), np.nan))

        def in_percent(row: int, column: int, share: float, spread: np.ndarray = spread) -> str:
            text = "-" if np.isnan(share) else f"{100 * share:.0f}"
            return f"{text}\n±{100 * spread[row, column]:.0f}" if np.isfinite(spread[row, column]) else text

        image = _draw_cells(axes, np.asarray(shares), in_percent, SMALL_FONT_SIZE)
        _name_axes(axes, labels, cell)
        axes.set_title(name)
        if index % columns:
            axes.tick_params(labelleft=False)
            axes.set_ylabel("")
        if index + columns < len(panels):
            axes.tick_params(labelbottom=False)
            axes.set_xlabel("")
    _add_bar(fig, image, grid)
    return fig


def _draw_cells(axes: Axes, shares: np.ndarray, texts: Callable[[int, int, float], str], fontsize: float) -> AxesImage:
    """Colour the cells by their shares, and write into each what `texts` gives for its row, column and share."""
    for (row, column), share in np.ndenumerate(shares):
        color, weight = ink_on(BLUES(np.nan_to_num(share))), "bold" if row == column else "normal"
        style: dict[str, Any] = {"ha": "center", "va": "center", "linespacing": 1.2}
        axes.text(column, row, texts(row, column, share), fontsize=fontsize, color=color, fontweight=weight, **style)
    return axes.imshow(np.nan_to_num(shares), cmap=BLUES, vmin=0, vmax=1, aspect="equal")


def _add_bar(fig: Figure, image: AxesImage, axes: Any) -> None:
    bar = fig.colorbar(image, ax=axes, shrink=0.8, aspect=24, format=PercentFormatter(1.0))
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)


def _name_axes(axes: Axes, labels: Sequence[str], cell: float) -> None:
    positions = range(len(labels))
    axes.set_yticks(positions, labels)
    # a letter is about 0.07 inches wide at this size
    crowded = max(len(label) for label in labels) * 0.066 > cell * 0.9
    if crowded:
        axes.set_xticks(positions, labels, rotation=40, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(positions, labels)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # white lines between the cells
    axes.set_xticks(np.arange(len(labels) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(labels) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="#FFFFFF", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
