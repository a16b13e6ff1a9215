import numpy as np
import pytest
from matplotlib.collections import LineCollection

from hf_mer.plots.prediction import prediction_figure

PREDICTION = {
    "scores": [{"label": "sad", "score": 0.7}, {"label": "happy", "score": 0.3}],
    "words": [],
    "frames": {},
}


def explained(**times):
    words = [{"word": "glad", "current": True, "happy": 0.2, "sad": 0.1, **times}]
    frames = {"seconds": [0.1, 0.3], "happy": [0.0, 0.1], "sad": [0.2, 0.1]}
    return {**PREDICTION, "words": words, "frames": frames}


@pytest.mark.parametrize(
    ("times", "given", "span"),
    [
        ({"start": 0.1, "end": 0.25}, None, (0.1, 0.25)),
        ({"start": 0.1, "end": 0.2}, [[0.2, 0.3]], (0.2, 0.3)),
        ({}, None, None),
    ],
)
def test_words_stand_at_their_times(times, given, span, drawn_texts):
    """Times of the prediction, or given ones before them; where neither are there, the figure says that it guesses."""
    waveform = np.sin(np.arange(8000) / 20)
    fig = prediction_figure(
        explained(**times), ["happy", "sad"], waveform=waveform, word_times=None if given is None else np.array(given)
    )
    texts = drawn_texts(fig)
    assert any("estimated times" in text for text in texts) == (span is None)
    marks = [
        sorted(path.vertices[0, 0] for path in lines.get_paths())
        for lines in fig.findobj(LineCollection)
        if len(lines.get_paths()) == 2
    ]
    assert marks == ([] if span is None else [pytest.approx(span)] * 2)
