"""Predictions in files: as those one by one, gone on with after a kill, with bad inputs told apart."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tqdm.auto

from hf_mer.cli import main
from hf_mer.prediction import PredictionFile, collect_units, predict_all
from hf_mer.prediction.runner import output_columns

ROOT = Path(__file__).parents[2]


def rows_of(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def scores_of(row):
    return {
        name.removeprefix("score_"): float(value) for name, value in row.items() if name.startswith("score_") and value
    }


def test_a_folder_as_csv_is_what_single_calls_give(checkpoint, recognise, recordings, tmp_path, capsys):
    out = tmp_path / "p.csv"
    assert main(["predict", checkpoint, str(recordings), "--out", str(out), "--batch-size", "3"]) == 0
    assert f"4 predictions in {out}" in capsys.readouterr().err
    rows = rows_of(out)
    assert list(rows[0])[:4] == ["number", "input", "label", "score"]
    assert [row["number"] for row in rows] == ["1", "2", "3", "4"]
    for row in rows:
        single = recognise(row["input"])
        assert scores_of(row) == pytest.approx({item["label"]: item["score"] for item in single}, abs=1e-4)
        assert row["label"] == single[0]["label"]
        assert float(row["score"]) == pytest.approx(single[0]["score"], abs=1e-4)


def test_a_table_as_json_lines_with_options(checkpoint, recognise, recordings, tmp_path):
    table = recordings / "calls.csv"
    table.write_text("audio,text,dialogue,turn,id\na.wav,hello,one,0,first\n,so glad,one,1,second\n")
    out = tmp_path / "p.jsonl"
    command = ["predict", checkpoint, str(table), "--out", str(out), "--top-k", "2", "--threshold", "0.9"]
    assert main(command) == 0
    rows = rows_of(out)
    assert [(row["id"], row["line"], row["label"], len(row["scores"])) for row in rows] == [
        ("first", 2, None, 2),
        ("second", 3, None, 2),
    ]
    expected = recognise({"text": "so glad", "history": ["hello"]}, top_k=2)
    assert rows[1]["scores"][0]["score"] == pytest.approx(expected[0]["score"], abs=1e-4)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_is_to_be_said_of_a_recording_stands_in_its_row(suffix, checkpoint, recordings, tmp_path):
    soundfile.write(recordings / "mute.wav", np.zeros(8000), 16000)
    out = tmp_path / f"p{suffix}"
    assert main(["predict", checkpoint, str(recordings), "--out", str(out), "--threshold", "0.1"]) == 0
    rows = {Path(row["input"]).name: row for row in rows_of(out)}
    told = rows["mute.wav"]["warnings"]
    assert "only silence to predict from" in (told if suffix == ".csv" else " ".join(told))
    assert not rows["mute.wav"]["label"]
    assert not rows["a.wav"].get("warnings")
    assert rows["a.wav"]["label"]


def test_segments_of_one_recording_are_heard_each_by_itself(checkpoint, recognise, recordings, tmp_path):
    first, second = (soundfile.read(recordings / name)[0] for name in ("a.wav", "c.wav"))
    soundfile.write(recordings / "two.wav", np.concatenate([first, second]), 16000)
    border = len(first) / 16000
    table = recordings / "calls.csv"
    table.write_text(f"file,start,end\ntwo.wav,{border},{border + len(second) / 16000}\ntwo.wav,0,{border}\n")
    out = tmp_path / "p.csv"
    assert main(["predict", checkpoint, str(table), "--out", str(out)]) == 0
    rows = rows_of(out)
    assert [float(row["start"]) for row in rows] == [pytest.approx(border), 0.0]
    for row, samples in zip(rows, (second, first), strict=True):
        alone = {item["label"]: item["score"] for item in recognise(samples)}
        assert scores_of(row) == pytest.approx(alone, abs=1e-3)
        given = {
            "audio": str(recordings / "two.wav"),
            "audio_start": float(row["start"]),
            "audio_end": float(row["end"]),
        }
        assert {item["label"]: item["score"] for item in recognise(given)} == pytest.approx(alone, abs=1e-3)


def test_standard_output(checkpoint, recordings, capsys):
    assert main(["predict", checkpoint, str(recordings / "a.wav"), str(recordings / "c.wav")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("number,input,label,score")
    assert len(lines) == 3
    assert main(["predict", checkpoint, str(recordings), "--json"]) == 0
    assert [json.loads(line)["number"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3, 4]
    assert main(["predict", checkpoint, str(recordings), "--text", "hello"]) == 1
    assert "--text: for one recording only; for many, use columns of a table" in capsys.readouterr().err


def test_the_bar_moves_with_every_batch(recognise, recordings, tmp_path, monkeypatch):
    steps = []

    class Bar(tqdm.auto.tqdm):
        def update(self, n=1):
            steps.append(n)
            return super().update(n)

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    for broken in (False, True):  # then the block is repeated one by one
        if broken:
            (recordings / "broken.wav").write_bytes(b"no sound at all")
        units = collect_units([str(recordings)])
        output = PredictionFile(tmp_path / f"{broken}.csv", output_columns(units, recognise.labels, errors=True), {})
        predict_all(recognise, units, output, batch_size=2, on_bad="skip", progress=True)
        assert sum(steps) == len(units)
        assert max(steps) < len(units)
        steps.clear()


class TestBadInputs:
    @pytest.fixture
    def table(self, recordings):
        (recordings / "broken.wav").write_bytes(b"no sound at all")
        path = recordings / "calls.csv"
        path.write_text("audio\na.wav\nbroken.wav\nnowhere.wav\nc.wav\n")
        return path

    def test_they_stop_with_file_and_line(self, checkpoint, table, tmp_path, capsys):
        out = tmp_path / "p.csv"
        assert main(["predict", checkpoint, str(table), "--out", str(out)]) == 1
        told = capsys.readouterr().err
        assert f"{table}, line 4: no audio file" in told
        assert "--on-bad skip" in told
        assert not out.exists()  # known before anything was recognised
        table.write_text("audio\na.wav\nbroken.wav\nc.wav\n")
        assert main(["predict", checkpoint, str(table), "--out", str(out)]) == 1
        assert f"{table}, line 3: " in capsys.readouterr().err
        assert len(rows_of(out)) == 1  # what came before is not lost

    @pytest.mark.parametrize("suffix", ["csv", "jsonl"])
    def test_or_are_told_in_a_column(self, checkpoint, table, tmp_path, capsys, suffix):
        out = tmp_path / f"p.{suffix}"
        assert main(["predict", checkpoint, str(table), "--out", str(out), "--on-bad", "skip"]) == 0
        assert f"2 predictions in {out}, 2 of 4 inputs unusable (see the column error)" in capsys.readouterr().err
        rows = rows_of(out)
        assert [bool(row.get("error")) for row in rows] == [False, True, True, False]
        assert rows[1]["error"].startswith(f"{table}, line 3: ")
        assert not rows[1].get("label")
        assert main(["predict", checkpoint, str(table), "--out", str(out), "--on-bad", "skip"]) == 0
        assert f"nothing left to do: {out} has predictions of 2 of 4 inputs" in capsys.readouterr().err


class TestGoingOn:
    @pytest.fixture
    def many(self, recordings):
        path = recordings / "calls.csv"
        path.write_text("text\n" + "".join(f"hello {'so ' * (i % 5)}{i}\n" for i in range(30)))
        return path

    @pytest.mark.parametrize("suffix", ["csv", "jsonl"])
    def test_a_file_that_was_cut_off(self, checkpoint, many, tmp_path, suffix, monkeypatch):
        whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
        rows = tmp_path / f"cut.{suffix}{'.rows.jsonl' * (suffix == 'csv')}"
        command = ["predict", checkpoint, str(many), "--batch-size", "2", "--out"]
        assert main([*command, str(whole)]) == 0
        assert main([*command, str(cut)]) == 0
        content = rows.read_bytes()
        rows.write_bytes(content[: len(content) // 2])  # in the middle of a line
        recognised = []
        from hf_mer.models import MultimodalEmotionRecognitionPipeline as Pipeline

        call = Pipeline.__call__
        monkeypatch.setattr(
            Pipeline, "__call__", lambda self, inputs, **kw: recognised.extend(inputs) or call(self, inputs, **kw)
        )
        assert main([*command, str(cut)]) == 0
        assert 10 < len(recognised) < 20
        assert [row["number"] for row in rows_of(cut)] == [row["number"] for row in rows_of(whole)]
        assert [row["label"] for row in rows_of(cut)] == [row["label"] for row in rows_of(whole)]
        before = cut.read_bytes()
        assert main([*command, str(cut)]) == 0
        assert cut.read_bytes() == before

    @pytest.mark.slow
    def test_a_killed_process(self, checkpoint, many, tmp_path):
        many.write_text("text\n" + "".join(f"hello {i}\n" for i in range(3000)))
        out, lines = tmp_path / "p.csv", tmp_path / "p.csv.rows.jsonl"
        command = ["predict", checkpoint, str(many), "--batch-size", "1", "--out", str(out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "hf_mer.cli", *command], env=environment, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (lines.exists() and lines.read_text().count("\n") > 20):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = lines.read_text().splitlines()
        assert 20 < len(kept) < 3000
        many.write_text("".join(many.read_text().splitlines(keepends=True)[: len(kept) + 5]))
        assert main(command) == 0
        assert lines.read_text().splitlines()[: len(kept) - 1] == kept[:-1]
        assert [row["number"] for row in rows_of(out)] == [str(i + 1) for i in range(len(kept) + 4)]

    def test_not_with_something_else(self, checkpoint, many, tmp_path, capsys):
        out = tmp_path / "p.csv"
        command = ["predict", checkpoint, str(many), "--out", str(out)]
        assert main(command) == 0
        assert main([*command, "--threshold", "0.5"]) == 1
        assert (
            "was made with threshold None (now 0.5); name another file, or give --overwrite" in capsys.readouterr().err
        )
        assert main([*command, "--overwrite", "--threshold", "0.5"]) == 0
        assert main(command) == 1
        assert "was made with threshold 0.5 (now None)" in capsys.readouterr().err
        assert main([*command, "--overwrite"]) == 0
        other = many.with_name("other.csv")
        other.write_text(many.read_text())
        assert main(["predict", checkpoint, str(other), "--out", str(out)]) == 1
        assert f"has predictions of other inputs: input 1 was {many} and is now {other}" in capsys.readouterr().err
        (tmp_path / "p.csv.settings.json").unlink()
        assert main(command) == 1
        assert "no p.csv.settings.json beside it" in capsys.readouterr().err
        assert main([*command, "--overwrite"]) == 0
        assert main(["predict", checkpoint, str(many), "--out", str(tmp_path / "p.txt")]) == 1
        assert "predictions end in .csv, .jsonl" in capsys.readouterr().err


def test_windows_as_rows(checkpoint, recognise, write_wav, tmp_path):
    calls = [str(write_wav(name, seconds=seconds)) for name, seconds in (("one.wav", 2.0), ("two.wav", 1.2))]
    out = tmp_path / "p.csv"
    assert main(["predict", checkpoint, *calls, "--window", "0.8", "--hop", "0.4", "--out", str(out)]) == 0
    rows = rows_of(out)
    assert [(row["number"], row["start"]) for row in rows] == [
        *(("1", start) for start in ("", "0.0", "0.4", "0.8", "1.2")),
        *(("2", start) for start in ("", "0.0", "0.4")),
    ]
    whole = recognise(calls[0], window_seconds=0.8, hop_seconds=0.4)
    assert scores_of(rows[0]) == pytest.approx({item["label"]: item["score"] for item in whole["scores"]}, abs=1e-4)
    kept = out.read_text()
    lines = tmp_path / "p.csv.rows.jsonl"
    lines.write_text(lines.read_text()[:-5])  # the last window of the second is not there
    assert main(["predict", checkpoint, *calls, "--window", "0.8", "--hop", "0.4", "--out", str(out)]) == 0
    assert out.read_text() == kept
