"""The comparison with other libraries: what is compared is the same work, and every case is in its tables."""

import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "recipes" / "benchmarks"


def test_peers_in_training(benchmark):
    flags = "--part training --size tiny --rows 16 --corpus 400 --batches 4 --rounds 1 --without speechbrain"
    _, saved, printed = benchmark("peers", flags)
    rows = {(row["part"], row["case"]): row for row in saved["training"]}
    parts = ("speech", "speech, same batches", "text and speech")
    assert set(rows) == {(part, case) for part in parts for case in ("transformers", "hf_mer")}
    assert all(0.05 < row["ratio_value"] < 20 for row in rows.values())
    for part in ("speech", "text and speech"):
        ours, theirs = rows[part, "hf_mer"], rows[part, "transformers"]
        assert ours["padding_value"] < 0.1 < theirs["padding_value"]
        assert ours["sound"][0] == pytest.approx(theirs["sound"][0], rel=0.2)
        assert f"| {part} | 4 | hf_mer |" in printed
    ours, theirs = (rows["speech, same batches", case] for case in ("hf_mer", "transformers"))
    assert (ours["padding_value"], ours["sound"]) == (theirs["padding_value"], theirs["sound"])
    assert "peak MiB" not in printed


def test_peers_train_the_same_parts(benchmark, monkeypatch, tmp_path):
    """Of wav2vec 2.0, which all of them train, the convolutions are frozen; every round has an order of its own."""
    monkeypatch.syspath_prepend(str(FOLDER))
    training = importlib.import_module("peers_training")
    flags = ["--size", "tiny", "--rows", "8", "--corpus", "64", "--rounds", "2", "--longest", "1"]
    settings = importlib.import_module("peers").parse([*flags, "--without", "speechbrain"])

    def trained(case, encoder):
        names = {name for name, one in case.model.named_parameters() if one.requires_grad and name.startswith(encoder)}
        return {name.removeprefix(f"{encoder}.") for name in names}

    makers = dict(training.GROUPS["speech"])
    if find_spec("speechbrain") is None:
        del makers["speechbrain"]
    cases = {name: make(settings, 4, str(tmp_path)) for name, make in makers.items()}
    expected = trained(cases["transformers"], "wav2vec2")
    assert "encoder.layers.0.attention.q_proj.weight" in expected
    assert not any(name.startswith("feature_extractor") for name in expected)
    assert trained(cases["hf_mer"], "speech_encoder") == expected
    if "speechbrain" in cases:
        assert trained(cases["speechbrain"], "wav2vec2.model") == expected
        assert cases["speechbrain"].plans == cases["transformers"].plans
    first, second = cases["transformers"].plans
    assert first != second
    assert sorted(row for rows in first for row in rows) == list(range(8))
    assert [len(rows) for rows in cases["hf_mer"].plans[0]] == [4, 4]


def test_peers_run_the_groups_asked_for(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    peers, training = importlib.import_module("peers"), importlib.import_module("peers_training")
    assert tuple(training.GROUPS) == peers.GROUPS
    monkeypatch.setattr(training, "compare", lambda settings, size, group: [{"part": group, "batch": size}])
    flags = ["--without", "speechbrain", "onnx", "--batches", "4", "16"]
    chosen = training.measure(peers.parse([*flags, "--groups", "text and speech"]))
    assert chosen == [{"part": "text and speech", "batch": 4}, {"part": "text and speech", "batch": 16}]
    assert {row["part"] for row in training.measure(peers.parse(flags))} == set(peers.GROUPS)


def test_peers_in_inference(benchmark):
    flags = "--part inference --size tiny --recordings 4 --inference-batches 2 --workers 0 1 --rounds 1 --without onnx"
    _, saved, printed = benchmark("peers", flags)
    rows = {(row["case"], row["workers"]): row for row in saved["inference"]}
    assert set(rows) == {
        ("encoder alone", 0),
        *((case, count) for case in ("transformers", "hf_mer") for count in (0, 1)),
    }
    assert all(row["encoder_value"] > 0.1 for row in rows.values() if row["case"] != "encoder alone")
    assert rows["hf_mer", 1]["theirs_value"] > 0.05
    assert len(rows["hf_mer", 0]["wall_seconds"]) == 1
    assert "| hf_mer | 2 | 1 |" in printed


def test_peers_write_a_line_per_recording(benchmark, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    write_table = importlib.import_module("peers_inference").write_table
    result = [{"label": str(label), "score": 0.4 - 0.1 * label} for label in (0, 2, 1, 3)]
    write_table(str(tmp_path / "table.csv"), ["a.wav"], [result])
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == "file,label,0,1,2,3"
    assert lines[1].startswith("a.wav,0,0.4,0.3")
    with pytest.raises(ValueError, match="shorter"):
        write_table(str(tmp_path / "table.csv"), ["a.wav", "b.wav"], [result])


def test_processor_time_has_that_of_workers(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    clock = importlib.import_module("peers_inference").processor_time
    started = clock()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert clock() - started > 0.03


def test_a_peer_that_is_not_installed_is_named(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("peers")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        SystemExit, match=r'^speechbrain is not installed: pip install "hf_mer\[peers\]", or --without'
    ):
        module.parse([])
    assert module.parse(["--without", "speechbrain", "onnx"]).part == ["training", "inference"]


@pytest.mark.slow
def test_peers_with_graphs_and_memory(benchmark):
    flags = "--size tiny --rows 4 --corpus 32 --batches 2 --rounds 1 --longest 1 --memory --recordings 2"
    _, saved, printed = benchmark("peers", f"{flags} --inference-batches 1 --workers 0 --without speechbrain")
    assert all(row["mib"] > 50 for row in saved["training"])
    assert {row["case"] for row in saved["inference"]} >= {"hf_mer, ONNX", "hf_mer, int8"}
    assert "peak MiB" in printed
