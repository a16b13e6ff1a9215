"""The benchmark of a GPU runs on a CPU at its smallest size, and loses nothing to a part that fails or takes long."""

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "recipes" / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """`module("gpu_steps")` imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def measure(module, tmp_path, capsys):
    """`measure("LE-MER", "loader")` gives exit status, gpu.json and gpu.md of these parts."""

    def run(*parts: str, flags: str = "") -> tuple[int, dict, str]:
        out = tmp_path / "out"
        fixed = f"{out} --device cpu --size tiny --repeats 2 --peak-tflops 2 {flags}"
        status = module("gpu").main([*fixed.split(), "--parts", *parts])
        text = (out / "gpu.md").read_text()
        assert text in capsys.readouterr().out
        return status, json.loads((out / "gpu.json").read_text()), text

    return run


def test_a_model_and_its_encoders(measure):
    status, saved, text = measure(
        "LE-MER, mixed", "WavFusion, batch", "WavFusion, cached states, batch", "WavFusion, sync"
    )
    assert status == 0
    model, its_encoders, fusion, frozen, cached = saved["tables"]["Training step"]
    names = ["LE-MER", "encoders of LE-MER, alone", "WavFusion", "encoders of WavFusion, forward only"]
    assert [row["system"] for row in (model, its_encoders, fusion, frozen)] == names
    assert cached["system"] == "WavFusion, cached states"
    assert model["shape"] == its_encoders["shape"] == "2 x 0.2 to 0.8 s"
    # the library's wav2vec 2.0 also takes the gradient of its samples, which the model does without
    assert model["flops"] > 0.9 * its_encoders["flops"] > 1e6
    assert min(model["mib"], its_encoders["mib"]) > 12.6 + 0.2  # weights and moments, and what a step adds
    assert fusion["flops"] > frozen["flops"] > 1e6  # of which the last speech layer is trained
    assert cached["flops"] < fusion["flops"] - 0.5 * frozen["flops"]
    assert len(model["seconds"]) == 2
    assert float(fusion["ratio"].split()[0]) > 1
    assert "%) |" in text
    assert "- WavFusion, synchronisations: left out, only CUDA says where it waits" in text


def test_the_loader(measure, module, monkeypatch):
    monkeypatch.setattr(module("gpu_loading"), "WORKERS", (0, 1))
    monkeypatch.setattr(module("gpu_loading"), "AHEAD", 2)
    status, saved, text = measure("loader")
    assert status == 0, saved["notes"]
    rows = saved["tables"]["Loader"]
    assert [row["workers"] for row in rows] == ["batches on the device", 0, 1]
    assert all(0 < row["waited_seconds"] < row["stepwise_seconds"] for row in rows[1:])
    assert "### Loader" in text


def test_waiting_for_a_slow_loader_is_seen(module, monkeypatch):
    loading = module("gpu_loading")
    monkeypatch.setattr(loading, "AHEAD", 1)

    def slow():
        for _ in range(4):
            time.sleep(0.02)
            yield {}

    total, waited = loading.loop(slow(), lambda batch: time.sleep(0.01), 3, "cpu")
    assert 0.06 <= waited <= total - 0.03
    with pytest.raises(ValueError, match="more than 1 and 2 batches"):
        loading.loop(slow(), lambda batch: None, 2, "cpu")


@pytest.mark.slow
def test_compiled_as_a_whole(measure, module, monkeypatch):
    monkeypatch.setattr(module("gpu_steps"), "BACKEND", "eager")
    status, saved, _ = measure("compile, LE-MER")
    assert status == 0, saved["notes"]
    (row,) = saved["tables"]["torch.compile"]
    assert row["system"] == "LE-MER, as a whole"
    assert row["breaks"] == sum(row["reasons"].values()) > 0


def test_compiled_layer_by_layer(measure, module, monkeypatch):
    """One graph for all layers that are alike, and none that breaks."""
    steps = module("gpu_steps")
    monkeypatch.setattr(steps, "BACKEND", "eager")
    status, saved, _ = measure("compile layers, LE-MER")
    assert status == 0, saved["notes"]
    (row,) = saved["tables"]["torch.compile"]
    assert row["system"] == "LE-MER, layer by layer"
    assert row["breaks"] == 0
    layers = steps.layers_of(module("gpu_systems").MODELS["LE-MER"]("tiny"))
    assert [type(layer).__name__ for layer in layers].count("BertLayer") == 2
    assert row["graphs"] == len(layers) - 2  # two stacks of two layers, and seven convolutions of seven lengths
    assert len(row["seconds"]) == 2


def test_what_fails_is_noted_and_the_rest_runs(measure, module, monkeypatch):
    gpu, steps = module("gpu"), module("gpu").step_rows

    def fail_on_large(subject, shape, *args):
        if shape.batch == 4:
            raise RuntimeError("CUDA out of memory\nof which 3 GiB are free")
        return steps(subject, shape, *args)

    monkeypatch.setattr(gpu, "step_rows", fail_on_large)
    status, saved, text = measure("LE-MER with Whisper", "flash")
    assert status == 1
    assert "- LE-MER with Whisper, large batch: failed, RuntimeError: CUDA out of memory\n" in text
    assert "- flash attention: left out, flash_attn is not installed" in text
    assert len(saved["tables"]["Training step"]) == 2


def test_the_minutes_are_kept(measure, module, monkeypatch):
    gpu = module("gpu")
    monkeypatch.setattr(gpu, "step_rows", lambda *_: time.sleep(30))
    monkeypatch.setattr(gpu, "Subject", lambda name, settings: None)
    started = time.monotonic()
    status, saved, _ = measure("MGCMA, batch", "compile, LE-MER", flags="--minutes 0.01")
    assert time.monotonic() - started < 10
    assert status == 0
    assert saved["notes"] == [
        "MGCMA, batch: stopped, 0.01 minutes are over",
        "compile, LE-MER: left out, 0.01 minutes are over",
    ]


def test_places_of_synchronisations(module, monkeypatch):
    """Counted by what PyTorch warns of; other warnings count for nothing."""
    import torch

    steps = module("gpu_steps")
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def step():
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    ((place, count),) = steps.synchronisations(step).items()
    assert (count, modes) == (2, ["warn", "default"])
    assert "test_gpu_benchmark.py:" in place

    def frame(path: str) -> traceback.FrameSummary:
        return traceback.FrameSummary(path, 7, "forward")

    ours, theirs = frame("/home/a/hf_mer/models/x.py"), frame("/lib/site-packages/transformers/masking_utils.py")
    inner = frame("/lib/site-packages/torch/_tensor.py")
    assert steps.place_of([ours, theirs, inner]) == "transformers/masking_utils.py:7 (from hf_mer/models/x.py:7)"
    assert steps.place_of([theirs, ours, inner]) == "hf_mer/models/x.py:7"


def test_wrong_flags(module, tmp_path, capsys):
    gpu = module("gpu")
    with pytest.raises(SystemExit):
        gpu.main([str(tmp_path), "--device", "cpu", "--parts", "lemer"])
    assert "--parts: 'lemer' is the beginning of none of 'LE-MER, batch'" in capsys.readouterr().err


def test_the_shell_script(tmp_path):
    """Python gets the flags, this checkout before other packages, and no network."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\necho $PYTHONPATH\necho $HF_HUB_OFFLINE\n')
    python.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(python), "PYTHONPATH": "wheels"}
    command = [str(FOLDER / "gpu.sh"), "out", "--minutes", "4"]
    called, path, offline = subprocess.check_output(command, env=environment, text=True).splitlines()
    assert called.split() == [str(FOLDER / "gpu.py"), "out", "--minutes", "4"]
    first, *others = path.split(":")
    assert (Path(first).resolve(), others, offline) == (FOLDER.parents[1], ["wheels"], "1")
    without = subprocess.run(command[:1], capture_output=True, text=True)
    assert without.returncode == 2
    assert without.stderr.startswith("usage: gpu.sh OUT")
