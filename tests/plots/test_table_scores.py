import numpy as np
import pytest

from hf_mer.plots import table_scores

SYSTEMS = [
    "A1  BERT",
    "A4  BERT + label embeddings from the words of the labels, on the current utterance",
    "Chen (key-sparse)",
]
MEASURED = np.array([[0.6, 0.55, 0.64], [np.nan] * 3, [np.nan] * 3])
PUBLISHED = np.array([0.67, 0.77, 0.743])


@pytest.mark.parametrize("scores", [("WA",), ("WA", "UA"), ("WA", "UA", "WF1")])
def test_points_intervals_published_figures_and_ceilings(scores, drawn_texts):
    fig = table_scores(
        SYSTEMS,
        dict.fromkeys(scores, MEASURED),
        dict.fromkeys(scores, PUBLISHED),
        {scores[0]: np.array([0.45, np.nan, np.nan])},
        num_measured=2,
        title="Unimodal systems",
    )
    texts = drawn_texts(fig)
    assert {f"{name} (%)" for name in scores} <= set(texts)
    assert {"A1  BERT", "Chen (key-sparse)", "ceiling", "published, on the paper's data"} <= set(texts)
    assert any("\n" in found and found.startswith("A4") for found in texts)  # long names are broken
    axes = fig.axes[0]
    (hollow,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert hollow.get_markerfacecolor() == "#FFFFFF"
    np.testing.assert_array_equal(hollow.get_xdata(), PUBLISHED)
    (point,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert (point.get_xdata().item(), point.get_ydata().item()) == (0.6, 0)
    ends = [segment for lines in axes.collections for segment in lines.get_segments()]
    assert any(np.allclose(segment, [[0.55, 0], [0.64, 0]]) for segment in ends)
    assert any(np.allclose(segment[:, 0], 0.45) for segment in ends)


def test_what_is_not_there_is_not_in_the_legend(drawn_texts):
    texts = drawn_texts(table_scores(["A"], {"WA": np.array([[0.5, 0.4, 0.6]])}, {"WA": np.array([np.nan])}))
    assert "measured, 95 % interval" in texts
    assert not {"ceiling", "published, on the paper's data"} & set(texts)
    assert "nothing measured yet" in drawn_texts(table_scores(["A"], {"WA": np.full((1, 3), np.nan)}))


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="no systems"):
        table_scores([], {"WA": np.zeros((0, 3))})
    with pytest.raises(ValueError, match=r"scores, WA: shape \(2, 3\), expected \(3, 3\)"):
        table_scores(SYSTEMS, {"WA": MEASURED[:2]})
    with pytest.raises(ValueError, match="published, WA, 'A1  BERT': expected fractions .* got score 67"):
        table_scores(SYSTEMS, {"WA": MEASURED}, {"WA": 100 * PUBLISHED})
    with pytest.raises(ValueError, match=r"ceilings: 'UA' is not one of the scores \['WA'\]"):
        table_scores(SYSTEMS, {"WA": MEASURED}, ceilings={"UA": PUBLISHED})
    with pytest.raises(ValueError, match="scores, WA, 'A1  BERT': expected .* interval .0.61, 0.64"):
        table_scores(SYSTEMS, {"WA": np.array([[0.6, 0.61, 0.64], *MEASURED[1:]])})
