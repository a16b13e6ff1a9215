import numpy as np
import pytest
from matplotlib.colors import to_rgb

from hf_mer.plots import representation_panels

IEMOCAP = ["angry", "happy", "neutral", "sad"]
MELD = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


def points(count, modalities=("text", "speech")):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(count, 2)) for name in modalities}


@pytest.mark.parametrize(
    ("systems", "labels", "modalities"),
    [
        (1, IEMOCAP, ("text", "speech")),
        (4, IEMOCAP, ("text", "speech")),
        (6, MELD, ("text", "speech", "video")),
        (1, MELD, ("fused",)),
    ],
)
def test_panels_can_be_read(systems, labels, modalities, drawn_texts):
    classes = np.arange(3 * len(labels)) % len(labels)
    names = [f"S{index}" for index in range(systems)]
    panels = {name: points(len(classes), modalities) for name in names}
    fig = representation_panels(panels, classes, labels, notes={"S0": "silhouette 0.31"}, title="Alignment")
    texts = drawn_texts(fig)
    assert {*names, *labels, "silhouette 0.31", "Alignment"} <= set(texts)
    assert ("speech: dark" in texts) == ("speech" in modalities)


def test_speech_is_darker_than_text_and_shapes_tell_classes():
    classes = np.arange(20) % 4
    panel = points(20)
    panel["text"][0] = np.nan
    fig = representation_panels({"S0": panel}, classes, IEMOCAP)
    drawn = fig.axes[0].collections
    assert len(drawn) == 8  # a class in a modality each
    assert sum(len(part.get_offsets()) for part in drawn) == 39  # one utterance has no text
    light, dark = (sum(to_rgb(part.get_facecolor()[0][:3])) for part in (drawn[0], drawn[4]))
    assert dark < light
    assert len({part.get_paths()[0].vertices.tobytes() for part in drawn}) == 4


def test_bad_points_are_refused():
    with pytest.raises(ValueError, match="no points"):
        representation_panels({}, np.zeros(0), IEMOCAP)
    with pytest.raises(ValueError, match="S0: modality 'face' is not one of speech, text, video"):
        representation_panels({"S0": {"face": np.zeros((4, 2))}}, np.arange(4), IEMOCAP)
    with pytest.raises(ValueError, match=r"S0, text: points of the shape \(3, 2\), expected \(4, 2\)"):
        representation_panels({"S0": {"text": np.zeros((3, 2))}}, np.arange(4), IEMOCAP)
    with pytest.raises(ValueError, match="classes go from 0 to 4"):
        representation_panels({"S0": {"text": np.zeros((5, 2))}}, np.arange(5), IEMOCAP)
