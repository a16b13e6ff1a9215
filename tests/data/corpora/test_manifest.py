"""People's own corpora: tables, folders, and everything that can be wrong with them."""

import json

import datasets
import pytest
import soundfile

from hf_mer.data.corpora.manifest import load_corpus
from hf_mer.data.schema import CorpusError
from hf_mer.prediction import collect_units


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def wav(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, [0.1] * 160, 16000)
    return path


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path):
    for name in ("a", "b", "c"):
        wav(tmp_path / "wavs" / f"{name}.wav")
    return write(
        tmp_path / "corpus.csv",
        "File,Emotion,Transcript,Speaker,Duration",
        'wavs/a.wav,Happy,"Well, hello",A1,1.5',
        "wavs/b.wav,sad,Oh,A1,",
        "wavs/c.wav,happy,,A2,0.5",
    )


def test_usual_names_are_found(corpus, tmp_path):
    rows = load_corpus(corpus)
    assert rows.features["label"].names == ["happy", "sad"]
    assert rows["label"][:] == [0, 1, 0]
    assert rows["id"][:] == ["a", "b", "c"]
    assert rows[0]["audio"] == {"bytes": None, "path": str(tmp_path / "wavs" / "a.wav")}
    assert rows["text"][:] == ["Well, hello", "Oh", None]
    assert rows["speaker"][:] == ["A1", "A1", "A2"]
    assert rows["duration"][:] == [1.5, None, 0.5]
    assert rows["history"][:] == [[], [], []]


def test_given_labels_keep_their_order_and_spelling(corpus):
    rows = load_corpus(corpus, labels=["Sad", "Neutral", "Happy"])
    assert rows.features["label"].names == ["Sad", "Neutral", "Happy"]
    assert rows["label"][:] == [2, 0, 2]


def test_genders_are_named_alike(tmp_path):
    lines = [f"{index},sad,{said}" for index, said in enumerate(("F", "female", "w", " Male", "M", "Non-binary", ""))]
    rows = load_corpus(write(tmp_path / "corpus.csv", "text,label,sex", *lines))
    assert rows["gender"][:] == [*["female"] * 3, *["male"] * 2, "non-binary", None]
    assert rows["corpus"][:] == [None] * 7


def test_given_columns_win(tmp_path):
    wav(tmp_path / "a.wav")
    table = write(tmp_path / "t.tsv", "clip\temotion\ttarget\tactor_no", "a.wav\tx\tjoy\t7")
    rows = load_corpus(table, columns={"audio": "clip", "label": "target", "group": "actor_no"})
    assert rows.features["label"].names == ["joy"]
    assert rows["group"][:] == ["7"]


def test_a_column_can_be_left_out(corpus):
    with pytest.raises(CorpusError, match="line 4: neither audio nor video nor text"):
        load_corpus(corpus, columns={"audio": None})
    assert load_corpus(corpus, columns={"text": None})["text"][:] == [None, None, None]


def test_audio_root(tmp_path):
    wav(tmp_path / "elsewhere" / "a.wav")
    table = write(tmp_path / "t.csv", "wav,label", "a.wav,sad")
    with pytest.raises(CorpusError, match="no audio file"):
        load_corpus(table)
    rows = load_corpus(table, audio_root=tmp_path / "elsewhere")
    assert rows[0]["audio"]["path"] == str(tmp_path / "elsewhere" / "a.wav")


def test_every_bad_row_is_in_one_error(tmp_path):
    wav(tmp_path / "a.wav")
    table = write(
        tmp_path / "t.csv",
        "id,file,label,turn,history",
        "1,a.wav,sad,0,",
        '2,gone.wav,sad,one,"[1]"',
        "1,a.wav,,0,",
        '3,a.wav,"so',
        'sad",0,never',
        "4,,sad,0,",
        "5,a.wav,joy,0,",
    )
    with pytest.raises(CorpusError) as caught:
        load_corpus(table, labels=["angry", "sad"])
    expected = [
        "line 3: turn 'one' is not a number",
        "line 3: history must be a list of texts",
        f"line 3: no audio file {tmp_path / 'gone.wav'}",
        "line 5: history 'never' is not a JSON list",
        "line 7: neither audio nor video nor text",
        "line 4: the label is empty",
        "line 5: label 'so sad' is not one of angry, sad",
        "line 8: label 'joy' is not one of angry, sad",
        f"line 4: id '1' is already used in {table}, line 2",
    ]
    for problem, wanted in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(str(table))
        assert wanted in problem


@pytest.mark.parametrize(
    ("header", "columns", "message"),
    [
        ("clip,label", {}, r"neither audio nor video nor text; the columns are: clip, label.*columns=\{'audio'"),
        ("file,mood", {}, r"no column with the label; the columns are: file, mood.*columns=\{'label'"),
        ("file,path,label", {}, r"'audio' could be any of file, path; pass columns=\{'audio': 'file'\}"),
        ("file,label", {"audio": "clip"}, r"no column for audio='clip'; the columns are: file, label"),
        ("file,label", {"sound": "file"}, r"\['sound'\]: unknown names"),
        ("file,label,label", {}, r"line 1: columns \['label'\] occur twice"),
    ],
)
def test_wrong_columns(tmp_path, header, columns, message):
    table = write(tmp_path / "t.csv", header, ",".join("x" for _ in header.split(",")))
    with pytest.raises(CorpusError, match=message):
        load_corpus(table, columns=columns)


def test_the_name_of_the_schema_beats_an_alias(tmp_path):
    table = write(tmp_path / "t.csv", "text,sentence,label", "this,that,sad")
    assert load_corpus(table)["text"][:] == ["this"]


def test_text_only_with_dialogues(tmp_path):
    table = write(
        tmp_path / "t.csv",
        "dialogue,turn,text,label,start",
        "d1,2,third,sad,00:00:02.5",
        "d1,0,first,sad,0.25",
        'd2,0,other,happy,"00:01:00,5"',
        "d1,1,second,,1",
    )
    with pytest.raises(CorpusError, match=r"line 5: the label is empty \(unlabelled='history'"):
        load_corpus(table)
    rows = load_corpus(table, unlabelled="history")
    assert rows["text"][:] == ["third", "first", "other"]
    assert rows["history"][:] == [["first", "second"], [], []]
    assert rows["id"][:] == ["d1_2", "d1_0", "d2_0"]
    assert rows["turn"][:] == [2, 0, 0]
    assert rows["start"][:] == [2.5, 0.25, 60.5]
    assert rows["audio"][:] == [None, None, None]
    assert load_corpus(table, unlabelled="history", max_history=1)["history"][0] == ["second"]


def test_turns_are_the_order_of_the_file_if_not_given(tmp_path):
    table = write(tmp_path / "t.csv", "dialogue,text,label", "d,a,sad", "e,x,sad", "d,b,sad")
    rows = load_corpus(table)
    assert rows["turn"][:] == [0, 0, 1]
    assert rows["history"][:] == [[], [], ["a"]]
    assert rows["id"][:] == ["d_0", "e_0", "d_1"]


def test_dialogues_that_are_numbered_anew_in_every_split(tmp_path, caplog):
    lines = [f"{dialogue},{split} {dialogue} {turn},sad,{split}" for split in ("train", "test") for dialogue in (0, 1)
             for turn in range(2)]  # fmt: skip
    rows = load_corpus(write(tmp_path / "t.csv", "dialogue,text,label,split", *lines, "2,alone,glad,train"))
    histories = dict(zip(rows["text"], rows["history"], strict=True))
    assert histories["test 0 0"] == []
    assert histories["test 0 1"] == ["test 0 0"]
    assert sorted(set(rows["dialogue"])) == ["2", "test/0", "test/1", "train/0", "train/1"]
    assert "2 dialogues have rows in several splits, such as '0'" in caplog.text


def test_turns_that_cannot_be(tmp_path):
    table = write(
        tmp_path / "t.csv", "id,dialogue,turn,text,label", *("1,d,1,a,s", "2,d,1,b,s", "3,e,0,c,s", "4,e,,d,s")
    )
    with pytest.raises(CorpusError) as caught:
        load_corpus(table)
    assert caught.value.problems == [
        f"{table}, line 3: turn 1 of dialogue 'd' is already used in {table}, line 2",
        f"{table}, line 5: dialogue 'e' has turn numbers, but this row has none",
    ]


def test_a_history_column_that_is_left_out_leaves_the_dialogues(tmp_path):
    lines = ("d,1,hi,sad,office", "d,2,ho,sad,office")
    table = write(tmp_path / "t.csv", "dialogue,turn,text,label,context", *lines)
    with pytest.raises(CorpusError, match="history 'office' is not a JSON list"):
        load_corpus(table)
    assert load_corpus(table, columns={"history": None})["history"][:] == [[], ["hi"]]
    (_, second) = collect_units([str(table)], columns={"history": None})
    assert second.input["history"] == ["hi"]


def test_turns_are_whole_numbers(tmp_path):
    table = write(tmp_path / "t.csv", "dialogue,turn,text,label", "d,1.2,a,s", "d,2.0,b,s")
    with pytest.raises(CorpusError, match=r"line 2: turn '1\.2' is not a whole number"):
        load_corpus(table)


def test_history_column(tmp_path):
    table = tmp_path / "t.jsonl"
    lines = [
        {"text": "c", "label": "sad", "history": ["a", "b"], "speaker": 3},
        {"text": "d", "label": "sad", "history": '["a"]'},
        {"text": "e", "label": "sad"},
    ]
    table.write_text("\n\n".join(map(json.dumps, lines)))
    rows = load_corpus(table, max_history=1)
    assert rows["history"][:] == [["b"], ["a"], []]
    assert rows["speaker"][:] == ["3", None, None]
    assert load_corpus(table, max_history=0)["history"][:] == [[], [], []]


def test_broken_files_are_named(tmp_path):
    bad_json = write(tmp_path / "t.jsonl", '{"text": "a", "label": "sad"}', "{oops")
    with pytest.raises(CorpusError, match=r"t\.jsonl, line 2: not JSON"):
        load_corpus(bad_json)
    ragged = write(tmp_path / "ragged.csv", "text,label", "well, well,sad")
    with pytest.raises(CorpusError, match="line 2: 3 cells, but the header has 2 columns"):
        load_corpus(ragged)
    (tmp_path / "latin.csv").write_bytes("text,label\nd\u00e9j\u00e0,sad\n".encode("cp1252"))
    with pytest.raises(CorpusError, match=r"not utf-8 at byte .*encoding='cp1252'"):
        load_corpus(tmp_path / "latin.csv")
    assert load_corpus(tmp_path / "latin.csv", encoding="cp1252")["text"][:] == ["d\u00e9j\u00e0"]
    with pytest.raises(CorpusError, match="no rows"):
        load_corpus(write(tmp_path / "empty.csv", "text,label"))
    with pytest.raises(CorpusError, match="no such manifest"):
        load_corpus(tmp_path / "nowhere.csv")
    with pytest.raises(CorpusError, match=r"manifests end in \.csv"):
        load_corpus(write(tmp_path / "t.xlsx", "x"))


def test_byte_order_mark_and_semicolons(tmp_path):
    (tmp_path / "t.csv").write_bytes("\ufefftext;label\r\na, b;sad\r\n".encode())
    assert load_corpus(tmp_path / "t.csv")["text"][:] == ["a, b"]


def test_folder_of_labels(tmp_path):
    for name in ("Happy/1.wav", "Happy/._1.wav", "sad/1.wav", "sad/note.txt", ".cache/x.wav"):
        path = tmp_path / "clips" / name
        wav(path) if name.endswith(".wav") else path.write_text("x")
    rows = load_corpus(tmp_path / "clips")
    assert rows.features["label"].names == ["happy", "sad"]
    assert rows["id"][:] == ["Happy/1", "sad/1"]  # the stem alone would occur twice
    assert rows["split"][:] == [None, None]


def test_recordings_whose_label_no_folder_says(tmp_path):
    for name in ("happy/a/1.wav", "sad/2.wav", "happy/3.wav", "4.wav"):
        wav(tmp_path / "clips" / name)
    with pytest.raises(CorpusError) as caught:
        load_corpus(tmp_path / "clips")
    assert caught.value.problems == [
        "4.wav: not at <label>/*, which names the label",
        "happy/a/1.wav: not at <label>/*, which names the label",
    ]


def test_folder_of_splits(tmp_path):
    for name in ("train/sad/1.wav", "test/sad/2.wav"):
        wav(tmp_path / "clips" / name)
    rows = load_corpus(tmp_path / "clips")
    assert dict(zip(rows["id"], rows["split"], strict=True)) == {"1": "train", "2": "test"}


def test_folder_with_metadata(tmp_path):
    wav(tmp_path / "clips" / "x" / "1.wav")
    write(tmp_path / "clips" / "metadata.csv", "file_name,label", "x/1.wav,sad")
    rows = load_corpus(tmp_path / "clips")
    assert rows[0]["audio"]["path"] == str(tmp_path / "clips" / "x" / "1.wav")
    with pytest.raises(CorpusError, match=r"no metadata\.csv"):
        load_corpus(tmp_path / "clips" / "x")


def test_one_manifest_per_split(tmp_path):
    for name in ("train", "test"):
        write(tmp_path / f"{name}.csv", "dialogue,turn,text,label", f"0,0,{name} a,sad", f"0,1,{name} b,sad")
    rows = load_corpus({"train": tmp_path / "train.csv", "test": tmp_path / "test.csv"})
    assert rows["split"][:] == ["train", "train", "test", "test"]
    assert rows["id"][:] == ["train/0_0", "train/0_1", "test/0_0", "test/0_1"]
    assert rows["dialogue"][:] == ["train/0", "train/0", "test/0", "test/0"]
    assert rows["history"][:] == [[], ["train a"], [], ["test a"]]


def test_unknown_options(corpus):
    with pytest.raises(ValueError, match="'error' or 'history'"):
        load_corpus(corpus, unlabelled="drop")
    with pytest.raises(ValueError, match="max_history is -1"):
        load_corpus(corpus, max_history=-1)
    with pytest.raises(CorpusError, match="given twice"):
        load_corpus(corpus, labels=["sad", "Sad"])


class TestVideo:
    def video(self, rows):
        return [None if one is None else tuple(one.values()) for one in rows["video"][:]]

    def test_one_film_is_enough(self, tmp_path, write_video):
        film = write_video("a.mp4")
        for name in ("video", "Video_Path", "audio", "file"):
            rows = load_corpus(write(tmp_path / "t.csv", f"{name},label", "a.mp4,sad"))
            assert rows[0]["audio"] == {"bytes": None, "path": film}
            assert self.video(rows) == [(film, None, None, None)]
            assert rows["id"][:] == ["a"]

    def test_either_can_be_left_out(self, tmp_path, write_video):
        film = write_video("a.mp4")
        table = write(tmp_path / "t.csv", "audio,label", "a.mp4,sad")
        assert self.video(load_corpus(table, columns={"video": None})) == [None]
        table = write(tmp_path / "t.csv", "video,label", "a.mp4,sad")
        rows = load_corpus(table, columns={"audio": None})
        assert rows["audio"][:] == [None]
        assert self.video(rows) == [(film, None, None, None)]

    def test_with_both_columns_an_empty_cell_means_without(self, tmp_path, write_video):
        film, sound = write_video("a.mp4"), str(wav(tmp_path / "b.wav"))
        other = write_video("c.mp4")
        lines = ("audio,video,label", "b.wav,a.mp4,sad", "a.mp4,,sad", ",c.mp4,sad")
        rows = load_corpus(write(tmp_path / "t.csv", *lines))
        assert [one and one["path"] for one in rows["audio"][:]] == [sound, film, None]
        assert [one and one[0] for one in self.video(rows)] == [film, None, other]

    def test_sound_files_have_no_picture(self, corpus):
        assert self.video(load_corpus(corpus)) == [None, None, None]

    def test_spans_and_sides(self, tmp_path, write_video, caplog):
        film = write_video("scene.mp4")
        table = write(
            tmp_path / "t.csv",
            "video,video_start,video_end,video_side,label,text",
            "scene.mp4,0.25,0:00:01.5,Left,sad,Oh",
            "scene.mp4,,0.5,,sad,Ah",
            "scene.mp4,,,right,glad,Uh",
        )
        rows = load_corpus(table)
        assert self.video(rows) == [(film, 0.25, 1.5, "left"), (film, None, 0.5, None), (film, None, None, "right")]
        assert [one and one["path"] for one in rows["audio"][:]] == [film] * 3  # with the sound of the same span
        assert rows["audio_start"][:] == [0.25, None, None]
        assert rows["audio_end"][:] == [1.5, 0.5, None]
        assert rows["id"][:] == ["scene_0.25-1.5", "scene_0-0.5", "scene"]
        assert not caplog.text

    @pytest.mark.parametrize("header", ["video", "audio", "audio,video"])
    def test_start_and_end_of_one_film_are_of_sound_and_picture(self, tmp_path, write_video, header):
        film = write_video("scene.mp4", seconds=2.0)
        files = ",".join(["scene.mp4"] * len(header.split(",")))
        lines = (f"{files},0.0,0.5,sad", f"{files},1.0,1.75,glad")
        table = write(tmp_path / "t.csv", f"{header},start,end,label", *lines)
        rows = load_corpus(table)
        assert self.video(rows) == [(film, 0.0, 0.5, None), (film, 1.0, 1.75, None)]
        assert (rows["audio_start"][:], rows["audio_end"][:]) == ([0.0, 1.0], [0.5, 1.75])
        for unit in collect_units([str(table)]):
            assert {"audio_start", "audio_end"} <= set(unit.input) or unit.input["video"]["end"] in (0.5, 1.75)

    def test_start_and_end_of_two_files(self, tmp_path, write_video):
        write_video("scene.mp4")
        soundfile.write(tmp_path / "a.wav", [0.1] * 8000, 16000)
        table = write(tmp_path / "t.csv", "audio,video,start,end,label", "a.wav,scene.mp4,0.0,0.2,sad")
        with pytest.raises(CorpusError, match="sound and picture are two files") as caught:
            load_corpus(table)
        assert "'audio_start': 'start'" in str(caught.value)
        assert "'video_end': 'end'" in str(caught.value)
        both = {"audio_start": "start", "audio_end": "end", "video_start": "start", "video_end": "end"}
        rows = load_corpus(table, columns=both)
        assert (rows["audio_end"][0], self.video(rows)[0][2]) == (0.2, pytest.approx(0.2))

    def test_recordings_of_spans(self, tmp_path, write_video, caplog):
        film, sound = write_video("scene.mp4"), str(wav(tmp_path / "a.wav"))
        table = write(tmp_path / "t.csv", "audio,video,video_start,label", "a.wav,scene.mp4,0.5,sad")
        rows = load_corpus(table)
        assert rows[0]["audio"]["path"] == sound
        assert self.video(rows) == [(film, 0.5, None, None)]
        assert "without sound" not in caplog.text

    def test_bad_rows(self, tmp_path, write_video):
        write_video("a.mp4")
        table = write(
            tmp_path / "t.csv",
            "video,video_start,video_end,video_side,label,text",
            "gone.mp4,,,,sad,",
            "a.mp4,2,1,,sad,",
            "a.mp4,one,2,,sad,",
            "a.mp4,,,middle,sad,",
            ",1,2,,sad,Oh",
            ",,,,sad,",
        )
        with pytest.raises(CorpusError) as caught:
            load_corpus(table)
        problems = [problem.split(", line ")[1] for problem in caught.value.problems]
        assert problems == [
            f"2: no video file {tmp_path / 'gone.mp4'}",
            "3: the video's span begins at 2 s and ends at 1 s",
            "4: video_start 'one' is not a number",
            "5: video_side 'middle' is not one of left, right",
            "6: a span or side of a video, but no video",
            "7: neither audio nor video nor text",
        ]

    def test_folders_of_films(self, write_video, tmp_path):
        films = [write_video("films/sad/a.mp4"), write_video("films/happy/b.mkv")]
        rows = load_corpus(tmp_path / "films")
        assert sorted(one[0] for one in self.video(rows)) == sorted(films)
        assert sorted(one["path"] for one in rows["audio"][:]) == sorted(films)


def test_one_class_alone_is_named(tmp_path, caplog):
    table = tmp_path / "one.csv"
    table.write_text("text,label\nhello,angry\ngo away,angry\n")
    assert load_corpus(table).features["label"].names == ["angry"]
    assert "one.csv: every label is 'angry'" in caplog.text
