"""Examples of the generated corpus."""

from itertools import pairwise

import soundfile

from hf_mer.app import examples
from hf_mer.app.examples import example_dialogue, example_recording, examples_for, make_example, right_example
from hf_mer.app.recording import read_timed_words
from hf_mer.app.utterance import Prediction
from hf_mer.models.video_mer import media_kinds

FOUR = ["angry", "happy", "neutral", "sad"]
SEVEN = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]


def test_examples_need_classes_that_fit():
    assert [example.label for example in examples_for(FOUR, video=False)] == FOUR
    assert {example.label for example in examples_for(SEVEN, video=True)} == set(SEVEN)
    assert {example.label for example in examples_for(SEVEN, video=False)} == {"anger", "joy", "neutral", "sadness"}
    assert examples_for(["positive", "negative", "neutral"], video=False) == []


def test_an_example_is_made_once(tmp_path):
    example = examples_for(FOUR, video=False)[0]
    utterance = make_example(example, tmp_path)
    before = utterance.sound and soundfile.info(utterance.sound)
    assert 1 < before.duration < 6
    assert len(utterance.words.split()) == 8
    stamp = (tmp_path / "angry_0.wav").stat().st_mtime_ns
    assert make_example(example, tmp_path) == utterance
    assert (tmp_path / "angry_0.wav").stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == ["angry_0.wav"]


def test_an_example_is_one_that_the_model_gets_right(model, tmp_path, monkeypatch):
    example = examples_for(FOUR, video=False)[3]
    asked = []

    def predict(_, utterance):
        asked.append(utterance)
        return Prediction([{"label": "sad" if len(asked) == rights else "angry", "score": 0.6}])

    monkeypatch.setattr(examples, "predict", predict)
    rights = 3
    assert right_example(example, tmp_path, model) == make_example(example, tmp_path, seed=2)
    rights, asked = 0, []
    assert right_example(example, tmp_path, model) == make_example(example, tmp_path, seed=0)


def test_a_film_has_sound_and_picture(tmp_path):
    video = make_example(examples_for(SEVEN, video=True)[0], tmp_path, video=True).video
    assert media_kinds(video) == {"speech", "video"}


def test_the_words_of_the_second_turn_tell_nothing(model, tmp_path):
    from hf_mer.data.generated.sentences import LANGUAGES

    first, second, third = example_dialogue(examples_for(FOUR, video=False), tmp_path, model)

    def telling(words, valence):
        known = {word for kind in LANGUAGES["en"].valence_words[valence].values() for word in kind}
        return [word for word in words.lower().replace(".", "").replace(",", "").split() if word in known]

    assert telling(first.words, -1)
    assert not telling(second.words, -1)
    assert not telling(second.words, 1)
    assert telling(third.words, 1)


def test_the_long_example_comes_with_its_words(model, tmp_path):
    path, lines = example_recording(examples_for(FOUR, video=False), tmp_path, model)
    chunks = read_timed_words(lines)
    assert len(chunks) == 8
    assert chunks[-1]["timestamp"][1] <= soundfile.info(path).duration
    assert all(first["timestamp"][1] <= second["timestamp"][0] for first, second in pairwise(chunks))


def test_turns_and_windows_are_such_as_the_model_gets_right(model, tmp_path, monkeypatch):
    asked = []

    def predict(_, utterance):
        asked.append(utterance)
        return Prediction([{"label": labels[len(asked) % len(labels)], "score": 0.6}])

    monkeypatch.setattr(examples, "predict", predict)
    labels = ["none"]
    first = example_dialogue(examples_for(FOUR, video=False), tmp_path / "a", model)
    assert len(asked) == 3 * 5  # as many tries as there are for a turn
    assert [one.history for one in asked[::5]] == [(), (first[0].words,), (first[0].words, first[1].words)]
    labels, asked = ["happy", "angry", "none", "sad"], []  # right at the third, fifth and eighth question
    turns = example_dialogue(examples_for(FOUR, video=False), tmp_path / "b", model)
    assert [one.words for one in turns] == [asked[2].words, asked[4].words, asked[7].words]
    assert all(not one.history for one in turns)
    labels, asked = ["none"], []
    _, wrong = example_recording(examples_for(FOUR, video=False), tmp_path / "c", model)
    assert len(asked) == 8 * 5
    labels = FOUR
    _, right = example_recording(examples_for(FOUR, video=False), tmp_path / "d", model)
    assert right != wrong
