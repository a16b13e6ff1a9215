"""What recordings are: what is in them, wherever it lies."""

import pytest

from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.training.fingerprints import content, recordings_hash


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A working folder with a file of the name that embedded recordings have."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audio.wav").write_bytes(b"of the folder")
    return tmp_path


@pytest.mark.parametrize(("column", "modality"), [("audio", "speech"), ("video", "video")])
def test_embedded_files_are_their_bytes_whatever_lies_around(files, column, modality):
    file = {"path": "audio.wav", "start": None, "end": None, "side": None}
    one, other, empty = ({column: {**file, "bytes": held}} for held in (b"one", b"other", b""))
    named = {column: {**file, "bytes": None}}
    known = {content(row, modality) for row in (one, other, empty, named)}
    assert len(known) == 4
    assert content({column: {**file, "path": "elsewhere/audio.wav", "bytes": b"one"}}, modality) == content(
        one, modality
    )
    assert content({column: {**file, "bytes": b"of the folder"}}, modality) == content(named, modality)


def test_of_a_corpus(files):
    def hashed(held):
        record = make_record(id="a", label=0, audio={"path": "audio.wav", "bytes": held})
        return recordings_hash(records_to_dataset([record], ["angry", "sad"]), ["speech"])

    assert hashed(b"one") != hashed(b"other")
    before = hashed(None)
    assert hashed(b"of the folder") == before
    (files / "audio.wav").write_bytes(b"and later another")
    assert hashed(None) != before
