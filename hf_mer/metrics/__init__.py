"""Scores of emotion recognition, their intervals and comparisons, and calibration."""

from hf_mer.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "hf_mer.metrics.scores": (
            "SCORE_NAMES",
            "Interval",
            "aggregate",
            "bootstrap_intervals",
            "compute_metrics_for_trainer",
            "confusion",
            "emotion_scores",
            "per_class_scores",
            "scores_by",
        ),
        "hf_mer.metrics.evaluate_metric": ("EmotionMetrics",),
        "hf_mer.metrics.significance": ("holm", "mcnemar", "mean_interval", "paired_bootstrap", "paired_difference"),
        "hf_mer.metrics.calibration": (
            "calibration_scores",
            "expected_calibration_error",
            "fit_temperature",
            "negative_log_likelihood",
            "reliability_bins",
        ),
    },
)
