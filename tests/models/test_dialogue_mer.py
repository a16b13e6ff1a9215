import datasets
import pytest
from model_tester import save_tiny_checkpoint, tone
from transformers import pipeline

from hf_mer.models import PIPELINE_TASK
from hf_mer.models.dialogue_mer import DialogueHistory, as_dialogues, is_dialogue


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("dialogue") / "checkpoint")[0]


@pytest.fixture(scope="module")
def recognise(folder):
    return pipeline(PIPELINE_TASK, model=folder, device="cpu")


def close(result, expected):
    assert {item["label"]: item["score"] for item in result} == pytest.approx(
        {item["label"]: item["score"] for item in expected}, abs=1e-5
    )


@pytest.fixture
def turns(write_wav):
    return [
        {"audio": write_wav("a.wav", 0.4), "text": "who is it"},
        {"text": "yes"},
        {"audio": write_wav("b.wav", 0.2, pitch=330.0)},
        {"audio": write_wav("c.wav", 0.3, pitch=110.0), "text": "so glad you came"},
        {"text": "awful day", "history": ["no"]},
        {"text": "what a day"},
    ]


def by_hand(recognise, turns, before=()):
    """One turn after the other, with the history written out."""
    said, results = list(before), []
    for turn in turns:
        history = turn.get("history") if turn.get("history") is not None else list(said)
        results.append(recognise({**turn, "history": history}))
        if turn.get("text"):
            said.append(turn["text"])
    return results


@pytest.mark.parametrize("batch_size", [1, 4])
def test_history_is_kept(recognise, turns, batch_size):
    expected = by_hand(recognise, turns)
    for inputs in (turns, tuple(turns), {"dialogue": turns}):
        settings = {} if isinstance(inputs, dict) else {"dialogue": True}
        results = recognise(inputs, batch_size=batch_size, **settings)
        assert len(results) == len(turns)
        for given, alone in zip(results, expected, strict=True):
            close(given, alone)
    without = recognise(turns, batch_size=batch_size)
    for index, differs in enumerate([False, True, True, True, False, True]):
        gap = max(abs(a["score"] - b["score"]) for a, b in zip(without[index], expected[index], strict=True))
        assert (gap > 1e-4) == differs, index


def test_what_was_said_before(recognise, turns):
    results = recognise({"dialogue": turns[:2], "history": ["the report"]})
    for given, alone in zip(results, by_hand(recognise, turns[:2], ["the report"]), strict=True):
        close(given, alone)


def test_several_dialogues_and_utterances_in_a_list(recognise, turns):
    items = [{"dialogue": turns}, turns[0], {"dialogue": []}, {"dialogue": turns[::-1]}]
    for batch_size in (1, 3):
        first, single, nothing, last = recognise(items, batch_size=batch_size)
        close(single, recognise(turns[0]))
        assert nothing == []
        for results, order in ((first, turns), (last, turns[::-1])):
            for given, alone in zip(results, by_hand(recognise, order), strict=True):
                close(given, alone)
    nested = recognise([turns, turns[::-1]], dialogue=True, batch_size=3)
    assert [len(results) for results in nested] == [6, 6]
    close(nested[1][0], last[0])
    streamed = list(recognise((item for item in items), batch_size=3))
    close(streamed[3][5], last[5])


def test_workers_keep_histories(recognise, turns):
    results = recognise([{"dialogue": turns}, {"dialogue": turns[1:]}], batch_size=2, num_workers=1)
    for given, alone in zip(results[1], by_hand(recognise, turns[1:]), strict=True):
        close(given, alone)


def test_recognised_words_count(folder, turns):
    heard = []

    def asr(samples, rate):
        heard.append(len(samples) / rate)
        return "lovely"

    recognise = pipeline(PIPELINE_TASK, model=folder, asr=asr)
    results = recognise(turns, dialogue=True, threshold=0.0, batch_size=4)
    assert heard == [0.2]
    assert [result.get("text") for result in results] == [None, None, "lovely", None, None, None]
    known = [{**turn, "text": turn.get("text", "lovely")} for turn in turns]
    for given, alone in zip(results, by_hand(recognise, known), strict=True):
        close(given["scores"], alone)


def test_columns_beside_the_turns(recognise):
    sounds, texts = [tone(0.3), tone(0.2, pitch=330.0)], ["so glad", None]
    results = recognise(sounds, text=texts, dialogue=True)
    close(results[1], recognise(sounds[1], history=["so glad"]))


def test_rows_of_a_dataset(recognise):
    rows = [{"text": "who is it", "dialogue": "d1"}, {"text": "yes", "dialogue": "d1"}]
    results = recognise(datasets.Dataset.from_list(rows), dialogue=True)
    for given, alone in zip(results, by_hand(recognise, [{"text": row["text"]} for row in rows]), strict=True):
        close(given, alone)
    close(recognise(rows)[1], recognise(text="yes"))  # the name of a dialogue is none


def test_only_the_latest_turns_are_kept():
    history = DialogueHistory(2, ["a", "b", "c"])
    assert [history.next_turn(text) for text in ("d", " ", None, "e")] == [
        ["b", "c"], ["c", "d"], ["c", "d"], ["c", "d"]
    ]  # fmt: skip
    assert history.next_turn("f") == ["d", "e"]
    assert DialogueHistory(0, ["a"]).next_turn("b") == []
    with pytest.raises(ValueError, match="history must be a list of utterances"):
        DialogueHistory(2, "abc")


def test_what_is_a_dialogue():
    assert as_dialogues([{"text": "a"}, "b.wav", [0.1, 0.2]]) == {"dialogue": [{"text": "a"}, "b.wav", [0.1, 0.2]]}
    assert as_dialogues([[{"text": "a"}], {"dialogue": []}]) == [{"dialogue": [{"text": "a"}]}, {"dialogue": []}]
    assert is_dialogue({"dialogue": []})
    assert not is_dialogue({"dialogue": "Ses01F_impro01"})
    assert not is_dialogue({"dialogue": None})


def test_refused(recognise):
    with pytest.raises(ValueError, match="some items are lists of turns and some are turns"):
        recognise([[{"text": "so"}], {"text": "so"}], dialogue=True)
    with pytest.raises(ValueError, match="dialogue=True needs a list of turns, or a list of such lists, got a str"):
        recognise("a.wav", dialogue=True)
    with pytest.raises(ValueError, match="an item with 'dialogue' also has text: these belong to its turns"):
        recognise({"dialogue": [{"text": "so"}], "text": "so"})
    with pytest.raises(ValueError, match="turn 2 of a dialogue: an input has nothing that this model can use"):
        recognise([{"text": "so"}, {"text": ""}], dialogue=True)
    assert recognise([], dialogue=True) == []
