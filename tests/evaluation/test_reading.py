import numpy as np
import pytest
from model_tester import tiny_tokenizer, wave_feature_extractor

from hf_mer.evaluation import Condition
from hf_mer.evaluation.reading import BatchReader, first_seconds, first_words
from hf_mer.models import MerProcessor

BOTH = ("text", "speech")


@pytest.mark.parametrize(
    ("text", "share", "kept"),
    [
        ("One two, three four.", 0.5, "One two"),
        ("One two, three four.", 0.51, "One two, three"),
        ("One two, three four.", 0.01, "One"),
        ("One two, three four.", 1.0, "One two, three four."),
        ("[LAUGHTER]", 0.1, "[LAUGHTER]"),
        ("你好世界", 0.5, "你好"),
        (None, 0.5, None),
    ],
)
def test_first_words(text, share, kept):
    assert first_words(text, share) == kept


def test_first_seconds_of_a_span():
    assert first_seconds({"path": "a", "start": None, "end": None}, 2.0)["end"] == 2.0
    assert first_seconds({"path": "a", "start": 3.0, "end": 10.0}, 2.0)["end"] == 5.0
    assert first_seconds({"path": "a", "start": 3.0, "end": 4.0}, 2.0)["end"] == 4.0


@pytest.fixture
def make_reader(write_wav):
    rows = [
        {"id": "a", "text": "hello there you", "history": ["who"], "duration": 0.4, "audio": write_wav("a.wav", 0.4)},
        {"id": "b", "text": None, "history": [], "duration": 0.3, "audio": write_wav("b.wav", 0.3)},
        {"id": "c", "text": "good", "history": ["so"], "duration": None, "audio": None},
    ]
    wrong = {0.5: {"a": ("there you", ["who who"]), "b": (None, []), "c": ("bad", [])}}

    def make(use_history=True):
        processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer(), max_text_tokens=40)
        return BatchReader(rows, processor, use_history, wrong, None, 0, dict)

    return make


def test_what_a_condition_leaves_alone_is_the_same_tensor(make_reader):
    reader = make_reader()
    whole, present = reader.inputs(Condition("all", BOTH))
    assert present.tolist() == [[True, True], [False, True], [True, False]]
    wrong, _ = reader.inputs(Condition("words", BOTH, 0.5))
    assert wrong["input_values"] is whole["input_values"]
    assert wrong["input_ids"].shape != whole["input_ids"].shape
    noisy, _ = reader.inputs(Condition("white", BOTH, 5.0))
    assert noisy["input_ids"] is whole["input_ids"]
    assert (noisy["input_values"][:2] != whole["input_values"][:2]).any()
    alone, present = reader.inputs(Condition("alone", ("speech",)))
    assert set(alone) == {"input_values", "audio_attention_mask"}
    assert present.tolist() == [[True], [True], [False]]


def test_files_are_decoded_once(make_reader, monkeypatch):
    import hf_mer.evaluation.reading as module

    read = []
    original = module.load_audio
    monkeypatch.setattr(module, "load_audio", lambda source, *a, **k: read.append(source) or original(source, *a, **k))
    reader = make_reader()
    for condition in (Condition("all", BOTH), Condition("white", BOTH, 5.0), Condition("seconds", BOTH, 0.2)):
        reader.inputs(condition)
    assert len(read) == 2


def test_short_clips_lose_sound_and_words(make_reader):
    inputs, present = make_reader().inputs(Condition("seconds", BOTH, 0.2))
    assert inputs["audio_attention_mask"].sum(dim=1).tolist() == [3200, 3200, 0]
    whole, _ = make_reader().inputs(Condition("all", BOTH))
    tokens = (whole["attention_mask"].sum(dim=1) - inputs["attention_mask"].sum(dim=1)).tolist()
    assert tokens[0] == 1  # two of three words are kept
    assert tokens[2] == 0  # nobody knows how long it took to say
    assert np.array_equal(present, [[True, True], [False, True], [True, False]])


def test_words_of_a_clip_end_with_it_where_nobody_measured_it(write_video):
    film = {"path": write_video("a.mp4", seconds=2.0), "start": None, "end": None, "side": None}
    rows = [
        {"id": "a", "text": "one two three four", "history": [], "duration": None, "video": film},
        {"id": "b", "text": "one two three four", "history": [], "duration": None, "video": None},
    ]
    reader = BatchReader(rows, None, False, {}, None, 0, dict)
    texts = [row["text"] for row in reader._text(Condition("seconds", ("text", "video"), 1.0))]
    assert texts == ["one two", "one two three four"]


def test_history_counts_only_where_it_is_used(make_reader):
    with_history, _ = make_reader().inputs(Condition("all", BOTH))
    without, _ = make_reader(use_history=False).inputs(Condition("all", BOTH))
    assert without["attention_mask"].sum() < with_history["attention_mask"].sum()
