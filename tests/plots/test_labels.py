import numpy as np
import pytest

from hf_mer.plots import label_keywords_and_key_frames

NAMES = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
WORDS = ["no", "congratulations", "ridiculous", "unbelievable", "why", "gone", "счастье", "anything", "lovely"]


def keywords(count):
    return {name: [(word, 0.3 - 0.03 * rank) for rank, word in enumerate(WORDS)] for name in NAMES[:count]}


def waveforms(count, rate=16000):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=rate * (1 + index)) * 0.1 for index, name in enumerate(NAMES[:count])}


@pytest.mark.parametrize("count", [2, 4, 6, 8])
def test_each_class_has_its_words_and_its_frames(count, drawn_texts):
    fig = label_keywords_and_key_frames(keywords(count), waveforms(count), 16000, title="Labels of fold Ses05")
    texts = drawn_texts(fig)
    assert set(NAMES[:count]) <= set(texts)
    assert texts.count("congratulations") == count
    assert "0.300" in texts
    assert "time in the joined key frames (s)" in texts
    assert len(fig.axes) == 2 * count
    # 16000 samples are one second
    assert fig.axes[1].get_xlim() == (0, 1.0)
    assert fig.axes[3].get_xlim() == (0, 2.0)
    assert fig.axes[1].get_ylim() == fig.axes[3].get_ylim()


def test_one_modality_is_enough(drawn_texts):
    only_words = label_keywords_and_key_frames(keywords(4))
    assert len(only_words.axes) == 4
    drawn_texts(only_words)
    only_frames = label_keywords_and_key_frames(None, waveforms(4), 16000)
    assert len(only_frames.axes) == 4
    assert set(NAMES[:4]) <= set(drawn_texts(only_frames))


def test_classes_without_words_or_frames_say_so(drawn_texts):
    texts = drawn_texts(
        label_keywords_and_key_frames(
            {"angry": [], "sad": [("Rindfleischetikettierungsgesetz", 0.2)]},
            {"angry": np.zeros(0), "sad": np.zeros(16000)},
            16000,
        )
    )
    assert {"no keywords", "no key frames", "Rindfleischetikettierun…"} <= set(texts)


def test_the_highest_words_are_kept(drawn_texts):
    texts = drawn_texts(label_keywords_and_key_frames({"sad": [("low", 0.1), ("high", 0.9)]}, max_keywords=1))
    assert "high" in texts
    assert "low" not in texts


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="give keywords, waveforms, or both"):
        label_keywords_and_key_frames()
    with pytest.raises(ValueError, match="sampling_rate"):
        label_keywords_and_key_frames(None, waveforms(2))
    with pytest.raises(ValueError, match=r"keywords are of the classes \['calm', 'neutral'\], waveforms of"):
        label_keywords_and_key_frames(keywords(2), waveforms(3), 16000)


def test_how_much_the_classes_share_stands_below(drawn_texts):
    note = "semantic labels, two classes: 0 to 3 of 9 keywords shared\ntonal labels, two classes: 65 to 92 of 100 codes shared"
    assert note in drawn_texts(label_keywords_and_key_frames(keywords(4), waveforms(4), 16000, note=note))
    assert note in drawn_texts(label_keywords_and_key_frames(keywords(8), note=note))
