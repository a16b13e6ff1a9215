"""JSON is whole or not there at all, and half-written checkpoints are passed over."""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from hf_mer.training.files import incomplete, last_complete_checkpoint, write_json


def test_write_and_replace(tmp_path):
    path = write_json(tmp_path / "deep" / "a.json", {"x": 1})
    write_json(path, {"x": "\u0119"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": "\u0119"}
    assert os.listdir(path.parent) == ["a.json"]


@pytest.fixture
def checkpoints(tmp_path):
    for step in (2, 10, 9):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file({"w": torch.ones(100)}, folder / "model.safetensors")
        (folder / "config.json").write_text("{}")
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        torch.save({"state": torch.ones(50)}, folder / "optimizer.pt")
        torch.save({"last_epoch": 1}, folder / "scheduler.pt")
    (tmp_path / "checkpoint-best").mkdir()
    return tmp_path


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_the_newest_complete_checkpoint(checkpoints):
    assert last_complete_checkpoint(checkpoints).name == "checkpoint-10"
    assert last_complete_checkpoint(checkpoints / "nowhere") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: cut(folder / "model.safetensors"),
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: cut(folder / "optimizer.pt"),
        lambda folder: (folder / "optimizer.pt").unlink(),
        lambda folder: cut(folder / "scheduler.pt"),
        lambda folder: (folder / "trainer_state.json").unlink(),
        lambda folder: cut(folder / "trainer_state.json"),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "model.safetensors.index.json").write_text(
            '{"weight_map": {"w": "model-2.safetensors"}}'
        ),
    ],
)
def test_half_written_checkpoints_are_passed_over(checkpoints, damage, caplog):
    damage(checkpoints / "checkpoint-10")
    assert incomplete(checkpoints / "checkpoint-10")
    assert last_complete_checkpoint(checkpoints).name == "checkpoint-9"
    assert "checkpoint-10 is half-written" in caplog.text
