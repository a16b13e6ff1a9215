"""Columns, records, histories, labels and tags."""

import pytest
from datasets import Audio, ClassLabel, Dataset, List, Value

from hf_mer.data.schema import (
    COLUMNS,
    CorpusError,
    canonical_label,
    column,
    corpus_features,
    dialogue_histories,
    is_tag_only,
    label_ids,
    make_record,
    records_to_dataset,
    strip_tags,
)


def test_columns():
    features = corpus_features(["angry", "sad"])
    assert features["audio"] == Audio(sampling_rate=16000, decode=False)
    assert features["label"] == ClassLabel(names=["angry", "sad"])
    assert features["history"] == List(Value("string"))
    assert features["turn"] == Value("int32")
    assert features["duration"] == Value("float32")
    assert set(COLUMNS) == {
        *(
            "id",
            "corpus",
            "audio",
            "audio_start",
            "audio_end",
            "video",
            "text",
            "history",
            "speaker",
            "gender",
            "dialogue",
            "session",
            "part",
            "split",
            "group",
            "turn",
        ),
        *("label", "votes", "duration", "start", "end", "valence", "arousal", "dominance"),
    }


def test_records_round_trip(tmp_path):
    records = [
        make_record(id="a", audio="/x/a.wav", text="Hi", history=["Oh"], label=1, duration=1.5, turn=2),
        make_record(id="b", label=0),
    ]
    rows = records_to_dataset(records, ["angry", "sad"], tmp_path)
    assert rows.column_names == list(COLUMNS)
    assert rows[0]["audio"] == {"bytes": None, "path": "/x/a.wav"}
    assert (rows[0]["history"], rows[0]["turn"], rows[0]["duration"]) == (["Oh"], 2, 1.5)
    assert (rows[1]["audio"], rows[1]["text"], rows[1]["history"]) == (None, None, [])
    assert rows.features["label"].int2str(rows[0]["label"]) == "sad"


def test_many_rows_become_one_table(tmp_path, monkeypatch):
    """A few at a time: nothing is lost where parts meet, and bad names of all parts are in one message."""
    monkeypatch.setattr("hf_mer.data.schema._ROWS_AT_ONCE", 2)
    records = [make_record(id=str(number), text=f"so {number}", label=number % 2) for number in range(5)]
    rows = records_to_dataset(iter(records), ["happy", "sad"], tmp_path)
    assert rows["id"] == [str(number) for number in range(5)]
    assert rows["label"] == [0, 1, 0, 1, 0]
    for number in (0, 4):
        records[number]["text"] = "\udce9"
    with pytest.raises(CorpusError, match=r"(?s)row 0: .*row 4: "):
        records_to_dataset(records, ["happy", "sad"], tmp_path)


def test_unknown_columns_are_refused():
    with pytest.raises(TypeError, match="emotion"):
        make_record(id="a", emotion="sad")


def test_the_same_rows_share_what_map_computed(tmp_path):
    records = [make_record(id="a", label=0, text="Hi")]
    first = records_to_dataset(records, ["sad"], tmp_path)
    again = records_to_dataset(records, ["sad"], tmp_path)
    other = records_to_dataset([make_record(id="a", label=0, text="Ho")], ["sad"], tmp_path)
    renamed = records_to_dataset(records, ["angry"], tmp_path)
    assert first._fingerprint == again._fingerprint
    assert len({one.cache_files[0]["filename"] for one in (first, other, renamed)}) == 3
    assert renamed.features["label"].names == ["angry"]
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("longest", "expected"),
    [
        (10, [[], ["a"], ["a", "b"], ["a", "b"], ["a", "b", "d"]]),
        (1, [[], ["a"], ["b"], ["b"], ["d"]]),
        (0, [[], [], [], [], []]),
    ],
)
def test_histories(longest, expected):
    assert dialogue_histories(["a", "b", None, "d", " "], longest) == expected


def test_histories_are_not_shared():
    histories = dialogue_histories(["a", "b", "c"], 5)
    histories[1].append("changed")
    assert histories[2] == ["a", "b"]
    with pytest.raises(ValueError, match="-1"):
        dialogue_histories(["a"], -1)


def test_labels():
    assert canonical_label("  Very\tHappy ") == "very happy"
    assert label_ids(["Sad", "Very Happy"]) == {"sad": 0, "very happy": 1}
    for bad, message in ((["sad", "Sad"], "twice"), (["sad", " "], "empty name"), ([], "no classes")):
        with pytest.raises(CorpusError, match=message):
            label_ids(bad)


def test_tags():
    assert strip_tags("[LAUGHTER] Oh [BREATHING] no.") == "Oh no."
    assert strip_tags("a [1] b") == "a [1] b"
    assert is_tag_only("[LAUGHTER]")
    assert is_tag_only("[LAUGHTER] ...")
    assert not is_tag_only("[LAUGHTER] Oh")
    assert not is_tag_only("")
    assert not is_tag_only("...")


def test_problems_are_cut_but_counted():
    error = CorpusError.from_problems("rows", [f"row {i}" for i in range(30)], hint="Do something.", shown=3)
    assert str(error).splitlines() == [
        "rows: 30 problems",
        "  row 0",
        "  row 1",
        "  row 2",
        "  ... and 27 more",
        "Do something.",
    ]
    assert len(error.problems) == 30
    assert str(CorpusError.from_problems("rows", ["row 1"])).startswith("rows: 1 problem\n")
    assert isinstance(error, ValueError)


def test_column_of_a_formatted_or_selected_dataset():
    rows = Dataset.from_dict({"id": ["a", "b", "c"], "n": [1, 2, 3]}).with_format("numpy").select([2, 0])
    assert column(rows, "n") == [3, 1]
    with pytest.raises(CorpusError, match="no column 'x'; they have id, n"):
        column(rows, "x")
