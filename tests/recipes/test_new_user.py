"""A new user's path: five commands, each a process of its own, from a CSV file to a prediction by name from a hub."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "recipes" / "benchmarks" / "new_user.py"


@pytest.mark.slow
def test_five_commands(tmp_path):
    spec = importlib.util.spec_from_file_location("new_user", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    sys.modules["new_user"] = script  # dataclasses look their module up
    spec.loader.exec_module(script)
    steps = script.run(
        tmp_path / "new", 60, ["--num-train-epochs", "1", "--bootstrap-resamples", "20", "--figures", "false"]
    )
    prepare, train, plot, push, predict = steps
    assert "60 utterances in" in prepare.output
    assert train.command.startswith("hf-mer train le_mer calls.csv --from-scratch --out runs/calls")
    figures = {Path(line).name for line in plot.output.split()}
    assert {"confusion_matrix.png", "training_curves.png", "label_keywords.png"} <= figures
    assert "/writer/our-calls/commit/" in push.output
    scores = [float(number) for number in re.findall(r"\d\.\d{3}", predict.output)]
    assert len(scores) == 4
    assert abs(sum(scores) - 1) < 0.01
    assert all(step.seconds > 0 for step in steps)
