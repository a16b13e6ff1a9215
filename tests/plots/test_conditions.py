import pytest

from hf_mer.plots import condition_bars, condition_curves

BARS = {
    "no dropout": {"everything": (0.7, 0.65, 0.75), "text alone": (0.4, 0.35, 0.45)},
    "dropout": {"everything": (0.69, 0.64, 0.74), "speech alone": (0.45, 0.4, 0.5)},
}
CURVES = {
    "no dropout": {20.0: (0.7, 0.6, 0.8), 10.0: (0.6, 0.5, 0.7), 0.0: (0.4, 0.3, 0.5)},
    "dropout": {20.0: (0.7, 0.6, 0.8), 0.0: (0.5, 0.4, 0.6)},
}


def test_a_bar_for_every_condition_of_every_system(drawn_texts):
    figure = condition_bars(BARS, xlabel="UA", title="Modalities")
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.4, 0.69, 0.45]
    centres = [bar.get_y() + bar.get_height() / 2 for bar in axes.patches]
    assert centres == pytest.approx([-0.2, 0.8, 0.2, 2.2])
    texts = drawn_texts(figure)
    assert {"everything", "text alone", "speech alone", "no dropout", "dropout", "0.690  [0.640, 0.740]"} <= set(texts)


def test_one_system_needs_no_legend(drawn_texts):
    assert "no dropout" not in drawn_texts(condition_bars({"no dropout": BARS["no dropout"]}))


def test_curves_run_towards_what_is_worse(drawn_texts):
    unchanged = {"no dropout": (0.75, 0.7, 0.8), "dropout": (0.74, 0.7, 0.8)}
    figure = condition_curves(CURVES, unchanged, xlabel="dB")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["no dropout"].get_ydata().tolist() == [0.7, 0.6, 0.4]
    assert lines["dropout"].get_xdata().tolist() == [0.0, 2.0]  # 20 and 0 dB, of three places
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["20", "10", "0"]
    assert {"no dropout,\nunchanged 0.750", "95 % interval"} <= set(drawn_texts(figure))
    rising = condition_curves({"a": {40.2: (0.5, 0.4, 0.6), 10.0: (0.6, 0.5, 0.7)}}, xlabel="%", worse_right=False)
    assert rising.axes[0].lines[-1].get_ydata().tolist() == [0.6, 0.5]


def test_rates_of_two_systems_that_are_nearly_alike_share_a_tick():
    curves = {
        name: {10 + shift: (0.6, 0.5, 0.7), 40 + shift: (0.5, 0.4, 0.6)} for name, shift in (("a", 0), ("b", 0.1))
    }
    figure = condition_curves(curves, xlabel="%", worse_right=False)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["10", "40"]


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ({}, "one to 4 systems, got 0"),
        ({"a": {}}, "a: no scores to draw"),
        ({"a": {1.0: (0.9, 0.1, 0.5)}}, "a, 1.0: expected fractions 0 <= low <= score <= high <= 1"),
    ],
)
def test_what_cannot_be_drawn(systems, message):
    with pytest.raises(ValueError, match=message):
        condition_bars(systems)
    with pytest.raises(ValueError, match=message):
        condition_curves(systems, xlabel="dB")
