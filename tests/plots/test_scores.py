import pytest

from hf_mer.plots import systems_with_ceilings

SCORES = {
    "text only": 0.44,
    "speech only": 0.42,
    "LE-MER without label embeddings": 0.71,
    "LE-MER": 0.76,
    "oracle": 1.0,
}


def test_systems_intervals_and_ceilings(drawn_texts):
    intervals = {name: (score - 0.03, min(1.0, score + 0.03)) for name, score in SCORES.items()}
    fig = systems_with_ceilings(SCORES, intervals, {"text only": 0.45, "LE-MER": 0.81}, title="Two unseen speakers")
    texts = drawn_texts(fig)
    assert set(SCORES) <= set(texts)
    assert "0.760  [0.730, 0.790]" in texts
    assert {"interval", "ceiling", "UA"} <= set(texts)
    ceilings = [segment[0][0] for lines in fig.axes[0].collections for segment in lines.get_segments()]
    assert {0.45, 0.81} <= set(ceilings)


def test_scores_alone(drawn_texts):
    texts = drawn_texts(systems_with_ceilings({"A": 0.4}, xlabel="WF1"))
    assert {"A", "0.400", "WF1"} <= set(texts)
    assert "ceiling" not in texts


def test_bad_scores_are_refused():
    with pytest.raises(ValueError, match="no systems"):
        systems_with_ceilings({})
    with pytest.raises(ValueError, match=r"ceilings name \['B'\]"):
        systems_with_ceilings({"A": 0.4}, ceilings={"B": 0.5})
    with pytest.raises(ValueError, match=r"A: expected fractions 0 <= low <= score <= high <= 1"):
        systems_with_ceilings({"A": 76.0})
    with pytest.raises(ValueError, match=r"interval \[0.5, 0.6\]"):
        systems_with_ceilings({"A": 0.4}, {"A": (0.5, 0.6)})
