"""A second run goes on with what the first left, if it would give the same: by content, and alone at work."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from hf_mer import files
from hf_mer.cli import main
from hf_mer.locks import exclusive


@pytest.fixture
def out(tmp_path):
    return tmp_path / "p.csv"


@pytest.fixture
def table(recordings):
    path = recordings / "calls.csv"
    path.write_text("audio,text\na.wav,hello\nc.wav,so glad\na.wav,Hm.\nc.wav,Ho\n")
    return path


@pytest.fixture
def predict(checkpoint, table, out):
    """Runs the command; its status."""
    return lambda *options, source=None: main(
        ["predict", source or checkpoint, str(table), "--out", str(out), *options]
    )


def cut(out, rows):
    """As a kill leaves it: JSON lines beside the CSV file of an earlier run."""
    lines = out.with_name(f"{out.name}.rows.jsonl")
    lines.write_text("".join(lines.read_text().splitlines(keepends=True)[:rows]) + '{"number": 9')


def put_another_model(tiny_checkpoint, folder):
    import torch

    other = tiny_checkpoint()[1]
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    other.save_pretrained(folder)


def test_another_model_in_its_place(checkpoint, predict, out, tiny_checkpoint, capsys):
    assert predict() == 0
    cut(out, 2)
    kept = out.read_bytes()
    put_another_model(tiny_checkpoint, checkpoint)
    assert predict() == 1
    told = capsys.readouterr().err
    assert "p.csv was made with checkpoint '" in told
    assert "name another file, or give --overwrite" in told
    assert out.read_bytes() == kept


def test_the_same_model_in_another_place(checkpoint, predict, out, tmp_path):
    assert predict() == 0
    whole = out.read_text()
    cut(out, 2)
    moved = shutil.copytree(checkpoint, tmp_path / "moved" / "model")
    (moved / "README.md").write_text("a card")
    assert predict(source=str(moved.parent)) == 0
    assert out.read_text() == whole


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "processor_config.json"])
def test_all_that_predictions_rest_on_counts(checkpoint, file):
    from hf_mer.prediction.content import checkpoint_content

    before = checkpoint_content(checkpoint)
    path = Path(checkpoint, file)
    path.write_text(path.read_text() + "\n")
    assert checkpoint_content(checkpoint) != before


def test_graphs_of_one_export_differ(tmp_path):
    from hf_mer.prediction.content import checkpoint_content

    for name in ("config.json", "export.json", "model.onnx", "model_int8.onnx"):
        (tmp_path / name).write_text(name)
    whole, small = (checkpoint_content(tmp_path / name) for name in ("model.onnx", "model_int8.onnx"))
    assert whole != small
    assert checkpoint_content(tmp_path) == whole
    (tmp_path / "model_int8.onnx").write_text("another")
    assert checkpoint_content(tmp_path) == whole
    assert checkpoint_content(tmp_path / "model_int8.onnx") != small


def test_of_the_hub_the_commit_counts(tmp_path, monkeypatch):
    from huggingface_hub import constants

    from hf_mer.prediction.content import checkpoint_content

    commit, repository = "a" * 40, tmp_path / "models--me--emotions"
    for name, content in ((f"snapshots/{commit}/config.json", "{}"), ("refs/main", commit), ("refs/v1", commit)):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(content)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert checkpoint_content("me/emotions") == checkpoint_content("me/emotions", "v1") == commit
    assert checkpoint_content("me/others", "v2") == "me/others v2"


@pytest.mark.parametrize("change", ["words", "recording", "line"])
def test_inputs_that_have_changed(change, predict, out, table, recordings, capsys):
    assert predict() == 0
    cut(out, 3)
    lines = table.read_text().splitlines(keepends=True)
    if change == "recording":
        os.utime(recordings / "c.wav", (1, 1))
    elif change == "words":
        table.write_text("".join([*lines[:2], "c.wav,so sad\n", *lines[3:]]))
    else:
        table.write_text("".join([*lines[:2], "\n", *lines[2:]]))
    assert predict() == 1
    line = 4 if change == "line" else 3
    assert f"{table}, line {line}: the input or its recording has changed" in capsys.readouterr().err
    assert predict("--overwrite") == 0


def test_what_was_not_recognised_yet_may_change(predict, out, table):
    assert predict() == 0
    cut(out, 2)  # the third is done again
    table.write_text("audio,text\na.wav,hello\nc.wav,so glad\na.wav,No.\nc.wav,Ho\nc.wav,Hey\n")
    assert predict() == 0
    assert out.read_text().count("\n") == 6
    assert predict() == 0


def test_what_could_not_be_used_is_skipped_or_tried_again(predict, out, recordings, capsys):
    """As the error advises; what came before it is not recognised again, and skipped rows are if they must be right."""
    whole = (recordings / "c.wav").read_bytes()
    (recordings / "c.wav").write_bytes(b"no sound at all")
    assert predict() == 1
    assert "--on-bad skip continues without such inputs" in capsys.readouterr().err
    first = out.with_name("p.csv.rows.jsonl").read_text()
    assert first.count("\n") == 1
    assert predict("--on-bad", "skip") == 0
    with out.open(newline="") as file:
        assert [bool(row["error"]) for row in csv.DictReader(file)] == [False, True, False, True]
    assert out.with_name("p.csv.rows.jsonl").read_text().startswith(first)
    assert predict() == 1
    assert "cannot be read as audio" in capsys.readouterr().err
    (recordings / "c.wav").write_bytes(whole)
    assert predict() == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == list("1234")
    assert all(row["label"] for row in rows)
    assert "error" not in rows[0]


def test_a_kill_between_two_writes_mixes_nothing(predict, out, checkpoint, tiny_checkpoint):
    """What other settings made is gone before the new ones are told; an empty file says nothing."""
    assert predict() == 0
    settings = out.with_name("p.csv.settings.json")
    before = settings.read_text()
    out.unlink()
    out.with_name("p.csv.rows.jsonl").write_text("")
    put_another_model(tiny_checkpoint, checkpoint)
    assert predict() == 0
    assert settings.read_text() != before


def test_leftovers_of_a_kill(predict, out, tmp_path):
    ours, foreign = (
        tmp_path / f".{name}.csv.settings.{files._machine()}-99999999-01234567.unfinished.json" for name in "pq"
    )
    for path in (ours, foreign):
        path.write_text("{")
    assert predict() == 0
    assert sorted(path.name for path in tmp_path.glob(".*")) == [foreign.name]


def test_two_at_once(predict, out, capsys):
    with exclusive(out):
        assert predict() == 1
        assert f"{out}: in use by another run (host " in capsys.readouterr().err
    assert predict() == 0
    assert not list(out.parent.glob(".*"))


@pytest.mark.parametrize("content", ['{"number": "first", "input": "a.wav"}\n', '{"input": "a.wav"}\n', "input\n"])
def test_a_file_that_holds_no_predictions(predict, out, content, capsys):
    assert predict() == 0
    out.with_name("p.csv.rows.jsonl").write_text(content)
    assert predict() == 1
    assert f"{out}.rows.jsonl is damaged or does not contain predictions" in capsys.readouterr().err


def test_predictions_of_another_version_are_not_gone_on_with(predict, out, capsys):
    assert predict() == 0
    settings = out.with_name("p.csv.settings.json")
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps({**content, "hf_mer": "0.0.9"}))
    assert predict() == 1
    assert f"was made with hf_mer '0.0.9' (now '{content['hf_mer']}')" in capsys.readouterr().err


def test_a_file_of_an_older_version(predict, out, capsys):
    assert predict() == 0
    out.with_name("p.csv.rows.jsonl").unlink()
    assert predict() == 1
    assert "p.csv has no p.csv.rows.jsonl beside it to continue from" in capsys.readouterr().err
    assert predict("--overwrite") == 0


def test_characters_that_end_lines_elsewhere(checkpoint, tmp_path, out):
    table = tmp_path / "calls.jsonl"
    table.write_text(json.dumps({"text": "so\u2028glad", "id": "a\u2028\x85b"}) + "\n")
    command = ["predict", checkpoint, str(table), "--out", str(out)]
    assert main(command) == 0
    whole = out.read_bytes()
    assert main(command) == 0
    assert out.read_bytes() == whole


def test_settings_of_an_older_version(predict, out, capsys):
    assert predict() == 0
    settings = out.with_name("p.csv.settings.json")
    content = json.loads(settings.read_text())
    del content["inputs"]
    settings.write_text(json.dumps(content))
    assert predict() == 1
    assert "no p.csv.settings.json beside it says how it was made" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["=1+1", "'@x", "a\rb", "\n=1"])
def test_names_that_a_spreadsheet_would_run(checkpoint, recordings, out, name, monkeypatch):
    """They are made harmless, and a second run knows them again."""
    monkeypatch.chdir(recordings)
    names = [f"{name}{number}.wav" for number in range(3)]
    for own in names:
        os.link("a.wav", own)
    command = ["predict", checkpoint, *names, "--out", str(out)]
    assert main(command) == 0
    whole = out.read_bytes()
    with out.open(newline="") as file:
        shown = [row["input"] for row in csv.DictReader(file)]
    assert shown == [own if name[0] == "a" else f"'{own}" for own in names]
    cut(out, 2)
    assert main(command) == 0
    assert out.read_bytes() == whole
