import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from hf_mer.plots import label_attention, mean_attention
from hf_mer.plots.attention import _norm
from hf_mer.plots.word_boxes import estimated_word_times, place_boxes, wrap_boxes

FOUR = ["angry", "happy", "neutral", "sad"]
EIGHT = [*FOUR, "calm", "fearful", "disgust", "surprised"]
SHORT = ["I", "just", "can't", "believe", "it", "!"]
LONG = [
    "well",
    "you",
    "know",
    "I",
    "told",
    "him",
    "that",
    "I",
    "was",
    "absolutely",
    "not",
    "going",
    "to",
    "put",
    "up",
    "with",
    "this",
    "any",
    "longer",
    "and",
    "he",
    "simply",
    "looked",
    "at",
    "me",
    "as",
    "if",
    "I",
    "had",
    "said",
    "something",
    "completely",
    "unreasonable",
    ",",
    "which",
    "of",
    "course",
    "I",
    "had",
    "not",
    ",",
    "internationalization",
]


def speech(seconds, labels):
    frames = int(seconds * 50)
    times = (np.arange(frames) + 0.5) / 50
    attention = 0.2 * np.sin(times[:, None] + np.arange(len(labels)))  # (S, C)
    return {
        "waveform": np.random.default_rng(0).normal(size=int(seconds * 16000)) * 0.1,
        "sampling_rate": 16000,
        "frame_times": times,
        "frame_attention": attention,
    }


def text(words, labels):
    attention = np.random.default_rng(1).uniform(-0.2, 0.5, (len(words), len(labels)))
    return {"tokens": words, "token_attention": attention}


def scores(labels):
    return np.random.default_rng(2).dirichlet(np.ones(len(labels)))


@pytest.mark.parametrize(("labels", "seconds", "words"), [(FOUR, 3.2, SHORT), (EIGHT, 20, LONG)])
def test_short_and_long_utterances(labels, seconds, words, drawn_texts):
    fig = label_attention(
        labels,
        **speech(seconds, labels),
        **text(words, labels),
        scores=scores(labels),
        true_label="sad",
        title="Ses05F_impro01_F012",
    )
    texts = drawn_texts(fig)
    assert [found for found in texts if found in words] == words  # all of them, in their order
    assert "sad\n(true)" in texts
    assert set(labels) - {"sad"} <= set(texts)
    assert f"{scores(labels)[0]:.2f}" in texts


def test_speech_alone_and_text_alone(drawn_texts):
    texts = drawn_texts(label_attention(FOUR, **speech(5, FOUR), scores=scores(FOUR)))
    assert "time (s)" in texts
    assert not any(found.startswith("Text") for found in texts)
    texts = drawn_texts(label_attention(FOUR, **text(SHORT, FOUR), scores=scores(FOUR)))
    assert "time (s)" not in texts
    assert not any(found.startswith("Speech") for found in texts)


def test_classes_are_named_without_a_prediction_too(drawn_texts):
    assert set(EIGHT) <= set(drawn_texts(label_attention(EIGHT, **text(SHORT, EIGHT))))


@pytest.mark.filterwarnings("ignore:Glyph")
def test_odd_words_stay_in_their_boxes(drawn_texts):
    words = ["счастье", "مرحبا", "恭喜", "W" * 200, "$5", "x_y^2", "two\nlines", ""]
    texts = drawn_texts(label_attention(FOUR, **text(words, FOUR)))
    assert {"счастье", "مرحبا", "$5", "x_y^2", "two lines", "·"} <= set(texts)
    assert any(found.startswith("WWW") and found.endswith("…") for found in texts)


def test_one_frame_and_one_word(drawn_texts):
    drawn_texts(label_attention(FOUR, **speech(0.02, FOUR), **text(["no"], FOUR), scores=scores(FOUR)))


def test_time_axis_is_in_seconds():
    fig = label_attention(FOUR, **speech(4, FOUR))
    wave, curve = (
        axes for axes in fig.findobj(lambda artist: hasattr(artist, "get_xlim")) if axes.get_xlim() == (0, 4)
    )
    assert curve.get_xlabel() == "time (s)"
    assert wave.get_xlim() == curve.get_xlim()


def test_a_word_has_the_strip_of_the_class_that_it_resembles_most():
    from hf_mer.plots import class_colors

    attention = np.eye(4)[[3, 0]]  # sad, then angry
    fig = label_attention(FOUR, tokens=["gone", "hell"], token_attention=attention)
    strips = [
        patch.get_facecolor()
        for patch in fig.findobj(Rectangle)
        if patch.get_height() == pytest.approx(0.05) and patch.get_linewidth() == 0
    ]
    from matplotlib.colors import to_rgba

    assert strips == [to_rgba(class_colors(FOUR)[name]) for name in ("sad", "angry")]


def test_boxes_wrap_and_do_not_touch():
    widths = np.random.default_rng(0).uniform(0.1, 1.5, 60)
    lefts, rows, count = wrap_boxes(widths, 5.0)
    assert count == rows.max() + 1
    assert (lefts + widths + 0.1 <= 5.0 + 1e-9).all()
    same_row = rows[1:] == rows[:-1]
    assert (lefts[1:] - (lefts[:-1] + widths[:-1] + 0.1) > 0.04)[same_row].all()
    assert (lefts[1:][~same_row] == 0).all()


@pytest.mark.parametrize(("words", "seconds"), [(SHORT, 3.2), (LONG, 9.0), (["W" * 200], 1.0)])
@pytest.mark.parametrize("estimated", [False, True])
def test_words_stand_where_they_are_said(words, seconds, estimated, drawn_texts):
    times = np.linspace(0.1, 0.9, len(words) + 1) * seconds
    times = np.column_stack([times[:-1], times[1:]])
    fig = label_attention(
        FOUR,
        **speech(seconds, FOUR),
        **text(words, FOUR),
        word_times=times,
        times_estimated=estimated,
        scores=scores(FOUR),
    )
    texts = drawn_texts(fig)
    assert any("estimated times" in found for found in texts) == estimated
    panels = {axes.get_title("left")[:4]: axes for axes in fig.findobj(Axes)}
    wave, panel = panels["Spee"], panels["Text"]
    bars = [patch for patch in panel.patches if patch.get_y() == 0]
    for bar, (start, end) in zip(bars, times, strict=True):
        left, right = panel.transData.transform([[bar.get_x(), 0], [bar.get_x() + bar.get_width(), 0]])[:, 0]
        assert wave.transData.inverted().transform([[left, 0], [right, 0]])[:, 0] == pytest.approx(
            [start, end], abs=0.01 * seconds
        )


def test_boxes_at_their_places_do_not_touch():
    rng = np.random.default_rng(0)
    widths, centres = rng.uniform(0.1, 1.5, 60), np.sort(rng.uniform(0, 5, 60))
    lefts, rows, count = place_boxes(widths, centres, 5.0)
    assert count == rows.max() + 1
    inside = (centres - widths / 2 > 0.05) & (centres + widths / 2 < 4.95)
    assert (lefts + widths / 2 + 0.05)[inside] == pytest.approx(centres[inside])
    assert ((lefts >= 0) & (lefts + widths + 0.1 <= 5 + 1e-9)).all()
    for row in range(count):
        own = np.flatnonzero(rows == row)
        assert (lefts[own[1:]] > lefts[own[:-1]] + widths[own[:-1]] + 0.1).all()


def test_estimated_times_share_the_sound_by_characters():
    waveform = np.concatenate([np.zeros(100), np.ones(1000), np.zeros(300)])
    times = estimated_word_times(["no", "congratulations", "you!"], waveform, 1000)
    assert times[:, 0] == pytest.approx([0.1, 0.1 + 2 / 21, 0.1 + 17 / 21])
    assert times[:, 1] == pytest.approx([0.1 + 2 / 21, 0.1 + 17 / 21, 1.1])
    assert estimated_word_times(["no", "no"], np.zeros(1000), 1000).tolist() == [[0, 0.5], [0.5, 1]]


def test_mean_is_over_classes():
    assert mean_attention(np.array([[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]])).tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give a waveform, tokens, or both"),
        ({"waveform": np.zeros(5)}, "needs sampling_rate"),
        ({"tokens": ["no"]}, "and token_attention"),
        (
            {"tokens": ["no"], "token_attention": np.zeros(2)},
            r"token_attention has the shape \(2,\), expected \(1, 4\)",
        ),
        ({"tokens": ["no"], "token_attention": np.full((1, 4), np.nan)}, "not finite"),
        ({**text(["no"], FOUR), "scores": [1.0]}, "1 scores for the 4 classes"),
        (
            {**text(["no"], FOUR), "word_times": np.zeros((2, 2))},
            r"word_times has the shape \(2, 2\), expected \(1, 2\)",
        ),
        ({**text(["no"], FOUR), "true_label": "joy"}, "'joy' is not one of"),
        ({**speech(1, FOUR), "frame_times": np.zeros(50)}, "increase"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        label_attention(FOUR, **arguments)


@pytest.mark.parametrize("scores", [[0.97, 0.01, 0.01, 0.01], [0.0, 0.8, 0.1, 0.1]])
def test_probabilities_end_at_1_with_their_numbers_within_the_figure(scores):
    fig = label_attention(FOUR, tokens=["so"], token_attention=np.zeros((1, 4)), scores=scores)
    axes = next(axes for axes in fig.findobj(Axes) if axes.get_xlabel() == "probability")
    assert axes.get_xlim() == (0, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.5", "1"]
    fig.draw_without_rendering()
    for number in axes.texts:
        extent = number.get_window_extent()
        assert extent.x1 < fig.bbox.x1
    assert [number.get_text() for number in axes.texts] == [f"{score:.2f}" for score in scores]
    assert (axes.texts[0].get_horizontalalignment() == "right") == (scores[0] > 0.8)


@pytest.mark.parametrize(("spread", "color"), [(0.3, 1.0), (0.001, 0.05)])
def test_values_that_are_alike_are_not_drawn_in_full_colour(spread, color):
    assert _norm(np.array([0.2, 0.2 + spread]))(0.2 + spread) == pytest.approx(color)
