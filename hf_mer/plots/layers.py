"""Which layers of its encoders a model has learned to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hf_mer.plots.style import FAINT_INK, OKABE_ITO, figure, styled


@styled
def layer_weights(weights: Mapping[str, Sequence[float]], *, title: str | None = None) -> Figure:
    """The share of every hidden state in a learned mixture, a panel for each modality.

    A line marks where all began: equal shares. The mapping has the numbers behind the figure.

    Args:
        weights: By modality, shares that are 1 together: first of what goes into the first layer, then of every
            layer's output.
        title: Title of the figure.

    Returns:
        The figure, which grows with the number of modalities.

    Raises:
        ValueError: If there is nothing to draw, or shares of a modality are not 1 together.
    """
    if not weights:
        raise ValueError("no weights to draw; the model mixes no layers")
    for name, shares in weights.items():
        if len(shares) == 0 or not np.isclose(np.sum(shares), 1.0, atol=1e-3):
            raise ValueError(f"{name}: weights {list(shares)} do not sum to 1")
    fig = figure(1.0 + 3.2 * len(weights), 3.0, title)
    all_axes = fig.subplots(1, len(weights), sharey=True, squeeze=False)[0]
    for axes, (name, shares) in zip(all_axes, weights.items(), strict=True):
        axes.bar(range(len(shares)), shares, width=0.72, color=OKABE_ITO["sky"], edgecolor="white")
        equal = 1 / len(shares)
        start = axes.axhline(equal, color=FAINT_INK, linestyle="--", linewidth=1.0, label="equal shares (start)")
        axes.set_title(f"{name.capitalize()} encoder")
        axes.set_xlabel("layer (0: input of the first)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=13, integer=True, min_n_ticks=1))
        axes.set_xlim(-0.6, len(shares) - 0.4)
        axes.grid(True, axis="y")
    all_axes[0].set_ylabel("weight")
    fig.legend(handles=[start], loc="outside lower center")
    return fig
