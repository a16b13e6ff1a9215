import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from hf_mer.metrics.scores import (
    SCORE_NAMES,
    aggregate,
    bootstrap_intervals,
    compute_metrics_for_trainer,
    confusion,
    emotion_scores,
    per_class_scores,
    scores_by,
)

# 4 of class 0, 2 of class 1, 2 of class 2, class 3 never occurs; recalls 3/4, 1/2, 0
LABELS = [0, 0, 0, 0, 1, 1, 2, 2]
PREDICTIONS = [0, 0, 0, 1, 1, 0, 0, 3]


def random_pair(count=300, num_labels=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(num_labels, size=count, p=np.arange(1, num_labels + 1) / np.arange(1, num_labels + 1).sum())
    predictions = np.where(rng.random(count) < 0.6, labels, rng.integers(0, num_labels, count))
    return labels, predictions


def test_hand_computed_scores():
    scores = emotion_scores(LABELS, PREDICTIONS, 4)
    # F1 of class 0: 2 * 3 / (4 + 5), of class 1: 2 * 1 / (2 + 2), of class 2: 0
    assert scores == pytest.approx({"wa": 4 / 8, "ua": (3 / 4 + 1 / 2 + 0) / 3, "wf1": (4 * 6 / 9 + 2 * 1 / 2) / 8})


def test_wa_and_ua_are_not_swapped():
    # nine of ten utterances are neutral and everything is called neutral
    scores = emotion_scores([0] * 9 + [1], [0] * 10, 2)
    assert scores["wa"] == pytest.approx(0.9)
    assert scores["ua"] == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learn(seed):
    labels, predictions = random_pair(seed=seed)
    scores = emotion_scores(labels, predictions, 4)
    assert scores["wa"] == pytest.approx(accuracy_score(labels, predictions))
    assert scores["ua"] == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert scores["wf1"] == pytest.approx(f1_score(labels, predictions, average="weighted"))


def test_confusion_has_the_true_class_in_its_rows():
    matrix = confusion(LABELS, PREDICTIONS, 4)
    assert matrix.tolist() == [[3, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    assert matrix.dtype == np.int64


def test_per_class_scores_by_hand():
    by_class = per_class_scores(LABELS, PREDICTIONS, 4)
    np.testing.assert_allclose(by_class["recall"], [3 / 4, 1 / 2, 0, np.nan])
    np.testing.assert_allclose(by_class["precision"], [3 / 5, 1 / 2, np.nan, 0])
    np.testing.assert_allclose(by_class["f1"], [6 / 9, 1 / 2, 0, np.nan])
    assert by_class["support"].tolist() == [4, 2, 2, 0]
    assert np.nanmean(by_class["recall"]) == pytest.approx(emotion_scores(LABELS, PREDICTIONS, 4)["ua"])


def test_scores_by_part():
    parts = ["scripted", "improvised", "scripted", None, "improvised", "scripted", None, "improvised"]
    scores = scores_by(parts, LABELS, PREDICTIONS, 4)
    assert list(scores) == ["improvised", "scripted", "unknown"]
    improvised = emotion_scores([0, 1, 2], [0, 1, 3], 4)
    assert scores["improvised"] == {**improvised, "n": 3}
    assert sum(part["n"] for part in scores.values()) == len(LABELS)
    with pytest.raises(ValueError, match="2 values for 8 utterances"):
        scores_by(["a", "b"], LABELS, PREDICTIONS, 4)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1, 4, -1], [0, 1, 2, 3], r"labels \[-1, 4\] \(rows 2, 3\) are not class ids; valid are 0 to 3"),
        ([0, 1], [0, 9], r"predictions \[9\] \(rows 1\)"),
        ([0, 1], [0], "2 labels but 1 predictions"),
        ([], [], "labels are empty"),
        ([[0, 1]], [[0, 1]], r"one class id per utterance, got an array of shape \(1, 2\)"),
        ([0.2, 0.8], [0, 1], "must be integers"),
    ],
)
def test_what_is_not_a_class_id_is_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        emotion_scores(labels, predictions, 4)


def test_aggregate_over_folds():
    summary = aggregate([{"wa": 0.5, "ua": 0.2}, {"wa": 0.7, "ua": 0.4}, {"wa": 0.9, "ua": 0.6}])
    assert summary["wa"] == pytest.approx({"mean": 0.7, "std": 0.2, "n": 3})
    assert summary["ua"] == pytest.approx({"mean": 0.4, "std": 0.2, "n": 3})
    assert aggregate([{"wa": 0.5}]) == {"wa": {"mean": 0.5, "std": None, "n": 1}}
    assert "NaN" not in json.dumps(aggregate([{"wa": 0.5}]))
    with pytest.raises(ValueError, match="fold 1 has the scores"):
        aggregate([{"wa": 0.5}, {"ua": 0.5}])
    with pytest.raises(ValueError, match="no folds"):
        aggregate([])


def looped_intervals(labels, predictions, units, num_resamples, seed):
    """The obvious bootstrap: draw units of rows with replacement, score with scikit-learn, take percentiles."""
    rng = np.random.default_rng(seed)
    rows_of = [np.flatnonzero(units == unit) for unit in np.unique(units)]
    drawn = []
    for _ in range(num_resamples):
        rows = np.concatenate([rows_of[unit] for unit in rng.integers(0, len(rows_of), len(rows_of))])
        scores = emotion_scores(labels[rows], predictions[rows], 4)
        drawn.append([scores[name] for name in SCORE_NAMES])
    return np.quantile(drawn, [0.025, 0.975], axis=0).T  # (3, 2)


@pytest.mark.parametrize("clustered", [False, True])
def test_bootstrap_equals_a_plain_loop(clustered):
    labels, predictions = random_pair(count=240)
    # in half of the dialogues everything is right, so that dialogues differ more than chance allows
    dialogues = np.repeat(np.arange(24), 10)
    predictions = np.where(dialogues % 2 == 0, labels, predictions)
    units = dialogues if clustered else np.arange(240)
    intervals = bootstrap_intervals(
        labels, predictions, 4, num_resamples=20_000, groups=dialogues.tolist() if clustered else None
    )
    expected = looped_intervals(labels, predictions, units, num_resamples=500, seed=1)
    found = np.array([intervals[name] for name in SCORE_NAMES])
    # an end of an interval of 500 resamples is itself uncertain by about a tenth of the interval's width
    widths = expected[:, 1] - expected[:, 0]
    assert (np.abs(found - expected) < 0.15 * widths[:, None]).all()


def test_cluster_bootstrap_is_wider_where_dialogues_differ():
    labels, _ = random_pair(count=240)
    dialogues = np.repeat(np.arange(12), 20)
    predictions = np.where(dialogues % 3 == 0, (labels + 1) % 4, labels)  # a whole dialogue is right or wrong
    plain = bootstrap_intervals(labels, predictions, 4)["wa"]
    clustered = bootstrap_intervals(labels, predictions, 4, groups=dialogues)["wa"]
    assert clustered.high - clustered.low > 2 * (plain.high - plain.low)


def test_bootstrap_scores_of_counts_equal_scikit_learn():
    # classes are missing in many resamples of so few utterances
    from hf_mer.metrics.scores import scores_of_confusions

    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 5, (2, 50, 6))
    counts = np.stack([confusion(*pair, 5) for pair in zip(labels, predictions, strict=True)])
    scores = scores_of_confusions(counts)
    for index in range(50):
        expected = emotion_scores(labels[index], predictions[index], 5)
        assert {name: scores[name][index] for name in SCORE_NAMES} == pytest.approx(expected)


def test_bootstrap_is_seeded_and_holds_the_score():
    labels, predictions = random_pair()
    intervals = bootstrap_intervals(labels, predictions, 4, seed=3)
    assert intervals == bootstrap_intervals(labels, predictions, 4, seed=3)
    assert intervals != bootstrap_intervals(labels, predictions, 4, seed=4)
    scores = emotion_scores(labels, predictions, 4)
    narrower = bootstrap_intervals(labels, predictions, 4, seed=3, confidence=0.5)
    for name in SCORE_NAMES:
        assert intervals[name].low < narrower[name].low < scores[name] < narrower[name].high < intervals[name].high


def test_bootstrap_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_intervals(LABELS, PREDICTIONS, 4, confidence=95)
    with pytest.raises(ValueError, match="num_resamples"):
        bootstrap_intervals(LABELS, PREDICTIONS, 4, num_resamples=0)
    with pytest.raises(ValueError, match="at least two groups, got only 'Ses01'"):
        bootstrap_intervals(LABELS, PREDICTIONS, 4, groups=["Ses01"] * 8)
    with pytest.raises(ValueError, match="1 groups for 8 utterances"):
        bootstrap_intervals(LABELS, PREDICTIONS, 4, groups=["Ses01"])


def test_trainer_metrics_take_logits_or_a_tuple_that_starts_with_them():
    from transformers import EvalPrediction

    labels = np.array(LABELS)
    logits = np.eye(4)[PREDICTIONS]
    compute_metrics = compute_metrics_for_trainer(4)
    expected = emotion_scores(LABELS, PREDICTIONS, 4)
    assert compute_metrics(EvalPrediction(predictions=logits, label_ids=labels)) == expected
    assert compute_metrics(EvalPrediction(predictions=(logits, np.zeros((8, 3))), label_ids=labels)) == expected
    named = compute_metrics_for_trainer(4, ["angry", "happy", "neutral", "sad"])
    scores = named(EvalPrediction(predictions=logits, label_ids=labels))
    assert scores["recall_angry"] == pytest.approx(3 / 4)
    assert "recall_sad" not in scores  # does not occur
    shares = np.where(np.eye(4)[labels] == 1, 0.7, 0.1)
    assert compute_metrics(EvalPrediction(predictions=logits, label_ids=shares)) == expected
    more = np.vstack([logits, logits[:2]])
    for none in (np.append(labels, [-100, -100]), np.vstack([shares, np.full((2, 4), -100.0)])):
        assert compute_metrics(EvalPrediction(predictions=more, label_ids=none)) == expected
    logits[2, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 8 utterances are not finite: rows 2"):
        compute_metrics(EvalPrediction(predictions=logits, label_ids=labels))
    with pytest.raises(ValueError, match=r"expected \(utterances, 4\)"):
        compute_metrics(EvalPrediction(predictions=logits[:, :3], label_ids=labels))
    with pytest.raises(ValueError, match="1 label names for 4 classes"):
        compute_metrics_for_trainer(4, ["angry"])


def test_evaluate_metric_needs_no_download(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from hf_mer.metrics.evaluate_metric import EmotionMetrics

    metric = EmotionMetrics(num_labels=4, cache_dir=str(tmp_path))
    expected = emotion_scores(LABELS, PREDICTIONS, 4)
    assert metric.compute(predictions=PREDICTIONS, references=LABELS) == pytest.approx(expected)
    for prediction, label in zip(np.array(PREDICTIONS), np.array(LABELS), strict=True):
        metric.add(prediction=prediction, reference=label)
    scores = metric.compute(per_class=True)
    assert scores["ua"] == pytest.approx(expected["ua"])
    assert scores["support"] == [4, 2, 2, 0]
    with pytest.raises(ValueError, match="valid are 0 to 1"):
        EmotionMetrics(num_labels=2, cache_dir=str(tmp_path)).compute(predictions=PREDICTIONS, references=LABELS)
    inferred = EmotionMetrics(cache_dir=str(tmp_path))
    assert inferred.compute(predictions=PREDICTIONS, references=LABELS) == pytest.approx(expected)
    assert not list(tmp_path.rglob("*.arrow"))


def test_import_does_not_load_torch():
    code = "import sys, hf_mer.metrics.scores; print(*[name for name in ('torch', 'transformers') if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == ""


def test_unknown_names_are_refused():
    import hf_mer.metrics.scores

    with pytest.raises(AttributeError, match="no attribute 'UnweightedAccuracy'"):
        _ = hf_mer.metrics.scores.UnweightedAccuracy
