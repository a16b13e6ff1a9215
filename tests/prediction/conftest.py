"""Recordings, and a small checkpoint that hears and reads."""

import pytest


@pytest.fixture
def checkpoint(tiny_checkpoint):
    """Folder of a tiny LE-MER."""
    return tiny_checkpoint()[0]


@pytest.fixture
def recognise(checkpoint):
    """Its pipeline."""
    from hf_mer.prediction.load import load_recognizer

    return load_recognizer(checkpoint)


@pytest.fixture
def recordings(write_wav, tmp_path):
    """A folder with five recordings, one of them deeper, one hidden, and a file that is none."""
    names = ("c.wav", "a.wav", "b.flac", "deep/er/d.wav", ".hidden.wav")
    for place, name in enumerate(names):
        write_wav(f"calls/{name}", seconds=0.3 + 0.1 * place, pitch=200 + 30 * place)
    (tmp_path / "calls" / "notes.txt").write_text("no recording")
    return tmp_path / "calls"
