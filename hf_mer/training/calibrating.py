"""Temperatures and thresholds of a trained system, fitted on validation, and what they are worth on the test part."""

import logging
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.schema import column
from hf_mer.metrics.calibration import (
    calibration_scores,
    fit_temperature,
    reliability_bins,
    threshold_of_coverage,
)
from hf_mer.models.configuration_mer import modality_key
from hf_mer.training.corpus import has_modality

logger = logging.getLogger(__name__)

COVERAGE = 0.9
"""Share of the validation utterances whose best score reaches the threshold."""


def modality_sets(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """What an utterance of a system may have: all modalities, then one less, down to each alone."""
    return [chosen for size in range(len(modalities), 0, -1) for chosen in combinations(modalities, size)]


def calibrate(
    config: Any,
    validation: Dataset | None,
    predict: Callable[[Dataset, Sequence[str]], np.ndarray],
    use_history: bool,
    keep: bool = False,
) -> dict[str, Any]:
    """Fits a temperature and a threshold for every set of modalities, and notes them in the model's configuration.

    Each is fitted on the validation rows that have these modalities, given no others, so that an utterance without
    words, say, gets those of speech alone.

    Args:
        config: Of the model; its `temperatures` and `thresholds` are set.
        validation: Rows; None where there are none, which leaves logits as they are.
        predict: From rows and the modalities they are given with to logits `(N, C)`.
        use_history: Whether earlier utterances count as text.
        keep: Whether those that the configuration has stay, as they do where a checkpoint is evaluated.

    Returns:
        `source` (`validation`, `checkpoint`, or None where nothing was fitted), `temperatures`, `thresholds` (see
        `COVERAGE`), and, of each set of modalities on validation, the scores of `calibration_scores`.
    """
    keep = keep and bool(config.temperatures)
    temperatures = dict(config.temperatures) if keep else {}
    thresholds = dict(config.thresholds) if keep else {}
    found: dict[str, Any] = {
        "source": "checkpoint" if keep else None,
        "temperatures": temperatures,
        "thresholds": thresholds,
    }
    config.temperatures, config.thresholds = temperatures, thresholds
    if validation is None:
        if not keep:
            logger.info("no validation split: no temperature is fitted, probabilities are not calibrated")
        return found
    truth = np.array(column(validation, "label"))
    found["validation"] = {}
    for chosen in modality_sets(config.modalities):
        having = _having(validation, chosen, use_history)
        if not len(having):
            continue
        key, labels = modality_key(chosen), truth[having]
        logits = predict(validation if len(having) == len(validation) else validation.select(having), chosen)
        if not keep:
            temperatures[key] = fit_temperature(labels, logits)
            thresholds[key] = threshold_of_coverage(logits, temperatures[key], COVERAGE)
            config.temperatures, config.thresholds = temperatures, thresholds  # of which it keeps copies
        scores = calibration_scores(labels, logits, config.temperature_of(chosen))
        found["validation"][key] = scores
        logger.info(
            "temperature of %s: %.3f; calibration error on %d validation rows %.3f, before %.3f",
            key,
            config.temperature_of(chosen),
            len(having),
            scores["ece_calibrated"],
            scores["ece"],
        )
    found["source"] = found["source"] or "validation"
    return found


def row_temperatures(rows: Dataset, config: Any, use_history: bool) -> np.ndarray:
    """The temperature of every row, by the modalities that it has. Shape `(N,)`."""
    present = {name: has_modality(rows, name, use_history) for name in config.modalities}
    return np.array(
        [config.temperature_of([name for name in present if present[name][index]]) for index in range(len(rows))]
    )


def test_calibration(labels: np.ndarray, logits: np.ndarray, temperatures: np.ndarray) -> dict[str, Any]:
    """`calibration_scores` of the test part, and under `reliability` the bins of logits and calibrated ones."""
    scaled = logits / temperatures[:, None]
    bins = {"before": reliability_bins(labels, logits), "after": reliability_bins(labels, scaled)}
    return {**calibration_scores(labels, logits, temperatures), "reliability": bins}


def _having(rows: Dataset, modalities: Sequence[str], use_history: bool) -> np.ndarray:
    """Rows that have all of these modalities."""
    return np.flatnonzero(np.all([has_modality(rows, name, use_history) for name in modalities], axis=0))
