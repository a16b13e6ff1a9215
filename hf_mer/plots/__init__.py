"""Figures: functions from arrays to a `matplotlib.figure.Figure`, in one style. They never show and never save.

Save one with `figure.savefig("name.png")`, or `.pdf` or `.svg` for print.
"""

from hf_mer.plots.attention import label_attention, mean_attention
from hf_mer.plots.confusion import confusion_matrix, row_shares
from hf_mer.plots.labels import label_keywords_and_key_frames
from hf_mer.plots.scores import systems_with_ceilings
from hf_mer.plots.style import class_colors
from hf_mer.plots.sweep import score_sweep
from hf_mer.plots.training import history_series, training_curves

__all__ = [
    "class_colors",
    "confusion_matrix",
    "history_series",
    "label_attention",
    "label_keywords_and_key_frames",
    "mean_attention",
    "row_shares",
    "score_sweep",
    "systems_with_ceilings",
    "training_curves",
]
