import unicodedata

import pytest
import torch
from model_tester import save_tiny_checkpoint, tone
from transformers import pipeline

from hf_mer.models.dialogue_mer import DialogueHistory
from hf_mer.models.words_mer import has_words, is_missing, says_anything, turns_with_words, visible, words_of

NOTHING = ["", " \t\n", "\u200b", "\ufeff\u2060", "\u00ad", "\x00\x1f", "\u200d\ufe0f", "\u3164", "\u2800 \u200e"]


class NAType:
    """As pandas names its own."""


@pytest.mark.parametrize("text", NOTHING)
def test_characters_that_show_nothing_are_no_words(text):
    assert not says_anything(text)
    assert words_of(text) is None
    assert is_missing(text)
    assert not has_words(text, [text, text])
    assert turns_with_words([text, "no", text]) == ["no"]
    history = DialogueHistory(3)
    history.next_turn(text)
    assert history.next_turn("yes") == []


@pytest.mark.parametrize("text", ["I", "?", "no", "我", "😀", "é", "👩\u200d🔬", "3"])
def test_what_shows_is_words(text):
    assert says_anything(text)
    assert words_of(text) == text


def test_visible():
    assert visible("\ufeff so\u200b glad \u2060") == "so glad"
    assert visible(unicodedata.normalize("NFD", "fröhlich")) == "fröhlich"
    assert visible("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"  # a joiner that is spelling


@pytest.mark.parametrize("value", [None, float("nan"), NAType(), "\u200b"])
def test_missing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, 0.0, False, "0", "nan", []])
def test_not_missing(value):
    assert not is_missing(value)


class TestPipeline:
    @pytest.fixture(scope="class")
    def recognise(self, tmp_path_factory):
        folder, _ = save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))
        return pipeline("multimodal-emotion-recognition", model=folder)

    def scores(self, recognise, item):
        return {one["label"]: one["score"] for one in recognise(item)}

    @pytest.mark.parametrize("text", [*NOTHING, float("nan"), None])
    def test_a_text_that_says_nothing_is_none(self, recognise, text):
        expected = self.scores(recognise, {"audio": tone()})
        assert self.scores(recognise, {"audio": tone(), "text": text}) == pytest.approx(expected)
        given = {"audio": tone(), "text": None, "history": [text] if text is not None else float("nan")}
        assert self.scores(recognise, given) == pytest.approx(expected)

    def test_a_row_of_pandas(self, recognise):
        nan = float("nan")
        expected = self.scores(recognise, {"text": "so glad"})
        row = {"audio": nan, "text": "so glad", "history": nan, "video": nan, "sampling_rate": nan}
        assert self.scores(recognise, row) == pytest.approx(expected)
        with pytest.raises(ValueError, match="nothing that this model can use"):
            recognise({"audio": nan, "text": nan})

    def test_the_words_are_read_without_them(self, recognise):
        processor = recognise.processor
        plain = processor(text=["i am so glad"], history=[["who is it ?"]])
        marked = processor(text=["\ufeffi am so\u200b glad\u200b"], history=[["who is it ?\u200b", "\u200b"]])
        assert torch.equal(plain["input_ids"], marked["input_ids"])
