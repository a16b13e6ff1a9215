"""Tables that are not UTF-8: every command that reads one says what to do, and doing so helps."""

import csv

import pytest

from hf_mer.cli import main
from hf_mer.cli.exporting import _utterances


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "calls.csv"
    lines = ["text,label,speaker", *(f"ça va {i},{label},s{i}" for i, label in enumerate(["happy", "sad", "angry"]))]
    path.write_text("\n".join(lines), encoding="cp1252")
    return str(path)


@pytest.mark.parametrize("command", ["predict", "prepare", "train", "evaluate"])
def test_the_advice_can_be_followed(command, table, tiny_checkpoint, tmp_path, capsys):
    checkpoint, out = tiny_checkpoint()[0], str(tmp_path / "out")
    conditions = ["--word-error-rates", "--noises", "--seconds", "--resamples", "10"]
    words = {
        "predict": ["predict", checkpoint, table],
        "prepare": ["prepare", "manifest", table, out],
        "train": ["train", "le_mer", table, "--dry-run"],
        "evaluate": ["evaluate", checkpoint, "--corpus", "manifest", "--data-dir", table, "--out", out, *conditions],
    }[command]
    assert main(words) == 1
    assert (
        f"{table}, line 2: not utf-8 at byte 19; save it as UTF-8, or give its encoding, such as --encoding cp1252"
        in (capsys.readouterr().err)
    )
    assert main([*words, "--encoding", "cp1252"]) == 0
    told = capsys.readouterr().out
    if command == "train":
        assert "--encoding cp1252" in told
    if command == "predict":
        assert len(list(csv.DictReader(told.splitlines()))) == 3
    assert main([*words, "--encoding", "cp12"]) == 1
    assert "encoding 'cp12' is not known" in capsys.readouterr().err


def test_of_an_export(table):
    assert [row["text"] for row in _utterances(table, 2, "cp1252")] == ["ça va 0", "ça va 1"]
