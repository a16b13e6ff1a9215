import numpy as np
import pytest

from hf_mer.plots import gate_distributions

LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


def gates(count, layers, spread=0.05):
    rng = np.random.default_rng(0)
    return np.clip(0.55 + spread * rng.normal(size=(count, layers)), 0, 1)


@pytest.mark.parametrize(("systems", "layers", "spread"), [(1, 1, 0.05), (1, 3, 0.4), (2, 4, 0.001)])
def test_layers_and_classes_can_be_read(systems, layers, spread, drawn_texts):
    classes = np.arange(70) % 7
    panels = {f"system {index}": gates(70, layers, spread) for index in range(systems)}
    texts = drawn_texts(gate_distributions(panels, classes, LABELS, title="Gates"))
    assert {*LABELS, "Gates", "mean", f"deep layer {layers}"} <= set(texts) | {"deep layer 1"}
    assert texts.count("mean") == systems * layers
    assert f"{panels['system 0'][::7, 0].mean():.2f}" in texts


def test_half_is_in_the_middle_and_noise_looks_small():
    fig = gate_distributions({"all": gates(70, 1, 0.001) - 0.05}, np.arange(70) % 7, LABELS)
    low, high = fig.axes[0].get_xlim()
    assert (low + high) / 2 == pytest.approx(0.5)
    assert high - low > 0.1


def test_a_class_with_one_utterance_or_none_is_no_problem(drawn_texts):
    values = np.array([[0.4], [0.5], [0.6], [np.nan], [np.nan]])
    texts = drawn_texts(gate_distributions({"all": values}, np.array([0, 1, 1, 1, 2]), LABELS))
    assert {"0.40", "0.55"} <= set(texts)


def test_bad_gates_are_refused():
    with pytest.raises(ValueError, match="no gates"):
        gate_distributions({}, np.zeros(0), LABELS)
    with pytest.raises(ValueError, match=r"all: gates of the shape \(3,\), expected \(3, layers\)"):
        gate_distributions({"all": np.zeros(3)}, np.arange(3), LABELS)
    with pytest.raises(ValueError, match="all: gates go from 0 to 2, expected 0 to 1"):
        gate_distributions({"all": np.array([[0.0], [2.0]])}, np.arange(2), LABELS)
    with pytest.raises(ValueError, match="no utterance has a gate"):
        gate_distributions({"all": np.full((2, 1), np.nan)}, np.arange(2), LABELS)
