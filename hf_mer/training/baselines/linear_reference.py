"""What a linear classifier makes of the same frozen states: the reference beside a system that is trained on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from tqdm.auto import tqdm

from hf_mer.data.collator import states_of
from hf_mer.data.schema import column
from hf_mer.metrics.scores import emotion_scores
from hf_mer.training.baselines.classifiers import fit_linear, logits


def linear_reference(
    parts: Mapping[str, Dataset], modalities: Sequence[str], num_labels: int, metric: str, seed: int
) -> dict[str, Any]:
    """Logistic regression on mean and deviation of one layer of every frozen encoder, side by side.

    Layer and penalty are chosen by the validation part, or within the training part where there is none; every
    modality's layer by itself. The test part is looked at once.

    Args:
        parts: Rows with states, see `cache_states`: `train`, `test` and, where there is one, `validation`.
        modalities: Those with states; one that no training row has is left out.
        num_labels: Number of classes.
        metric: `wa`, `ua` or `wf1`, that layer and penalty are chosen by.
        seed: Of inner folds where neither validation part nor speakers are known.

    Returns:
        `scores` of the test part; `layers` by modality, 0 being what goes into the first one; and what `fit_linear`
        says of the penalty, its `scores` being `scores_by_penalty` here.
    """
    targets = {name: np.array(column(part, "label")) for name, part in parts.items()}
    speakers = column(parts["train"], "speaker")

    def fit(features: Mapping[str, np.ndarray]) -> tuple[Any, dict[str, Any]]:
        train, *validation = ((features[name], targets[name]) for name in ("train", "validation") if name in features)
        return fit_linear(train, validation[0] if validation else None, speakers, num_labels, metric, seed)

    layers, chosen = {}, []
    for modality in modalities:
        shape = _shape(parts["train"], modality)
        if shape is None:
            continue
        statistics = {name: state_statistics(part, modality, shape) for name, part in parts.items()}
        found = [
            max(fit({name: values[:, layer] for name, values in statistics.items()})[1]["scores"].values())
            for layer in tqdm(range(statistics["train"].shape[1]), f"linear reference, {modality}", leave=False)
        ]
        layers[modality] = int(np.argmax(found))
        chosen.append({name: values[:, layers[modality]] for name, values in statistics.items()})
    features = {name: np.concatenate([values[name] for values in chosen], axis=1) for name in parts}
    classifier, selection = fit(features)
    predicted = logits(classifier, features["test"]).argmax(axis=1)
    scores = emotion_scores(targets["test"], predicted, num_labels)
    return {**selection, "scores": scores, "layers": layers, "scores_by_penalty": selection["scores"]}


def state_statistics(rows: Dataset, modality: str, shape: tuple[int, int]) -> np.ndarray:
    """Mean and deviation over the positions of every layer, 0 where a row lacks the modality. Shape `(N, K, 2 D)`.

    Args:
        rows: With states.
        modality: Of the states.
        shape: `(K, 2 D)`, which rows that all lack the modality do not tell.
    """
    vectors = (_statistics(states_of(row, modality)) for row in _states(rows, modality))
    return np.stack([np.zeros(shape) if vector is None else vector for vector in vectors])


def _shape(rows: Dataset, modality: str) -> tuple[int, int] | None:
    """`(K, 2 D)`; None where no row has the modality."""
    vectors = (_statistics(states_of(row, modality)) for row in _states(rows, modality))
    return next((vector.shape for vector in vectors if vector is not None), None)


def _states(rows: Dataset, modality: str) -> Dataset:
    return rows.select_columns([f"{modality}_states"])


def _statistics(states: np.ndarray | None) -> np.ndarray | None:
    """`(L, D)` or `(L, K, D)` to `(K, 2 D)`."""
    if states is None:
        return None
    layers = states.reshape(len(states), -1, states.shape[-1]).astype(np.float64)
    return np.concatenate([layers.mean(axis=0), layers.std(axis=0)], axis=-1)
