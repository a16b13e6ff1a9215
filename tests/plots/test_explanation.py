import math
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes

from hf_mer.plots.explanation import explanation_figure, sound_explanation
from hf_mer.plots.for_against import FOR, value_norm
from hf_mer.plots.waveform import waveform_envelope

FOUR = ["angry", "happy", "neutral", "sad"]
SCORES = [0.7, 0.2, 0.06, 0.04]
RATE = 8000


def words(texts, current):
    values = np.random.default_rng(len(texts)).normal(scale=0.3, size=len(texts))
    return [
        {"word": word, "current": current, "value": value, "error": 0.1}
        for word, value in zip(texts, values, strict=True)
    ]


def segments(count, start=0.0, seconds=3.0):
    edges = np.linspace(start, start + seconds, count + 1)
    return [
        {"start": first, "end": last, "value": (-0.5) ** place, "error": 0.05 * place}
        for place, (first, last) in enumerate(pairwise(edges))
    ]


def explanation(**fields):
    return {
        "label": "angry",
        "score": 0.7,
        "prior": 0.25,
        "prior_source": "training",
        "modalities": {"text": math.log(4), "history": -math.log(1.5), "speech": 0.05},
        "words": [],
        "segments": [],
        "segments_by": None,
        "video_spans": [],
        "forward_passes": 900,
        **fields,
    }


def panels(figure):
    return {axes.get_title("left") or axes.get_xlabel(): axes for axes in figure.findobj(Axes)}


def test_everything_that_an_explanation_may_have(drawn_texts):
    earlier = ["Okay", "then", "we", "should", "talk", "about", "that", "awful", "letter", "again", "and", "again"] * 3
    own = ["I", "hated", "that", "awful", "letter"]
    found = explanation(
        words=words(earlier, False) + words(own, True),
        segments=segments(10),
        video_spans=segments(8),
        modalities={"text": 1.2, "history": -0.4, "speech": 0.2, "video": 0.1},
        warnings=["explain: 70 places of history are valued in 40 groups of neighbours"],
        prior_source="uniform",
    )
    figure = explanation_figure(
        found,
        FOUR,
        SCORES,
        waveform=np.sin(np.arange(3 * RATE) / 5),
        sampling_rate=RATE,
        true_label="angry",
        true_words=[1, 3],
        true_spans=[(0.5, 1.2)],
        title="Ses05F_impro01_M002.wav",
    )
    texts = drawn_texts(figure)
    assert [text for text in texts if text in own][-5:] == own
    assert {"Earlier words", "Words", "Sound", "Video", "Prediction", "Modalities", "Colours"} <= set(texts)
    assert "Ses05F_impro01_M002.wav: for and against angry" in texts
    assert {"angry\n(true)", "history", "÷1.49", "together", "×2.8"} <= set(texts)
    caption = " ".join(texts[-1].split())
    for told in ("equal for all classes", "faint noise", "one standard error", "groups of neighbours", "from 0.25,"):
        assert told in caption
    assert panels(figure)["Sound"].get_xlim() == (0.0, 3.0)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"words": words(["no"], True), "modalities": {"text": 0.4}}, {"Words"}),
        ({"words": words(["why"], False), "modalities": {"history": 0.4}}, {"Earlier words"}),
        ({"segments": segments(1), "modalities": {"speech": -0.4}}, {"Sound"}),
        ({"modalities": {"speech": 0.0}}, set()),  # whose segments were not asked for
    ],
)
def test_a_single_modality(fields, shown, drawn_texts):
    figure = explanation_figure(explanation(**fields), FOUR, SCORES)
    texts = drawn_texts(figure)
    assert {"Earlier words", "Words", "Sound", "Video"} & set(texts) == shown
    assert "For and against angry" in texts
    assert "where the cue truly is" not in " ".join(texts)


def test_words_have_the_colour_of_their_value_and_true_ones_a_line(drawn_texts):
    found = words(["gone", "hell", "now"], True)
    for word, value, error in zip(found, (0.1, 0.9, 0.3), (0.0, 0.1, 0.4), strict=True):
        word.update(value=value, error=error)
    figure = explanation_figure(explanation(words=found), FOUR, SCORES, true_words=[1])
    drawn_texts(figure)
    patches = panels(figure)["Words"].patches
    from matplotlib.colors import to_hex

    boxes, lines = patches[:3], patches[3:]
    assert to_hex(boxes[1].get_facecolor()).upper() == FOR
    assert to_hex(boxes[2].get_facecolor()) == "#ffffff"  # within its standard error
    assert [line.get_facecolor()[3] > 0 for line in lines] == [False, True, False]


def test_segments_of_a_window_stand_at_the_seconds_of_the_recording(drawn_texts):
    found = explanation(segments=segments(6, start=8.0, seconds=2.0))
    figure = explanation_figure(found, FOUR, SCORES, waveform=np.ones(2 * RATE), sampling_rate=RATE)
    drawn_texts(figure)
    assert panels(figure)["Sound"].get_xlim() == pytest.approx((8.0, 10.0))
    assert panels(figure)["time (s)"].get_xlim() == pytest.approx((8.0, 10.0))


def test_segments_of_words_are_named_where_they_are_long_enough(drawn_texts):
    found = segments(3)
    for segment, word in zip(found, ("gone", None, "W" * 50), strict=True):
        segment["word"] = word
    waveform = {"waveform": np.ones(3 * RATE), "sampling_rate": RATE}
    figure = explanation_figure(explanation(segments=found, segments_by="words"), FOUR, SCORES, **waveform)
    texts = drawn_texts(figure)
    assert "gone" in texts
    assert not any("WWW" in text for text in texts)


def test_frames_without_times_are_counted(drawn_texts):
    spans = [{"start": None, "end": None, "value": 0.3, "error": 0.0} for _ in range(4)]
    figure = explanation_figure(explanation(video_spans=spans, modalities={"video": 1.2}), FOUR, SCORES)
    assert "frame" in drawn_texts(figure)
    assert panels(figure)["Video"].get_xlim() == (0.5, 4.5)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_many_classes_with_long_names_and_odd_words(drawn_texts):
    labels = ["frustrated", "surprised", "disgusted", "fearful", "contemptuous", "neutral", "calm", "sad"]
    odd = words(["恭喜", "$5", "W" * 200, ""], True)
    texts = drawn_texts(explanation_figure(explanation(words=odd, label="contemptuous"), labels, [0.125] * 8))
    assert "against  ↔  for" in texts


def test_the_sound_of_a_small_page(drawn_texts):
    envelope = waveform_envelope(np.sin(np.arange(3 * RATE) / 5), RATE)
    found = explanation(segments=segments(10))
    texts = drawn_texts(sound_explanation(envelope, 3.0, found["segments"], value_norm(found)))
    assert "time (s)" in texts
    assert "×1" in texts
    assert "×1" not in drawn_texts(sound_explanation(envelope, 3.0, [], value_norm(explanation())))
