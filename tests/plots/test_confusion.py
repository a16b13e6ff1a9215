import numpy as np
import pytest

from hf_mer.metrics.scores import confusion, emotion_scores
from hf_mer.plots import confusion_matrix, confusion_panels, row_shares

NAMES = [
    "angry",
    "happy",
    "neutral",
    "sad",
    "excited",
    "frustrated",
    "surprised",
    "fearful",
    "disgusted",
    "contemptuous",
    "calm",
    "disappointed",
]


@pytest.mark.parametrize("count", [2, 4, 6, 8, 12])
def test_every_class_count_can_be_read(count, drawn_texts):
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 80, (count, count)) + 1200 * np.eye(count, dtype=int)
    texts = drawn_texts(confusion_matrix(matrix, NAMES[:count], title="LE-MER, leave one session out"))
    for name in NAMES[:count]:
        assert texts.count(name) == 2
    assert f"{matrix[0, 0] / matrix[0].sum():.0%}\n{matrix[0, 0]:,}" in texts


def test_title_has_the_scores_of_the_metrics(drawn_texts):
    labels, predictions = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 0, 0]
    scores = emotion_scores(labels, predictions, 4)  # class 3 does not occur
    texts = drawn_texts(confusion_matrix(confusion(labels, predictions, 4), NAMES[:4]))
    assert f"UA {scores['ua']:.1%}, WA {scores['wa']:.1%}" in texts
    assert "-\n0" in texts


def test_shares_are_of_the_true_class():
    shares = row_shares(np.array([[3, 1], [0, 0]]))
    np.testing.assert_allclose(shares, [[0.75, 0.25], [np.nan, np.nan]])


def test_bad_matrices_are_refused():
    with pytest.raises(ValueError, match=r"expected \(3, 3\)"):
        confusion_matrix(np.ones((2, 2), dtype=int), ["a", "b", "c"])
    with pytest.raises(ValueError, match="no utterances"):
        confusion_matrix(np.zeros((2, 2), dtype=int), ["a", "b"])


@pytest.mark.parametrize(
    ("systems", "count"), [(1, 2), (2, 4), (3, 6), (4, 7), pytest.param(5, 12, marks=pytest.mark.slow)]
)
def test_panels_can_be_read(systems, count, drawn_texts):
    rng = np.random.default_rng(0)
    panels = {f"system {index}": row_shares(rng.integers(1, 80, (count, count))) for index in range(systems)}
    deviations = {"system 0": np.full((count, count), 0.04)}
    texts = drawn_texts(confusion_panels(panels, NAMES[:count], deviations, title="Modalities"))
    assert {*panels, *NAMES[:count], "Modalities", "share of the true class"} <= set(texts)
    assert f"{100 * panels['system 0'][0, 0]:.0f}\n±4" in texts


def test_panels_of_a_class_without_utterances(drawn_texts):
    shares = np.array([[0.25, 0.75], [np.nan, np.nan]])
    texts = drawn_texts(confusion_panels({"A5": shares}, ["angry", "sad"]))
    assert {"25", "75", "-"} <= set(texts)


def test_bad_panels_are_refused():
    with pytest.raises(ValueError, match="no systems"):
        confusion_panels({}, ["a", "b"])
    with pytest.raises(ValueError, match=r"A: shape \(3, 3\), expected \(2, 2\)"):
        confusion_panels({"A": np.ones((3, 3))}, ["a", "b"])
    with pytest.raises(ValueError, match="A: shares go from 2 to 5, expected 0 to 1"):
        confusion_panels({"A": np.array([[2, 3], [4, 5]])}, ["a", "b"])
