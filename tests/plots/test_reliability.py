import numpy as np
import pytest

from hf_mer.metrics.calibration import expected_calibration_error, reliability_bins
from hf_mer.plots import reliability_diagram


@pytest.fixture
def panels():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 4, 200), 4 * rng.normal(size=(200, 4))
    return {
        name: (reliability_bins(labels, logits / t), expected_calibration_error(labels, logits / t))
        for name, t in (("Before scaling", 1.0), ("Calibrated", 4.0))
    }


def test_bars_are_the_bins(panels, drawn_texts):
    figure = reliability_diagram(panels, title="Test part")
    bins, error = panels["Before scaling"]
    accuracy, _, counts, _ = figure.axes
    filled = [value for value, count in zip(bins["accuracy"], bins["counts"], strict=True) if count]
    assert [bar.get_height() for bar in accuracy.patches[: len(filled)]] == pytest.approx(filled)
    gaps = accuracy.patches[len(filled) :]
    ends = [
        max(one, two)
        for one, two, count in zip(*(bins[name] for name in ("accuracy", "confidence", "counts")), strict=True)
        if count
    ]
    assert [bar.get_y() + bar.get_height() for bar in gaps] == pytest.approx(ends)
    assert sum(bar.get_height() for bar in counts.patches) == 200
    assert f"Before scaling\ncalibration error {error:.3f}" in drawn_texts(figure)


def test_one_panel_is_enough_and_none_too_few(panels):
    assert len(reliability_diagram({"Before scaling": panels["Before scaling"]}).axes) == 2
    with pytest.raises(ValueError, match="at least one panel"):
        reliability_diagram({})
    with pytest.raises(ValueError, match="Empty: the bins hold no utterances"):
        reliability_diagram({"Empty": ({"counts": [0], "confidence": [0], "accuracy": [0]}, 0.0)})
