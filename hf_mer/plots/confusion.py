"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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
        raise ValueError("matrix holds no utterances; there is nothing to draw")
    shares = row_shares(matrix)
    cell = 0.86 if count <= 4 else 0.8 if count <= 6 else 0.7 if count <= 8 else 0.62  # inches
    longest = max(len(label) for label in labels)
    # wide enough for the title too, which would be cut above two classes
    fig = figure(max(1.9 + 0.075 * longest + cell * count, 4.0), 1.3 + cell * count + 0.04 * longest)
    axes = fig.add_subplot()
    image = axes.imshow(np.nan_to_num(shares), cmap=BLUES, vmin=0, vmax=1, aspect="equal")
    _write_cells(axes, matrix, shares, small=count > 8)
    _name_axes(axes, labels, cell)
    ua, wa = np.nanmean(np.diag(shares)), np.trace(matrix) / matrix.sum()
    scores = f"UA {ua:.1%}, WA {wa:.1%}"
    fig.suptitle(f"{title}\n{scores}" if title else scores)
    bar = fig.colorbar(image, ax=axes, shrink=0.8, aspect=24, format=PercentFormatter(1.0))
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    return fig


def _write_cells(axes: Axes, matrix: np.ndarray, shares: np.ndarray, small: bool) -> None:
    for (row, column), share in np.ndenumerate(shares):
        percentage = "-" if np.isnan(share) else f"{share:.0%}"
        axes.text(
            column,
            row,
            f"{percentage}\n{matrix[row, column]:,}",
            ha="center",
            va="center",
            fontsize=SMALL_FONT_SIZE - 0.5 if small else FONT_SIZE,
            linespacing=1.25,
            color=ink_on(BLUES(np.nan_to_num(share))),
            fontweight="bold" if row == column else "normal",
        )


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
