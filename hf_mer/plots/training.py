"""How a training run went: the losses it minimised and the scores on the validation rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hf_mer.plots.style import FAINT_INK, INK, OKABE_ITO, figure, styled

_SCORE_TITLES = {"eval_ua": "UA", "eval_wa": "WA", "eval_wf1": "WF1"}
_PART_COLORS = ("blue", "vermilion", "green", "purple", "orange", "sky")
_PART_STYLES = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
_SCORE_STYLES = {"eval_ua": ("blue", "o", "-"), "eval_wa": ("orange", "s", "--"), "eval_wf1": ("green", "^", "-.")}


def history_series(history: Iterable[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The numbers behind the curves: each logged loss and score over epochs.

    Args:
        history: Records of a trainer (`trainer.state.log_history`), each with its `epoch`.

    Returns:
        By name (`loss`, `loss_<part>`, `eval_loss`, `eval_ua`, `eval_wa`, `eval_wf1`; those that were logged) an
        array of shape `(points, 2)`: epoch and value, by epoch. Where a resumed run logged a point twice, the later
        value stands.
    """
    points: dict[str, dict[float, float]] = {}
    for record in history:
        for name, value in record.items():
            wanted = name == "loss" or name.startswith("loss_") or name == "eval_loss" or name in _SCORE_TITLES
            if wanted and "epoch" in record and value is not None:
                points.setdefault(name, {})[float(record["epoch"])] = float(value)
    # not in the order of the log: a trainer that went on from a checkpoint has read the first part sorted
    names = sorted(points, key=lambda name: (name.startswith("eval_"), name))
    return {name: np.array(sorted(points[name].items())) for name in names}


@styled
def training_curves(
    history: Iterable[Mapping[str, Any]], *, best: str = "eval_ua", title: str | None = None
) -> Figure:
    """Losses in one panel, validation scores in another, over epochs; the best epoch is marked in both.

    Args:
        history: Records of a trainer, as for [`history_series`], which gives the numbers behind the figure.
        best: Name of the score that the best epoch is picked by; it is marked where that score was logged.
        title: Title of the figure.

    Returns:
        The figure; a panel without anything logged is left out.

    Raises:
        ValueError: If nothing that could be drawn was logged, or `best` is not a score.
    """
    if best not in _SCORE_TITLES:
        raise ValueError(f"best {best!r} is not one of {', '.join(_SCORE_TITLES)}")
    series = history_series(history)
    losses = [name for name in series if name not in _SCORE_TITLES]
    scores = [name for name in _SCORE_TITLES if name in series]
    if not series:
        raise ValueError("history holds neither a loss nor a validation score; pass trainer.state.log_history")
    panels = bool(losses) + bool(scores)
    fig = figure(7.0, 0.4 + 2.5 * panels, title)
    all_axes = fig.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    if losses:
        _draw_losses(all_axes[0], series, losses)
    if scores:
        _draw_scores(all_axes[-1], series, scores)
    all_axes[-1].set_xlabel("epoch")
    all_axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    all_axes[-1].set_xlim(left=0)
    if best in series:
        _mark_best(all_axes, series[best], best)
    for axes in all_axes:
        axes.grid(True, axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig


def _draw_losses(axes: Axes, series: dict[str, np.ndarray], names: list[str]) -> None:
    axes.set_title("Losses")
    axes.set_ylabel("loss")
    part = 0
    for name in names:
        epochs, values = series[name].T
        # a lone point has no line
        marker = "o" if len(epochs) == 1 else ""
        if name == "loss":
            axes.plot(epochs, values, color=INK, linewidth=2.2, marker=marker, label="total (training)", zorder=3)
        elif name == "eval_loss":
            axes.plot(epochs, values, color=FAINT_INK, marker="o", linestyle=":", label="total (validation)")
        else:
            color = OKABE_ITO[_PART_COLORS[part % len(_PART_COLORS)]]
            style = _PART_STYLES[part % len(_PART_STYLES)]
            label = name.removeprefix("loss_").replace("_", " ")
            axes.plot(epochs, values, color=color, linestyle=style, marker=marker, label=label)
            part += 1
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


def _draw_scores(axes: Axes, series: dict[str, np.ndarray], names: list[str]) -> None:
    axes.set_title("Validation")
    axes.set_ylabel("score")
    for name in names:
        color, marker, style = _SCORE_STYLES[name]
        epochs, values = series[name].T
        axes.plot(epochs, values, color=OKABE_ITO[color], marker=marker, linestyle=style, label=_SCORE_TITLES[name])
    axes.margins(y=0.12)


def _mark_best(all_axes: np.ndarray, scores: np.ndarray, name: str) -> None:
    """A line through the panels at the highest score (the first of equal ones), with its value in the legend."""
    if not np.isfinite(scores[:, 1]).any():
        return
    epoch, score = scores[np.nanargmax(scores[:, 1])]
    label = f"best {_SCORE_TITLES[name]} {score:.3f}\nepoch {epoch:g}"
    for axes in all_axes:
        is_last = axes is all_axes[-1]
        axes.axvline(epoch, color=FAINT_INK, linewidth=1.0, linestyle=(0, (4, 3)), label=label if is_last else None)
    all_axes[-1].plot(
        [epoch], [score], marker="o", markersize=10, markerfacecolor="none", markeredgecolor=INK, linestyle="none"
    )
