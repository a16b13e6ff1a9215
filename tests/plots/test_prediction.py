import numpy as np
import pytest

from hf_mer.plots.prediction import prediction_figure

PREDICTION = {
    "scores": [{"label": "sad", "score": 0.7}, {"label": "happy", "score": 0.3}],
    "words": [],
    "frames": {},
}


@pytest.mark.parametrize("waveform", [None, np.sin(np.arange(8000) / 20)])
def test_scores_without_label_attention(waveform):
    figure = prediction_figure(PREDICTION, ["happy", "sad"], waveform=waveform, true_label="sad", title="a.mp4")
    axes = [panel for part in (figure.subfigs or [figure]) for panel in part.axes]
    assert len(axes) == (1 if waveform is None else 2)
    assert [bar.get_width() for bar in axes[-1].patches] == [0.3, 0.7]
    assert [label.get_text() for label in axes[-1].get_yticklabels()] == ["happy", "sad\n(true)"]
