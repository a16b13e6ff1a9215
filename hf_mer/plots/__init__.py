"""Figures: functions from arrays to a `matplotlib.figure.Figure`, in one style. They never show and never save.

Save one with `figure.savefig("name.png")`, or `.pdf` or `.svg` for print.
"""

from hf_mer.plots.attention import label_attention, mean_attention
from hf_mer.plots.conditions import condition_bars, condition_curves
from hf_mer.plots.confusion import confusion_matrix, confusion_panels, row_shares
from hf_mer.plots.explanation import explanation_figure
from hf_mer.plots.gates import gate_distributions
from hf_mer.plots.labels import label_keywords_and_key_frames
from hf_mer.plots.layers import layer_weights
from hf_mer.plots.reliability import reliability_diagram
from hf_mer.plots.scores import systems_with_ceilings
from hf_mer.plots.style import class_colors, class_markers
from hf_mer.plots.sweep import score_sweep
from hf_mer.plots.table_scores import table_scores
from hf_mer.plots.training import history_series, training_curves
from hf_mer.plots.tsne import representation_panels

__all__ = [
    "class_colors",
    "class_markers",
    "condition_bars",
    "condition_curves",
    "confusion_matrix",
    "confusion_panels",
    "explanation_figure",
    "gate_distributions",
    "history_series",
    "label_attention",
    "label_keywords_and_key_frames",
    "layer_weights",
    "mean_attention",
    "reliability_diagram",
    "representation_panels",
    "row_shares",
    "score_sweep",
    "systems_with_ceilings",
    "table_scores",
    "training_curves",
]
