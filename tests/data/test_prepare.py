"""Folders that plain `load_dataset` reads."""

import io

import datasets
import pytest
import soundfile

from hf_mer.data.prepare import prepare
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def rows(tmp_path):
    soundfile.write(tmp_path / "a.wav", [0.1] * 1600, 16000)
    records = [
        make_record(id="a", audio=tmp_path / "a.wav", text="Hi", history=["Oh"], label=1, duration=0.1, turn=1),
        make_record(id="b", text="Ho", label=0, speaker="s1", votes=[0.75, 0.25, 0.0]),
    ]
    return records_to_dataset(records, ["angry", "sad", "very happy"])


def read(folder):
    return datasets.load_dataset(str(folder), cache_dir=str(datasets.config.HF_DATASETS_CACHE))


def test_round_trip(rows, tmp_path):
    folder = prepare(rows, tmp_path / "out" / "corpus")
    found = read(folder)
    assert list(found) == ["train"]
    assert found["train"].features == rows.features
    assert found["train"].to_list() == rows.to_list()
    assert found["train"]["votes"][:] == [None, [0.75, 0.25, 0.0]]
    assert found["train"][0]["audio"] == {"bytes": None, "path": str(tmp_path / "a.wav")}
    card = (folder / "README.md").read_text()
    assert "| train | 2 | 1 | 1 | 0 |" in card
    assert "not part of this folder" in card
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["corpus"]


def test_splits(rows, tmp_path):
    parts = {"train": rows, "validation": rows.select([1]), "test": rows.select([0])}
    found = read(prepare(datasets.DatasetDict(parts), tmp_path / "corpus"))
    assert {name: part["id"][:] for name, part in found.items()} == {
        "train": ["a", "b"],
        "validation": ["b"],
        "test": ["a"],
    }


def test_files_that_have_changed_are_embedded_anew(rows, tmp_path):
    record = {"audio": tmp_path / "a.wav", "audio_start": 0.0, "audio_end": 0.05, "label": 1}
    part = records_to_dataset([make_record(id="a", **record), make_record(id="b", audio=tmp_path / "a.wav", label=0)],
                              ["angry", "sad"])  # fmt: skip

    def peaks():
        found = read(prepare(part, tmp_path / "corpus", embed_audio=True, overwrite=True))["train"]
        return [soundfile.read(io.BytesIO(row["bytes"]))[0].max() for row in found["audio"]]

    assert peaks() == pytest.approx([0.1, 0.1], abs=1e-3)
    soundfile.write(tmp_path / "a.wav", [0.4] * 1600, 16000)
    assert peaks() == pytest.approx([0.4, 0.4], abs=1e-3)
    soundfile.write(tmp_path / "a.wav", [1.5] * 1600, 16000, subtype="FLOAT")  # beyond full scale
    assert peaks() == pytest.approx([1.5, 1.5], abs=1e-3)
    assert sorted(entry.name for entry in (tmp_path / "corpus").iterdir() if entry.is_dir()) == ["data"]


def test_embedded_audio(rows, tmp_path):
    content = (tmp_path / "a.wav").read_bytes()
    folder = prepare(rows, tmp_path / "corpus", embed_audio=True)
    (tmp_path / "a.wav").unlink()
    found = read(folder)["train"]
    assert found[0]["audio"] == {"bytes": content, "path": "a.wav"}
    assert found[1]["audio"] is None
    assert found.features == rows.features
    assert "only if the corpus's licence allows it" in (folder / "README.md").read_text()
    with pytest.raises(CorpusError, match="row a: no audio file"):
        prepare(rows, tmp_path / "again", embed_audio=True)
    assert not (tmp_path / "again").exists()


def test_nothing_is_replaced_unasked(rows, tmp_path):
    (tmp_path / "empty").mkdir()
    assert len(read(prepare(rows, tmp_path / "empty"))["train"]) == 2
    prepare(rows, tmp_path / "empty")  # the same once more, as after a kill that came at the very end
    for other, about in ((rows.select([1]), None), (rows, {"task": "4class"})):
        with pytest.raises(FileExistsError, match="overwrite=True"):
            prepare(other, tmp_path / "empty", about=about)
    folder = prepare(rows.select([1]), tmp_path / "empty", overwrite=True)
    assert read(folder)["train"]["id"][:] == ["b"]  # and not the rows that load_dataset cached before
    assert len(list((folder / "data").iterdir())) == 1
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match=r"not a prepared corpus \(it contains chapter\.tex\)"):
            prepare(rows, tmp_path / "thesis", overwrite=overwrite)
    with pytest.raises(FileExistsError, match="is a file"):
        prepare(rows, tmp_path / "a.wav")


def test_a_failure_leaves_nothing_behind(rows, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("hf_mer.data.prepare._card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(rows, tmp_path / "corpus")
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_to_write(rows, tmp_path):
    with pytest.raises(CorpusError, match="nothing to write: test without rows"):
        prepare({"train": rows, "test": rows.select([])}, tmp_path / "corpus")
    with pytest.raises(CorpusError, match="no splits"):
        prepare({}, tmp_path / "corpus")


def test_videos_keep_span_and_side(tmp_path):
    film = {"path": tmp_path / "scene.mp4", "start": 0.5, "end": 1.5, "side": "left"}
    records = [make_record(id="a", text="Hi", video=film, label=0), make_record(id="b", text="Ho", label=1)]
    folder = prepare(records_to_dataset(records, ["angry", "sad"], tmp_path / "cache"), tmp_path / "out")
    again = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    assert again["video"][:] == [{**film, "path": str(film["path"])}, None]
    assert "Videos are referenced by absolute path" in (folder / "README.md").read_text()
