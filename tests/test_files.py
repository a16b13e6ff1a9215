"""Files are whole or not there at all; no cell runs in a spreadsheet; JSON has no numbers that JSON lacks."""

import csv
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hf_mer
from hf_mer.files import (
    csv_text,
    json_text,
    markdown_table,
    plain_cell,
    read_csv,
    remove_leftovers,
    whole,
    write_atomically,
    write_csv,
    write_json,
)


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


FORMULAS = [
    '=cmd|"/c calc"!A1',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "-",
    "=1",
    "--1",
    "-1_000",
    "\uff1d1+1",
]
HARMLESS = ["hello", "", "'tis", "'", "a=b", "1-2", "-1", "+4915112", "-0.5", "-1e-7", "3.", "Ann's", "..=1", "''x"]


@pytest.mark.parametrize("value", [*FORMULAS, *("'" + value for value in FORMULAS), "''=1", *HARMLESS, "'-1"])
def test_cells_come_back(value, tmp_path):
    path = write_csv(tmp_path / "t.csv", ["id", value], [[value, 1], ["x", value]])
    assert read_csv(path) == [["id", value], [value, "1"], ["x", value]]


@pytest.mark.parametrize("value", FORMULAS)
def test_nothing_runs(value):
    ((cell,),) = csv.reader(io.StringIO(csv_text([[value]]), newline=""))
    assert cell == f"'{value}"


@pytest.mark.parametrize("value", HARMLESS)
def test_all_else_is_left_alone(value):
    assert plain_cell(value) == value
    assert csv_text([[value, "x"]]).replace('"', "") == f"{value},x\n"


def test_numbers_are_numbers_and_what_is_not_known_is_empty():
    assert csv_text([[-1, -0.5, np.float64(-2), float("nan"), None, True]]) == "-1,-0.5,-2.0,,,True\n"


def test_a_table_of_markdown_has_a_line_a_row():
    table = markdown_table(["name", "n"], [["a|b", 1], ["two\nlines ", None]])
    assert table == "| name | n |\n| --- | --- |\n| a\\|b | 1 |\n| two lines |  |"


def test_json_is_json(tmp_path):
    def refuse(name):
        raise AssertionError(name)

    content = {"loss": [float("nan"), math.inf, (-math.inf, 1.5)], "score": np.float64("nan"), "name": "ü", "n": 3}
    expected = {"loss": [None, None, [None, 1.5]], "score": None, "name": "ü", "n": 3}
    for text in (json_text(content), write_json(tmp_path / "r.json", content).read_text(encoding="utf-8")):
        assert json.loads(text, parse_constant=refuse) == expected


def test_all_files_for_people_go_through_here():
    """Another writer of CSV, or of JSON files, would be without these cares."""
    made = {"csv": set(), "json": set()}
    for path in Path(hf_mer.__file__).parent.rglob("*.py"):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(Path(hf_mer.__file__).parent).as_posix()
        made["csv"] |= {name} if re.search(r"csv\.(Dict)?[wW]riter|to_csv", text) else set()
        made["json"] |= {name} if re.search(r"write(_text)?\(\s*json\.dumps|json\.dump\(", text) else set()
    # corpora in the layout of others, of the package's own words; axes of tensors, and a process' number
    assert made["csv"] == {"files.py", "data/generated/folder.py", "data/generated/write_meld.py"}
    assert made["json"] == {"export/folder.py", "locks.py"}


def test_write_and_replace(tmp_path):
    path = write_json(tmp_path / "deep" / "a.json", {"x": 1})
    write_json(path, {"x": "\u0119"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": "\u0119"}
    assert os.listdir(path.parent) == ["a.json"]


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").touch()
    with pytest.raises(IsADirectoryError, match="mine is a folder; name a file"):
        write_json(tmp_path / "mine", {})
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "kept.txt"]
