"""Predictions for many recordings: what is to be recognised, in batches, into a table that can be gone on with."""

from hf_mer.prediction.outputs import PredictionFile
from hf_mer.prediction.runner import predict_all
from hf_mer.prediction.sources import Item, Unit, collect_units

__all__ = ["Item", "PredictionFile", "Unit", "collect_units", "predict_all"]
