"""A short form of what `run.py` does, and its comparison of folders."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.slow
def test_interrupted_commands_leave_what_undisturbed_ones_do():
    kinds = ["generate", "prepare", "training-epochs", "training-augmented", "evaluate"]
    command = [sys.executable, str(FOLDER / "run.py"), "--kills", "2", "--only", *kinds]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("| nothing |") == len(kinds)


@pytest.fixture
def differences():
    spec = importlib.util.spec_from_file_location("comparing", FOLDER / "comparing.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.differences


def test_what_counts_as_different(differences, tmp_path):
    def write(name, score="0.5", minutes=1, file="model.safetensors"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / file).write_bytes(b"weights")
        (folder / "results.json").write_text(json.dumps({"test": {"ua": float(score)}, "minutes": minutes}))
        (folder / "runs.csv").write_text(f"ua,minutes\n{score},{minutes}\n")
        return folder

    reference = write("reference")
    assert differences(reference, write("slower", minutes=2)) == []
    assert differences(reference, write("other", score="0.50001")) == [
        "differs: results.json (.test.ua: 0.5 became 0.50001)",
        "differs: runs.csv",
    ]
    assert differences(reference, write("left", file=".model.unfinished")) == [
        "missing: model.safetensors",
        "left over: .model.unfinished",
    ]
