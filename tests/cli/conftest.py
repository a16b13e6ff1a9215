"""A fold for the commands that read one."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def fold(tiny_checkpoint, tmp_path):
    """A fold's folder as training leaves it."""
    folder = tmp_path / "runs" / "Ses01"
    folder.mkdir(parents=True)
    Path(tiny_checkpoint()[0]).rename(folder / "model")
    labels = ["angry", "happy", "neutral", "sad"]
    matrix = [[5, 1, 0, 0], [1, 4, 1, 0], [0, 0, 6, 0], [0, 2, 0, 4]]
    history = [{"epoch": i, "loss": 1.0 / i, "eval_loss": 1.2 / i, "eval_ua": 0.2 * i} for i in (1, 2, 3)]
    results = {
        **{"fold": "Ses01", "rows": {}, "settings": {}, "history": history},
        "test": {"confusion": {"labels": labels, "matrix": matrix}},
        "layer_weights": {"speech": [0.25, 0.5, 0.25]},
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder
