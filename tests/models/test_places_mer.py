"""Words, segments and frames, and what is left of an utterance without some of them."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from model_tester import feature_extractor_for, tiny_tokenizer, tone

from hf_mer.models import MerProcessor
from hf_mer.models.coalitions_mer import Variant
from hf_mer.models.explain_settings_mer import PLAYERS
from hf_mer.models.places_mer import faint_noise, places_of, segment_spans
from hf_mer.models.timed_words_mer import TimedWord

RATE = 16000


@pytest.fixture
def processor():
    return MerProcessor(feature_extractor_for("wav2vec2"), tiny_tokenizer(), max_text_tokens=12)


def places(processor, wanted=PLAYERS, **given):
    names = ("text", "history", "features", "pixels", "sound", "timed_words", "picture_seconds")
    utterance = SimpleNamespace(**{**dict.fromkeys(names), "start": 0.0, **given})
    if utterance.sound is not None:
        utterance.features = processor.features_of(utterance.sound)
    return {one.player: one for one in places_of(Variant.of(utterance, processor), utterance, processor, wanted)}


class TestWords:
    def test_words_leave_the_text(self, processor):
        found = places(processor, text="So glad,  you came!", history=["yes ."])
        assert [entry["word"] for entry in found["text"].entries] == ["So", "glad,", "you", "came!"]
        assert [entry["current"] for entry in found["text"].entries] == [True] * 4
        assert found["text"].left(np.array([True, False, False, True])) == {"text": "So came!"}
        assert [(entry["word"], entry["current"]) for entry in found["history"].entries] == [
            ("yes", False),
            (".", False),
        ]
        assert found["history"].left(np.array([False, True])) == {"history": ["."]}

    def test_what_the_model_does_not_read_is_no_place(self, processor):
        """Twelve tokens have room for ten words of one part; of the history it is that without the text that counts."""
        long = places(processor, text=" ".join(["so"] * 30), history=["yes no"])
        assert len(long["text"]) == 10
        assert [entry["word"] for entry in long["history"].entries] == ["yes", "no"]
        found = places(processor, text="so glad you came", history=["yes no yes no yes no yes no", "it is a day"])
        whole = places(processor, history=["yes no yes no yes no yes no", "it is a day"])
        words = [entry["word"] for entry in found["history"].entries]
        assert words == [entry["word"] for entry in whole["history"].entries]
        assert words[-4:] == ["it", "is", "a", "day"]
        assert len(words) < 12

    def test_times(self, processor):
        timed = [TimedWord("so", 0.1, 0.3), TimedWord("glad", 0.3, 0.8)]
        entries = places(processor, text="so glad", timed_words=timed)["text"].entries
        assert [(entry["start"], entry["end"]) for entry in entries] == [(0.1, 0.3), (0.3, 0.8)]

    def test_only_what_is_wanted(self, processor):
        given = {"text": "so glad", "history": ["yes"], "sound": tone(0.5)}
        assert set(places(processor, **given)) == {"text", "history", "speech"}
        assert set(places(processor, wanted=["history", "video"], **given)) == {"history"}
        assert places(processor, wanted=[], **given) == {}


class TestSegments:
    def test_windows(self):
        assert [(round(start, 9), round(end, 9)) for start, end, _ in segment_spans(0.9, None)] == [
            (0.0, 0.3), (0.3, 0.6), (0.6, 0.9)
        ]  # fmt: skip
        assert segment_spans(0.2, None) == [(0.0, 0.2, None)]
        assert len(segment_spans(2.05, None)) == 7
        phrase = [TimedWord("so glad", 0.1, 0.7)]
        unknown_end = [TimedWord("so", 0.1, float("inf"))]
        assert len(segment_spans(0.9, phrase)) == len(segment_spans(0.9, unknown_end)) == 3

    def test_words(self):
        """A short pause is shared by its neighbours, a long one is a segment; the sound is covered."""
        words = [TimedWord("so", 0.1, 0.4), TimedWord(" glad", 0.6, 1.0), TimedWord("you", 1.5, 1.7)]
        assert segment_spans(2.5, words) == [
            (0.0, 0.4 + 0.1, "so"), (0.5, 1.0, "glad"), (1.0, 1.5, None), (1.5, 1.7, "you"), (1.7, 2.5, None)
        ]  # fmt: skip
        assert segment_spans(1.8, words)[-1] == (1.5, 1.8, "you")
        assert segment_spans(0.3, words) == [(0.0, 0.3, "so")]
        assert segment_spans(0.7, words)[-1] == (0.5, 0.7, "glad")

    @pytest.mark.parametrize("seed", range(20))
    def test_any_words_cover_the_sound_once(self, seed):
        generator = np.random.default_rng(seed)
        starts, lengths = generator.uniform(0, 3, 6), generator.uniform(0, 0.8, 6)
        words = [TimedWord("word", start, start + length) for start, length in zip(starts, lengths, strict=True)]
        spans = segment_spans(2.5, words)
        assert spans[0][0] == 0
        assert spans[-1][1] == 2.5
        assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
        assert all(end > start for start, end, _ in spans)

    def test_a_segment_becomes_faint_noise(self, processor):
        sound = tone(0.6)
        found = places(processor, sound=sound, start=2.0)["speech"]
        assert [entry["start"] for entry in found.entries] == pytest.approx([2.0, 2.3])
        assert [entry["end"] for entry in found.entries] == pytest.approx([2.3, 2.6])
        heard = []
        processor.features_of = lambda samples: heard.append(samples) or samples
        found.left(np.array([True, False]))
        half = len(sound) // 2
        assert (heard[0][:half] == sound[:half]).all()
        assert 0 < np.abs(heard[0][half:]).max() < 0.05 * np.abs(sound).max()
        assert heard[0].dtype == np.float32

    def test_words_of_a_window(self, processor):
        timed = [TimedWord("so", 5.1, 5.4), TimedWord("glad", 5.4, 5.9)]
        found = places(processor, sound=tone(1.0), text="so glad", timed_words=timed, start=5.0)["speech"]
        assert [(round(one["start"], 3), round(one["end"], 3), one["word"]) for one in found.entries] == [
            (5.0, 5.4, "so"), (5.4, 6.0, "glad")
        ]  # fmt: skip
        assert found.grouped(1).entries == [{"start": 5.0, "end": 6.0, "word": "so glad"}]


def test_the_level_of_the_noise():
    generator = np.random.default_rng(0)
    background = generator.normal(scale=1e-3, size=RATE)
    background[: RATE // 2] += tone(0.5)
    assert faint_noise(background, RATE).std() == pytest.approx(1e-3, rel=0.1)
    assert faint_noise(tone(1.0), RATE).std() == pytest.approx(0.01 * tone(1.0).std(), rel=0.1)
    assert faint_noise(np.zeros(RATE, np.float32), RATE).std() == pytest.approx(1e-5, rel=0.1)
    assert (faint_noise(background, RATE) == faint_noise(background, RATE)).all()


def test_frames(processor):
    pixels = np.arange(4 * 3, dtype=np.float32).reshape(4, 3, 1, 1)
    found = places(processor, pixels=pixels, picture_seconds=2.0)["video"]
    assert [(entry["start"], entry["end"]) for entry in found.entries] == [(0, 0.5), (0.5, 1), (1, 1.5), (1.5, 2)]
    left = found.left(np.array([True, False, False, True]))["pixels"]
    assert (left == pixels[[0, 3]]).all()
    assert places(processor, pixels=pixels)["video"].entries == [{"start": None, "end": None}] * 4


def test_groups_of_neighbours(processor):
    found = places(processor, text="so glad you came yes")["text"].grouped(2)
    assert [entry["word"] for entry in found.entries] == ["so glad you", "came yes"]
    assert found.left(np.array([False, True])) == {"text": "came yes"}
    assert found.left(np.array([True, False])) == {"text": "so glad you"}
