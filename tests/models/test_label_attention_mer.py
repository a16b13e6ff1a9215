import numpy as np
import pytest
from model_tester import tiny_store

from hf_mer.models.label_attention_mer import keywords_of, word_attention


def test_a_word_has_the_mean_of_its_tokens():
    tokens = np.array([[0.0], [0.1], [0.9], [0.7]])
    words = word_attention([("who", [1], False), ("glad", [2, 3], True)], tokens, ["sad"])
    assert words[1] == {"word": "glad", "current": True, "sad": pytest.approx(0.8)}
    assert word_attention([("who", [1], False)], None, ["sad"]) == []


def test_keywords():
    assert keywords_of(tiny_store(), "sad") == [{"word": "sad!", "score": 0.5}, {"word": "so", "score": 0.25}]
    assert keywords_of(None, "sad") == []
