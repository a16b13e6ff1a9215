"""Whose a folder is: the same command finds its results, another one is refused and names what differs."""

import contextlib
import json

import pytest

from hf_mer.training import MerTrainingArguments, PretrainingArguments
from hf_mer.training.claiming import FoldFolder
from hf_mer.training.settings.roles import deciding, defaults

OTHER = {"eval_strategy": "steps", "eval_steps": 3, "eval_delay": 100, "dataloader_drop_last": True}


@pytest.fixture(params=[(MerTrainingArguments, "results.json"), (PretrainingArguments, "pretraining.json")])
def folder(request, tmp_path):
    cls, results = request.param

    def make(**settings):
        arguments = cls(use_cpu=True, **settings)
        content = {"training": deciding(arguments), "processes": 1}
        return FoldFolder(tmp_path / "Ses05", content, defaults(arguments), results)

    return make


def finish(mine: FoldFolder) -> None:
    with contextlib.ExitStack() as held:
        assert mine.claim(False, held) is None
    (mine.path / mine.results).write_text(json.dumps({"settings": mine.settings}))


def claim(mine: FoldFolder, overwrite: bool = False):
    with contextlib.ExitStack() as held:
        return mine.claim(overwrite, held)


def test_what_decides_is_compared(folder):
    finish(folder())
    assert claim(folder(logging_steps=3, save_total_limit=2)) is not None
    with pytest.raises(ValueError, match="contains results with other settings") as refused:
        claim(folder(**OTHER))
    for name in OTHER:
        assert f"training.{name}" in str(refused.value)
    assert claim(folder(**OTHER), overwrite=True) is None


def test_a_half_finished_run_is_another_ones_too(folder):
    assert claim(folder()) is None
    assert claim(folder(**OTHER)) is None  # nothing was begun
    (folder().path / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    assert claim(folder(**OTHER)) is None
    with pytest.raises(ValueError, match="a half-finished run with other settings"):
        claim(folder())
    assert claim(folder(), overwrite=True) is None
    assert not (folder().path / "checkpoints").exists()
