import numpy as np
import pytest
from model_tester import tiny_store

from hf_mer.models.explanations_mer import keywords_of, salient, salient_stretches, salient_words, word_attention


def frames(cosines, hop=0.02):
    return {"seconds": [(i + 0.5) * hop for i in range(len(cosines))], "sad": list(cosines)}


class TestStretches:
    def test_runs_above_mean_and_deviation(self):
        cosines = np.zeros(100)
        cosines[10:20] = 0.8
        cosines[60:65] = 1.0
        cosines[70] = 0.3  # mean 0.133, deviation 0.30
        assert salient(cosines).sum() == 15
        found = salient_stretches(frames(cosines), "sad")
        assert [tuple(stretch) for stretch in found] == [("start", "end", "cosine")] * 2
        assert found[0] == pytest.approx({"start": 1.2, "end": 1.3, "cosine": 1.0})
        assert found[1] == pytest.approx({"start": 0.2, "end": 0.4, "cosine": 0.8})

    def test_short_gaps_are_closed(self):
        cosines = np.zeros(100)
        cosines[[10, 11, 15, 16, 30]] = 1.0  # 3 frames of 20 ms between 11 and 15, 13 between 16 and 30
        found = salient_stretches(frames(cosines), "sad")
        assert [(s["start"], s["end"]) for s in sorted(found, key=lambda s: s["start"])] == [
            pytest.approx((0.2, 0.34)), pytest.approx((0.6, 0.62))
        ]  # fmt: skip
        assert found[0]["cosine"] == 1.0  # of the salient frames alone

    def test_nothing_stands_out(self):
        assert salient_stretches(frames(np.full(20, 0.7)), "sad") == []
        assert salient_stretches(frames([0.7]), "sad") == []
        assert salient_stretches({}, "sad") == []


def test_words_are_ranked():
    tokens = np.array([[0.0], [0.1], [0.9], [0.7], [0.0], [0.95], [0.0]])
    words = word_attention([("who", [1], False), ("glad", [2, 3], True), ("so", [4], True), ("am", [5], True),
                            ("it", [6], True), ("is", [4], True), ("a", [6], True)], tokens, ["sad"])  # fmt: skip
    assert words[1] == {"word": "glad", "current": True, "sad": pytest.approx(0.8)}
    assert salient_words(words, "sad") == [
        {"word": "am", "current": True, "cosine": 0.95}, {"word": "glad", "current": True, "cosine": pytest.approx(0.8)}
    ]  # fmt: skip
    assert salient_words([], "sad") == []
    assert salient_words(words[:1], "sad") == []


def test_keywords():
    assert keywords_of(tiny_store(), "sad") == [{"word": "sad!", "score": 0.5}, {"word": "so", "score": 0.25}]
    assert keywords_of(None, "sad") == []
