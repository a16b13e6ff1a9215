"""One checkpoint under many conditions: modalities that are missing, wrong words, noise, and clips that end early."""

from hf_mer.evaluation.condition import Condition, ConditionSettings, all_conditions
from hf_mer.evaluation.evaluating import evaluate_conditions

__all__ = ["Condition", "ConditionSettings", "all_conditions", "evaluate_conditions"]
