"""Files and folders are whole or not there at all, and nothing of a killed process stays."""

import os
import signal
import subprocess
import sys

import pytest

from hf_mer.files import remove_leftovers, whole, write_atomically


def test_folders_are_replaced_as_a_whole(tmp_path):
    for name in ("one", "two"):
        write_atomically(tmp_path / "model", lambda path, name=name: (path.mkdir(), (path / name).touch()))
    assert os.listdir(tmp_path / "model") == ["two"]
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("folder", [False, True])
def test_an_exception_leaves_the_old_one(tmp_path, folder):
    def write(path, content):
        if folder:
            path.mkdir()
        (path / "in" if folder else path).write_text(content)
        if content == "half":
            raise RuntimeError("disk full")

    target = tmp_path / "thing"
    write_atomically(target, lambda path: write(path, "old"))
    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(target, lambda path: write(path, "half"))
    assert (target / "in" if folder else target).read_text() == "old"
    assert os.listdir(tmp_path) == ["thing"]


def killed_at(place, target):
    """Another process writes a folder and is killed, in the middle (`write`) or between the older one and the new."""
    code = (
        "import os, signal, sys; from hf_mer.files import write_atomically\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "def write(path): path.mkdir(); (path / 'half').touch(); die() if sys.argv[2] == 'write' else None\n"
        "replace = os.replace\n"
        "os.replace = lambda old, new: (replace if str(new).endswith('unfinished') else die)(old, new)\n"
        "write_atomically(sys.argv[1], write)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(target), place], env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert killed.returncode == -signal.SIGKILL


def write_folder(path):
    path.mkdir()
    (path / "whole").touch()


@pytest.mark.parametrize("place", ["write", "exchange"])
def test_a_kill_leaves_the_old_one_and_the_next_write_nothing_else(tmp_path, place):
    target = write_atomically(tmp_path / "model", write_folder)
    killed_at(place, target)
    assert len(os.listdir(tmp_path)) == 2  # what was begun lies beside it ...
    with whole(target) as temporary:
        assert os.listdir(target) == ["whole"]  # also where it was out of place already
        temporary.mkdir()
    assert os.listdir(tmp_path) == ["model"]  # ... until it is written again
    assert os.listdir(target) == []


def test_what_may_still_be_written_stays(tmp_path, monkeypatch):
    """What another machine, another call of this process, or another file's writer began."""
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        killed = whole(tmp_path / "a.csv").__enter__()
        elsewhere = killed.with_name(killed.name.replace(f"-{os.getpid()}-", "-99999999-"))
        elsewhere.touch()
    killed_at("write", tmp_path / "a.b.csv")
    (other,) = tmp_path.glob(".a.b.*")
    with whole(tmp_path / "a.csv") as mine:
        mine.touch()
        write_atomically(tmp_path / "a.csv", lambda path: path.touch())
        assert {path.name for path in tmp_path.iterdir()} == {elsewhere.name, other.name, mine.name, "a.csv"}
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["a.csv"]
