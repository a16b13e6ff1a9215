import numpy as np
import pytest

from hf_mer.plots import score_sweep

MEAN = np.array([0.765, 0.77, 0.772, 0.775, 0.777, 0.774, 0.77])
SCORES = {"WA": (MEAN - 0.01, MEAN - 0.02, MEAN), "UA": (MEAN, MEAN - 0.012, MEAN + 0.01)}


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([10, 30, 50, 70, 100, 150, 200], "linear"),
        ([1, 3, 10, 30, 100, 300, 1000], "log"),
        ([1, 2, 3, 4, 5, 1000, 2000], "linear"),
    ],
)
def test_sweep_shows_scores_and_values(values, scale, drawn_texts):
    texts = drawn_texts(score_sweep(values, SCORES, "K, tonal codes per label", scale=scale, title="Figure 3"))
    assert {"WA", "UA", "K, tonal codes per label", "best", "95 % interval"} <= set(texts)
    assert not any("mathdefault" in found for found in texts)
    assert "score (%)" in texts
    if values[-1] != 2000:  # values that crowd give way to round numbers
        assert {str(value) for value in values} <= set(texts)


def test_the_best_value_is_circled():
    fig = score_sweep([9, 3, 6], {"UA": ([0.5, 0.9, 0.7], [0.4, 0.8, 0.6], [0.6, 1.0, 0.8])}, "K")
    (circle,) = [line for line in fig.axes[0].lines if line.get_markersize() == 11]
    assert (circle.get_xdata().item(), circle.get_ydata().item()) == (3, 0.9)


def test_one_value(drawn_texts):
    assert "5" in drawn_texts(score_sweep([5], {"UA": ([0.5], [0.4], [0.6])}, "K"))


def test_bad_sweeps_are_refused():
    with pytest.raises(
        ValueError, match=r"UA needs mean, low and high for each of 2 values, got the lengths \[2, 1, 2\]"
    ):
        score_sweep([1, 2], {"UA": ([0.5, 0.5], [0.4], [0.6, 0.6])}, "K")
    with pytest.raises(ValueError, match=r"UA, position 1: expected .* got score 0.5, interval \[0.6, 0.7\]"):
        score_sweep([1, 2], {"UA": ([0.5, 0.5], [0.4, 0.6], [0.6, 0.7])}, "K")
    with pytest.raises(ValueError, match="got 0"):
        score_sweep([1], {}, "K")
    with pytest.raises(ValueError, match=r"scale 'logs' is not one of linear, log, symlog, category"):
        score_sweep([1], {"UA": ([0.5], [0.4], [0.6])}, "K", scale="logs")
    with pytest.raises(ValueError, match=r"published figures of \['WF1'\]; scores are \['UA'\]"):
        score_sweep([1], {"UA": ([0.5], [0.4], [0.6])}, "K", published={"WF1": [0.5]})
    with pytest.raises(ValueError, match="UA: 2 published figures for 1 values"):
        score_sweep([1], {"UA": ([0.5], [0.4], [0.6])}, "K", published={"UA": [0.5, 0.6]})
    with pytest.raises(ValueError, match="symlog scale needs values of 0 or more, got -1"):
        score_sweep([-1, 1], {"UA": ([0.5] * 2, [0.4] * 2, [0.6] * 2)}, "K", scale="symlog")
    with pytest.raises(ValueError, match="log scale needs positive values, got 0"):
        score_sweep([0], {"UA": ([0.5], [0.4], [0.6])}, "K", scale="log")


def test_bands_are_the_intervals_in_the_order_of_the_values():
    fig = score_sweep([9, 3, 6], {"UA": ([0.5, 0.9, 0.7], [0.4, 0.8, 0.6], [0.6, 1.0, 0.8])}, "K")
    (band,) = fig.axes[0].collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(6).tolist()}
    assert {(3, 0.8), (3, 1.0), (6, 0.6), (6, 0.8), (9, 0.4), (9, 0.6)} <= corners


def test_zero_has_a_place_on_a_symlog_scale(drawn_texts):
    fig = score_sweep([0, 0.01, 0.1, 1, 10], {"UA": ([0.5] * 5, [0.4] * 5, [0.6] * 5)}, "weight", scale="symlog")
    assert {"0", "0.01", "0.1", "1", "10"} <= set(drawn_texts(fig))


def test_published_figures_are_hollow_and_names_can_be_values(drawn_texts):
    published = {"UA": [0.7, np.nan]}
    measured = {"UA": ([0.5, np.nan], [0.4, np.nan], [0.6, np.nan])}
    fig = score_sweep(["none", "BERT"], measured, "label embeddings", scale="category", published=published)
    texts = drawn_texts(fig)
    assert {"none", "BERT"} <= set(texts)
    assert any(found.startswith("published") for found in texts)
    (hollow,) = [line for line in fig.axes[0].lines if line.get_markersize() == 7]
    assert hollow.get_markerfacecolor() == "none"
    assert hollow.get_xydata().tolist() == [[0, 0.7]]
