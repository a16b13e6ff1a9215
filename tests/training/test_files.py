"""Files are whole or not there at all."""

import json
import os
import signal
import subprocess
import sys

import pytest

from hf_mer.training.files import remove_leftovers, write_atomically, write_json


def test_write_and_replace(tmp_path):
    path = write_json(tmp_path / "deep" / "a.json", {"x": 1})
    write_json(path, {"x": "\u0119"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": "\u0119"}
    assert os.listdir(path.parent) == ["a.json"]


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


def test_a_kill_leaves_the_old_one(tmp_path):
    target = write_json(tmp_path / "a.json", {"old": True})
    code = (
        "import os, signal, sys; from hf_mer.training.files import write_atomically\n"
        "def write(path): path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(sys.argv[1], write)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(target)], env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert killed.returncode == -signal.SIGKILL
    assert json.loads(target.read_text()) == {"old": True}
    assert len(os.listdir(tmp_path)) == 2  # what was begun lies beside it ...
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["a.json"]  # ... until somebody tidies up
