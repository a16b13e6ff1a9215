"""What is to be recognised: files, folders, tables, and what is wrong with them."""

import json

import pytest

from hf_mer.data.schema import CorpusError
from hf_mer.prediction import collect_units


def test_folders_at_any_depth(recordings):
    units = collect_units([str(recordings)])
    names = [unit.items[0].shown["input"].removeprefix(f"{recordings}/") for unit in units]
    assert names == ["a.wav", "b.flac", "c.wav", "deep/er/d.wav"]
    assert units[0].input == {"audio": str(recordings / "a.wav")}
    (recordings / "empty").mkdir()
    with pytest.raises(CorpusError, match="empty: no audio or video files"):
        collect_units([str(recordings / "empty")])


def test_a_table_has_the_columns_of_a_manifest(recordings):
    table = recordings / "calls.csv"
    lines = ["wav,transcript,dialogue,turn,emotion", "a.wav,Who is it?,one,1,x", "c.wav,It is me.,one,0,y", ",Hm.,,,z"]
    table.write_text("\n".join(lines))
    units = collect_units([str(table)])
    assert [unit.items[0].shown for unit in units] == [
        {"input": str(table), "line": 2, "file": str(recordings / "a.wav")},
        {"input": str(table), "line": 3, "file": str(recordings / "c.wav")},
        {"input": str(table), "line": 4, "file": None},
    ]
    assert [unit.input["history"] for unit in units] == [["It is me."], None, None]
    assert units[2].input == {"audio": None, "text": "Hm.", "history": None}
    assert [len(unit.items) > 1 for unit in units] == [False] * 3
    clips = recordings / "clips.jsonl"
    clips.write_text(json.dumps({"clip": "a.wav", "history": ["Oh."], "id": "first"}))
    (unit,) = collect_units([str(clips)], columns={"audio": "clip"})
    assert unit.input == {"audio": str(recordings / "a.wav"), "text": None, "history": ["Oh."]}
    assert unit.items[0].shown["id"] == "first"


def test_what_is_wrong_is_told_by_file_and_line(recordings):
    table = recordings / "calls.csv"
    table.write_text("audio,text\nnowhere.wav,Hi\na.wav,Ho\n,\n")
    units = collect_units([str(table), str(recordings / "gone.wav")])
    told = [unit.problem for unit in units]
    assert told[0] == f"{table}, line 2: no audio file {recordings / 'nowhere.wav'}"
    assert told[1] is None
    assert len(units) == 3  # a line of empty cells is no row
    assert told[2] == f"{recordings / 'gone.wav'}: no such file or folder"
    table.write_text("name\nAnn\n")
    with pytest.raises(CorpusError, match="neither audio nor video nor text; the columns are: name"):
        collect_units([str(table)])


def test_dialogues_stay_together_where_their_words_are_recognised(recordings):
    table = recordings / "calls.csv"
    lines = ["audio,text,dialogue,turn", "a.wav,,one,1", "c.wav,Hi,two,0", "c.wav,,one,0", "a.wav,Ho,two,1"]
    table.write_text("\n".join(lines))
    units = collect_units([str(table)], recognises_words=True)
    assert [[item.shown["line"] for item in unit.items] for unit in units] == [[4, 2], [3], [5]]
    assert [len(unit.items) > 1 for unit in units] == [True, False, False]
    assert [set(turn) for turn in units[0].input["dialogue"]] == [{"audio", "text"}] * 2
    assert units[2].input["history"] == ["Hi"]
    assert all(len(unit.items) == 1 for unit in collect_units([str(table)]))


def test_open_quotes_swallow_no_rows(recordings, caplog):
    table = recordings / "calls.tsv"
    table.write_text('audio\ttext\na.wav\tHi\na.wav\t"Oh\nc.wav\tHm\nc.wav\t"Ah\na.wav\tHo\n')
    units = collect_units([str(table)])
    assert [unit.input["text"] for unit in units] == ["Hi", '"Oh', "Hm", '"Ah', "Ho"]
    assert "line 3" in caplog.text


def test_what_a_folder_holds_beside_recordings_is_told(recordings, write_wav, caplog):
    for name in ("x.caf", "y.w64"):
        write_wav(f"calls/{name}")
    (recordings / "README").write_text("no recording")
    names = [unit.items[0].where.removeprefix(f"{recordings}/") for unit in collect_units([str(recordings)])]
    assert names == ["a.wav", "b.flac", "c.wav", "deep/er/d.wav", "x.caf", "y.w64"]
    assert caplog.messages == [f"{recordings}: files of other formats left out: none (1), .txt (1)"]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".3gp", "aac"), (".mka", "aac"), (".mp2", "mp2"), (".ac3", "ac3"), (".wv", "wavpack"), (".flv", "aac")],
)
def test_endings_that_count_can_be_heard(tmp_path, suffix, codec):
    """Sound of 44.1 kHz in the containers of telephones, recorders and players."""
    import av
    import numpy as np

    from hf_mer.models.audio_mer import load_audio

    path = tmp_path / f"sound{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44100, layout="mono")
        samples = np.sin(np.arange(44100) / 20, dtype=np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        for made in av.AudioResampler(stream.format.name, "mono", 44100, stream.frame_size or 1024).resample(frame):
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    assert [unit.input for unit in collect_units([str(tmp_path)])] == [{"audio": str(path)}]
    assert len(load_audio(str(path))) == pytest.approx(16000, abs=2000)
