import pytest

from hf_mer.plots import layer_weights


def test_bars_are_the_weights(drawn_texts):
    figure = layer_weights({"speech": [0.1, 0.2, 0.7], "text": [0.5, 0.5]}, title="Fold 1")
    speech, text = figure.axes
    assert [bar.get_height() for bar in speech.patches] == [0.1, 0.2, 0.7]
    assert [bar.get_x() + bar.get_width() / 2 for bar in speech.patches] == pytest.approx([0, 1, 2])
    assert speech.lines[0].get_ydata()[0] == pytest.approx(1 / 3)
    assert text.lines[0].get_ydata()[0] == pytest.approx(1 / 2)
    written = drawn_texts(figure)
    assert {"Speech encoder", "Text encoder", "weight", "layer (0: input of the first)"} <= set(written)


def test_many_layers_can_be_read(drawn_texts):
    written = drawn_texts(layer_weights({"speech": [1 / 33] * 33}))
    assert "30" in written


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="mixes no layers"):
        layer_weights({})
    with pytest.raises(ValueError, match=r"speech: weights \[0\.5\] do not sum to 1"):
        layer_weights({"speech": [0.5]})
