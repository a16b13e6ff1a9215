"""The classifiers of scikit-learn that are baselines: how they are fitted, what they say and how they are kept."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, PredefinedSplit, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_mer.files import write_json
from hf_mer.metrics.scores import emotion_scores

logger = logging.getLogger(__name__)

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of C, the inverse strength of the penalty, that are tried; the strongest first."""

_INNER_FOLDS = 5
_ITERATIONS = 1000

Part = tuple[np.ndarray, np.ndarray]
"""Features `(N, F)` and class ids `(N,)`."""


def fit_majority(targets: np.ndarray) -> DummyClassifier:
    """Says the most frequent class of the training part, with the classes' shares in it, whatever it is asked.

    Args:
        targets: Class ids of the training part. Shape `(N,)`.
    """
    return DummyClassifier(strategy="prior").fit(np.zeros((len(targets), 1)), targets)


def fit_linear(
    train: Part, validation: Part | None, speakers: Sequence[str | None], num_labels: int, metric: str, seed: int
) -> tuple[Pipeline, dict[str, Any]]:
    """Multinomial logistic regression on standardised features of the training part.

    C is chosen by the validation part, or within the training part where there is none.

    Args:
        train: The training part; every class occurs.
        validation: The validation part.
        speakers: Of the training rows; no speaker is on both sides of an inner fold. Where any is unknown, or all are
            one, or one side would have a single class, inner folds are drawn at random.
        num_labels: Number of classes.
        metric: `wa`, `ua` or `wf1`.
        seed: Of that draw.

    Returns:
        The fitted pipeline, and `C`, `metric`, `by` (what C was chosen by) and `scores` (of every C, mean over inner
        folds); of equal scores the smallest C.

    Raises:
        ValueError: If there is no validation part, no speakers, and a class with one row.
    """
    features, targets = train
    if validation is not None:
        parts = PredefinedSplit(np.repeat([-1, 0], [len(targets), len(validation[1])]))  # -1 is never tested
        splits, by = list(parts.split()), "the validation split"
        features, targets = (np.concatenate(pair) for pair in zip(train, validation, strict=True))
    else:
        splits, by = _inner_folds(targets, speakers, seed)
        logger.info("no validation split: C is chosen by %s", by)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS)),
        {"logisticregression__C": PENALTIES},
        scoring=make_scorer(lambda truth, found: emotion_scores(truth, found, num_labels)[metric]),
        cv=splits,
        refit=False,  # nothing is learned from validation
        error_score="raise",
    ).fit(features, targets)
    scores = dict(zip(map("{:g}".format, PENALTIES), search.cv_results_["mean_test_score"].tolist(), strict=True))
    selection = {"C": search.best_params_["logisticregression__C"], "metric": metric, "by": by, "scores": scores}
    return search.estimator.set_params(**search.best_params_).fit(*train), selection


def logits(classifier: Any, features: np.ndarray) -> np.ndarray:
    """Class scores whose softmax are the classifier's probabilities. `(N, F)` to `(N, C)`."""
    if isinstance(classifier, DummyClassifier):
        return classifier.predict_log_proba(features)
    scores = classifier.decision_function(features)
    return scores if scores.ndim == 2 else np.stack([np.zeros_like(scores), scores], axis=1)  # of two classes


def parameters(classifier: Any) -> dict[str, int]:
    """Numbers in a classifier, all and those that training minimises a loss over."""
    if isinstance(classifier, DummyClassifier):
        return {"all": classifier.n_classes_, "trained": classifier.n_classes_}
    sizes = {name: tensor.size for name, tensor in _tensors(classifier).items()}
    return {"all": sum(sizes.values()), "trained": sizes["weight"] + sizes["bias"]}


def save_majority(folder: Path, labels: list[str], targets: np.ndarray) -> None:
    """Writes `config.json` with the training rows of each class."""
    counts = np.bincount(targets, minlength=len(labels)).tolist()
    write_json(folder / "config.json", {"baseline": "majority", "labels": labels, "counts": counts})


def save_linear(folder: Path, labels: list[str], pipeline: Pipeline, extractor: Any) -> None:
    """Writes `config.json`, `preprocessor_config.json` and `model.safetensors`, of which nothing is pickled.

    The logits are `(features - mean) / scale @ weight.T + bias`.
    """
    extractor.save_pretrained(folder)
    write_json(folder / "config.json", {"baseline": "log_mel_statistics", "labels": labels})
    save_file(_tensors(pipeline), folder / "model.safetensors")


def _tensors(pipeline: Pipeline) -> dict[str, np.ndarray]:
    """`mean` and `scale` `(F,)`, `weight` `(C, F)` and `bias` `(C,)`."""
    scaler, regression = pipeline[0], pipeline[-1]
    weight, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn keeps the second class only
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.concatenate([[0.0], bias])
    tensors = {"mean": scaler.mean_, "scale": scaler.scale_, "weight": weight, "bias": bias}
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _inner_folds(targets: np.ndarray, speakers: Sequence[str | None], seed: int) -> tuple[list, str]:
    """Splits of the training part, and what they are of."""
    known = {speaker for speaker in speakers if speaker is not None}
    if len(known) > 1 and None not in speakers:
        count = min(_INNER_FOLDS, len(known))
        by = f"{count} folds of the training split's {len(known)} speakers"
        splits = list(GroupKFold(count).split(targets, groups=list(speakers)))
        if all(len(np.unique(targets[train])) > 1 for train, _ in splits):  # one class is nothing to learn from
            return splits, by
    smallest = int(np.bincount(targets)[np.unique(targets)].min())
    if smallest < 2:
        raise ValueError(
            "C cannot be chosen: no validation split, no folds by speakers, and a class with a single training row; "
            "set validation"
        )
    count = min(_INNER_FOLDS, smallest)
    folds = StratifiedKFold(count, shuffle=True, random_state=seed)
    return list(folds.split(targets, targets)), f"{count} random folds of the training split"
