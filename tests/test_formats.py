"""No cell runs in a spreadsheet and every cell comes back; JSON has no numbers that JSON lacks."""

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import hf_mer
from hf_mer.formats import csv_text, json_text, plain_cell, read_csv
from hf_mer.training.files import write_csv, write_json

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
    assert made["csv"] == {"formats.py", "data/generated_folder.py", "data/generated_meld.py"}
    assert made["json"] == {"export/folder.py", "locks.py"}
