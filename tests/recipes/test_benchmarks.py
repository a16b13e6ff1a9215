"""Every benchmark runs at its smallest size, prints a table and writes what it measured."""

import importlib
import json
import sys
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "recipes" / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch, tmp_path, capsys):
    """`benchmark("step_time", "--size tiny")` gives its result, its JSON file and its output."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name: str, flags: str = "", extra: tuple[str, ...] = ()) -> tuple[dict, dict, str]:
        path = tmp_path / "result.json"
        result = importlib.import_module(name).main([*flags.split(), *extra, "--json", str(path)])
        return result, json.loads(path.read_text()), capsys.readouterr().out

    yield run
    for name in ("measuring", *(path.stem for path in FOLDER.glob("*.py"))):
        sys.modules.pop(name, None)


def test_step_time_of_every_variant(benchmark):
    flags = "--size tiny --batch 2 --seconds 0.5 --tokens 8 --repeats 2 --bf16 --peak-tflops 2"
    result, saved, printed = benchmark("step_time", flags)
    assert [row["variant"] for row in saved["rows"]][:2] == ["constraint", "constraint, output_attentions"]
    assert len(saved["rows"]) == 6
    assert all(0.2 < row["ratio_value"] < 20 for row in saved["rows"])
    assert saved["ratio"] == saved["rows"][0]["ratio_value"]
    assert len(saved["seconds"]["text"]) == 2
    assert result["flops"] > 1e6
    assert "% of 2)" in printed
    assert "| constraint |" in printed


def test_le_mer_of_the_step_time_shares_the_encoders_parameters(benchmark, monkeypatch):
    """The same parameters in both, so that the two optimizers' steps cost the same."""
    monkeypatch.syspath_prepend(str(FOLDER))
    step_time = importlib.import_module("step_time")
    systems = step_time.Systems(step_time.parse(["--size", "tiny", "--seconds", "0.5", "--tokens", "8"]))
    weight = systems.encoders["speech"].encoder.layers[0].attention.q_proj.weight
    before = weight.detach().clone()
    systems.optimizers["speech"].param_groups[0]["lr"] = 0.1
    systems.le_mer_step("constraint")()
    assert (weight != before).any()


def test_bucketing_pads_less(benchmark):
    flags = "--size tiny --encoder wav2vec2-bert --rows 48 --batch 4 --batches 12 --history 1 --repeats 1"
    _, saved, printed = benchmark("bucketing", flags)
    assert saved["padding"]["group_by_length"][0] < 0.7 * saved["padding"]["random"][0]
    assert saved["ratio"] > 0
    assert "| group_by_length |" in printed


def test_bucketing_has_the_durations_of_iemocap(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import numpy as np

    durations = importlib.import_module("bucketing").iemocap_durations(4290, np.random.default_rng(0))
    assert np.median(durations) == pytest.approx(3.58, abs=0.02)
    assert np.quantile(durations, 0.95) == pytest.approx(11.1, abs=0.1)
    assert np.quantile(durations, 0.99) == pytest.approx(15.5, rel=0.2)
    assert durations.max() <= 34.1


def test_label_store(benchmark):
    _, saved, printed = benchmark("label_store", "--size tiny --rows 8 --batch 4 --seconds 0.5 --repeats 2")
    assert saved["ratio"] > 0.5
    assert "| codebook, contrastive |" in printed


def test_import_time(benchmark):
    _, saved, printed = benchmark("import_time", "--repeats 1 --warmup 0", ("--statements", "import hf_mer"))
    assert 0 < saved["seconds"]["import hf_mer"][0] < 2
    assert "| import hf_mer |" in printed


def test_interleaved_runs_every_case_alike_and_the_ratio_is_of_the_medians(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    measuring = importlib.import_module("measuring")
    order: list[str] = []
    cases = {"one": lambda: order.append("one"), "two": lambda: order.append("two")}
    seconds = measuring.interleaved(cases, repeats=3)
    assert order == ["one", "two", "two", "one"] * 2
    assert [len(values) for values in seconds.values()] == [3, 3]
    ratio = measuring.Ratio.of([2.0, 3.0, 10.0], [1.0, 2.0, 2.0])
    assert (ratio.value, ratio.lowest, ratio.highest) == (1.5, 1.5, 5.0)


@pytest.mark.slow
def test_memory_is_of_a_process_of_its_own(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    measuring = importlib.import_module("measuring")
    assert measuring.in_fresh_process(time.sleep, 0) is None
    assert measuring.in_fresh_process(measuring.peak_mib) < measuring.peak_mib()
