import math

import numpy as np
import pytest

from hf_mer.models.timed_words_mer import (
    TimedWord,
    as_entries,
    clipped,
    shifted,
    tightened,
    timed_words,
    timeline_words,
    times_of,
    with_times,
)

SAID = [TimedWord(" So", 0.0, 0.4), TimedWord(" glad,", 0.5, 1.0), TimedWord(" n\u00e9", 1.2, math.inf)]


def test_open_ends():
    chunks = [{"text": "so", "timestamp": (None, None)}, {"text": "glad", "timestamp": (0.5, None)}]
    assert timed_words({"text": "so glad", "chunks": chunks}) == [("so", 0.0, 0.5), ("glad", 0.5, math.inf)]
    assert clipped(timed_words(chunks), 0.8) == [("so", 0.0, 0.5), ("glad", 0.5, 0.8)]
    assert shifted([SAID[1]], 2.0) == [(" glad,", 2.5, 3.0)]
    assert as_entries([*SAID[1:], TimedWord(" ", 2, 3)]) == [
        {"word": "glad,", "start": 0.5, "end": 1.0}, {"word": "n\u00e9", "start": 1.2, "end": None}
    ]  # fmt: skip


class TestTimesOfWordsAsTheyAreShown:
    def test_same_words(self):
        assert times_of(["So", "glad,"], SAID) == [(0.0, 0.4), (0.5, 1.0)]  # the text may have been cut
        assert times_of(["So", "glad,", "ne\u0301"], clipped(SAID, 1.5))[2] == (1.2, 1.5)  # another form of the accent

    def test_split_otherwise(self):
        assert times_of(["Soglad,"], SAID) == [(0.0, 1.0)]  # a script without spaces is one word when it is shown

    @pytest.mark.parametrize(
        "shown", [["So", "mad,"], ["glad,"], ["So", "glad,", "n\u00e9"], ["So", "gl"], ["So", "-"]]
    )
    def test_not_known(self, shown):
        assert times_of(shown, SAID) is None

    def test_a_sentence_has_no_times_of_words(self):
        assert times_of(["so", "glad"], [TimedWord("so glad", 0.0, 1.0)]) is None
        assert times_of(["so"], [TimedWord("so glad", 0.0, 1.0)]) is None
        assert times_of(["so"], None) is None

    def test_of_an_explanation(self):
        words = [{"word": "why?", "current": False}, {"word": "So", "current": True}]
        assert with_times(words, SAID) == [words[0], {**words[1], "start": 0.0, "end": 0.4}]
        assert with_times(words, SAID[1:]) == with_times(words, None) == words
        assert with_times([], SAID) == []


def test_words_without_the_silence_around_them():
    samples = np.zeros(3000)
    samples[1000:1500] = samples[2005:2010] = 0.5
    samples[0:900] = 0.004  # 42 dB below
    said = [TimedWord("a", 0.0, 1.7), TimedWord("b", 1.7, 3.0), TimedWord("c", 2.5, 3.0)]
    assert tightened(said, samples, 1000) == [("a", 1.0, 1.5), ("b", 2.0, pytest.approx(2.01)), ("c", 2.5, 3.0)]
    noisy = samples + np.tile([0.1, -0.1], 1500)
    assert tightened(said, noisy, 1000) == said
    assert tightened(said[:1], np.zeros(0), 1000) == said[:1]


def test_every_word_of_a_time_line_once():
    def window(start, end, *words):
        entries = [{"word": word, "start": first, "end": last} for word, first, last in words]
        return {"start": start, "end": end, "timed_words": entries}

    timeline = [
        window(0, 4, ("so", 0.5, 1.0), ("glad", 2.6, 3.0), ("cut", 3.8, 4.0)),
        window(2, 6, ("glad", 2.6, 3.2), ("you", 3.3, 3.6), ("cut", 3.8, 4.2), ("came", 5.5, None)),
        window(7, 9, ("no", 7.1, 7.2), ("no", 7.2, 7.4)),
        {"start": 9, "end": 10},
    ]
    assert timeline_words(timeline) == [
        ("so", 0.5, 1.0), ("glad", 2.6, 3.0), ("you", 3.3, 3.6), ("cut", 3.8, 4.2), ("came", 5.5, 5.5),
        ("no", 7.1, 7.2), ("no", 7.2, 7.4),
    ]  # fmt: skip
