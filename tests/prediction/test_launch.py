"""`hf-mer predict` as `accelerate launch` starts it, in two processes on the CPU."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hf_mer.cli import main

ROOT = Path(__file__).parents[2]
LAUNCH = [
    sys.executable, "-m", "accelerate.commands.launch",
    "--config_file", str(ROOT / "recipes/accelerate/cpu_two.yaml"), "-m", "hf_mer.cli",
]  # fmt: skip
LONGEST = 900  # seconds, on a machine that has much else to do


def launch(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*LAUNCH, "predict", *map(str, arguments), "--device", "cpu", "--batch-size", "2"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def ended(process):
    told = process.communicate(timeout=LONGEST)[1]
    tells = ("predictions in", "nothing left to do", "error: ")
    return process.returncode, [line for line in told.splitlines() if any(part in line for part in tells)]


def wait_for_rows(parts, number):
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        rows = sum(part.read_bytes().count(b"\n") for part in parts.glob("*.jsonl"))
        if rows > number:
            return
        time.sleep(0.02)
    raise TimeoutError(f"{parts} has no {number} rows")


def rows_of(path):
    """Texts of the rows, and scores."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    scores = [[float(row.pop(name) or -1) for name in list(row) if name.startswith("score")] for row in rows]
    return rows, scores


@pytest.fixture
def table(recordings):
    """Dialogues whose words are histories, recordings, and one that is damaged."""
    (recordings / "broken.wav").write_bytes(b"no sound at all")
    path = recordings / "calls.csv"
    rows = [f"{('a.wav', 'c.wav', '')[i % 3]},{'so ' * (i % 5)}glad {i},d{i // 8},{i % 8}" for i in range(48)]
    path.write_text("\n".join(["audio,text,dialogue,turn", *rows[:20], "broken.wav,hm,,", *rows[20:]]))
    return path


def test_a_table_with_dialogues_and_a_damaged_recording(checkpoint, table, tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    process = launch(checkpoint, table, "--out", two, "--on-bad", "skip")
    assert main(["predict", checkpoint, str(table), "--out", str(one), "--on-bad", "skip", "--batch-size", "2"]) == 0
    told = [f"48 predictions in {two}, by 2 processes, 1 of 49 inputs unusable (see the column error)"]
    assert ended(process) == (0, told)
    (rows, scores), (expected, as_one) = rows_of(two), rows_of(one)
    assert rows == expected
    assert scores == [pytest.approx(row, abs=1e-4) for row in as_one]
    assert sorted(path.name for path in tmp_path.glob("*two*")) == [
        f"two.csv{end}" for end in ("", ".rows.jsonl", ".settings.json")
    ]


@pytest.mark.slow
class TestEnds:
    @pytest.fixture
    def folder(self, write_wav, tmp_path):
        for number in range(160):
            write_wav(f"many/{number:03}.wav", seconds=0.2 + 0.01 * (number % 50))
        return tmp_path / "many"

    @pytest.mark.parametrize("killed", ["main", "other", "launcher"])
    def test_killed_and_gone_on_with(self, checkpoint, folder, tmp_path, killed):
        out, alone = tmp_path / "p.jsonl", tmp_path / "alone.jsonl"
        process = launch(checkpoint, folder, "--out", out)
        wait_for_rows(tmp_path / "p.jsonl.parts", 20)
        workers = psutil.Process(process.pid).children()
        by_index = {worker.environ()["RANK"]: worker for worker in workers if "RANK" in worker.environ()}
        chosen = {"main": by_index["0"], "other": by_index["1"], "launcher": process}[killed]
        chosen.send_signal(signal.SIGKILL)
        process.communicate(timeout=LONGEST)
        psutil.wait_procs(workers, timeout=LONGEST)
        there = [json.loads(line) for part in [out, *out.with_name("p.jsonl.parts").glob("*.jsonl")]
                 for line in part.read_text().split("\n")[:-1]]  # fmt: skip
        assert len(there) > 20
        told = [[f"160 predictions in {out}, by 2 processes"]]
        if killed == "launcher":  # its processes may come to the end without it
            told.append([f"nothing left to do: {out} has predictions of 160 of 160 inputs"])
        status, lines = ended(launch(checkpoint, folder, "--out", out))
        assert status == 0
        assert lines in told
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert all(row in rows for row in there)
        assert main(["predict", checkpoint, str(folder), "--out", str(alone), "--batch-size", "2"]) == 0
        expected = [json.loads(line) for line in alone.read_text().splitlines()]
        assert [row["input"] for row in rows] == [row["input"] for row in expected]
        for row, one in zip(rows, expected, strict=True):
            scores, as_one = ({item["label"]: item["score"] for item in each["scores"]} for each in (row, one))
            assert scores == pytest.approx(as_one, abs=1e-4)

    def test_errors_are_said_once(self, checkpoint, folder, tmp_path):
        (folder / "111.wav").write_bytes(b"no sound at all")
        out = tmp_path / "p.csv"
        status, told = ended(launch(checkpoint, folder, "--out", out))
        assert (status, len(told)) == (1, 1)
        assert "111.wav: cannot be read as audio" in told[0]
        assert list((tmp_path / "p.csv.parts").glob("*.jsonl"))
        status, told = ended(launch(tmp_path / "nothing", folder, "--out", out))
        assert (status, len(told)) == (1, 1)
        assert "nothing" in told[0]
        status, told = ended(launch(checkpoint, folder))
        assert (status, told) == (
            1,
            ["error: 2 processes share the inputs and write one file: give INPUT and --out"],
        )
