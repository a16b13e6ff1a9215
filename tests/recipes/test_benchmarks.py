"""Every benchmark runs at its smallest size, prints a table and writes what it measured."""

import importlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest

FOLDER = Path(__file__).parents[2] / "recipes" / "benchmarks"


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


def test_a_device_that_is_not_there(benchmark, capsys):
    for device in ("foo", "cuda:99"):
        with pytest.raises(SystemExit):
            benchmark("step_time", f"--device {device}")
        assert (
            f"argument --device: '{device}' is not a device of this machine, which has cpu" in capsys.readouterr().err
        )


def test_step_time_of_mgcma(benchmark, capsys):
    flags = "--model mgcma --size tiny --batch 2 --seconds 0.5 --tokens 8 --repeats 2"
    _, saved, printed = benchmark("step_time", flags)
    assert saved["rows"][0]["variant"] == "all"
    assert "| without alignment |" in printed
    assert saved["rows"][0]["ratio_value"] > saved["rows"][-1]["ratio_value"] > 0.2
    with pytest.raises(SystemExit):
        benchmark("step_time", "--model mgcma --variants vanilla")
    assert "'vanilla' is not one of 'all', 'without distribution'" in capsys.readouterr().err


def test_le_mer_of_the_step_time_shares_the_encoders_parameters(benchmark, monkeypatch):
    """The same parameters in both, so that the two optimizers' steps cost the same."""
    monkeypatch.syspath_prepend(str(FOLDER))
    step_time = importlib.import_module("step_time")
    systems = step_time.Systems(step_time.parse(["--size", "tiny", "--seconds", "0.5", "--tokens", "8"]))
    weight = systems.encoders["speech"].encoder.layers[0].attention.q_proj.weight
    before = weight.detach().clone()
    systems.optimizers["speech"].param_groups[0]["lr"] = 0.1
    systems.model_step("constraint")()
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


def test_cached_states(benchmark):
    """The cached epoch has fewer operations, whatever the clock says."""
    _, saved, printed = benchmark("cached_states", "--size tiny --rows 4 --batch 2 --frames 2 --repeats 1")
    assert saved["flops"]["cached"] < 0.5 * saved["flops"]["encoded anew"]
    assert set(saved["filling_seconds"]) == {"text", "speech", "video"}
    # 32 channels of 50 frames in two bytes each, and what the file adds
    assert 3.1 < saved["kilobytes_per_second"]["speech"] < 5
    assert saved["ratio"] > 0
    assert "| encoded anew over cached |" in printed


@pytest.mark.slow
def test_memory_of_filling_the_cache_does_not_grow(benchmark):
    flags = "--size tiny --rows 2 --batch 2 --repeats 1 --memory --memory-rows 64"
    _, saved, _ = benchmark("cached_states", flags)
    few, many = saved["peak_mib"].values()
    assert many < few + 25


def test_margin_loss_and_visual_centre(benchmark):
    _, saved, printed = benchmark("margin_and_lvc", "--batches 8 32 --repeats 2")
    assert [(row["part"], row["batch"]) for row in saved["rows"]] == [
        (part, batch) for part in ("margin loss", "LVC, assignment", "LVC") for batch in (8, 32)
    ]
    for few, many in (saved["rows"][start : start + 2] for start in (0, 2, 4)):
        assert many["peak_mib"]["naive"] > many["peak_mib"]["this"]
        assert many["peak_mib"]["naive"] > 3 * few["peak_mib"]["naive"]
    assert "| LVC |" in printed


def test_a_naive_form_beyond_the_limit_is_left_out(benchmark):
    _, saved, printed = benchmark("margin_and_lvc", "--batches 16 --repeats 1 --limit-gib 0.001")
    assert set(saved["rows"][0]["peak_mib"]) == {"this", "naive"}
    assert set(saved["rows"][1]["peak_mib"]) == {"this"}
    assert "naive left out: about 0.012 GiB" in printed


def test_forms_that_do_not_compute_the_same_are_not_compared(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("margin_and_lvc")
    monkeypatch.setattr(module, "MARGIN", 0.3)
    monkeypatch.setattr(module, "naive_margin_loss", lambda *args: module.margin_loss(*args[:-1], 0.2))
    with pytest.raises(AssertionError, match="loss of margin loss, batch 8"):
        module.main(["--batches", "8", "--repeats", "1"])


def test_peak_memory_of_a_call(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import torch

    def call():
        first = torch.ones(2**18)  # 1 MiB
        del first
        return torch.ones(2**18) + torch.ones(2**18)

    assert importlib.import_module("measuring").peak_allocated_mib(call) == pytest.approx(3, abs=0.01)


def test_pipeline(benchmark):
    flags = "--size tiny --rows 4 --batch 2 --longest 1 --repeats 1 --one-by-one --overhead"
    result, saved, printed = benchmark("pipeline", flags)
    assert set(saved["ratios"]) == {
        "LE-MER on speech, one by one", "LE-MER on speech, batches", "LE-MER on speech, files, batches",
        "LE-MER on text and speech, files, batches",
    }  # fmt: skip
    assert all(0.2 < ratio < 20 for ratio in saved["ratios"].values())
    assert all(0 < seconds[0] < 1 for seconds in saved["overhead_seconds"].values())
    assert len(saved["seconds"]) == 8
    assert result["audio_seconds"] <= 4
    assert "| both encoders alone |" in printed


def test_the_pipelines_of_the_benchmark_share_their_encoders(benchmark, monkeypatch, tmp_path):
    """The batches of the encoders alone are those that the pipeline makes, and both run the same parameters."""
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("pipeline")
    settings = module.parse(["--size", "tiny", "--rows", "5", "--batch", "2", "--longest", "1"])
    corpus, systems = module.Corpus(settings, str(tmp_path)), module.Systems(settings)
    batches = systems.prepared("both", corpus.rows)
    assert [len(batch["input_ids"]) for batch in batches] == [2, 2, 1]
    lengths = [batch["audio_attention_mask"].sum(dim=1).max() for batch in batches]
    assert lengths == sorted(lengths, reverse=True)
    weight = systems.speech.encoder.layers[0].attention.q_proj.weight
    models = [recognise.model for recognise in systems.ours.values()]
    assert all(model.speech_encoder.encoder.layers[0].attention.q_proj.weight is weight for model in models)
    assert systems.theirs.model.wav2vec2 is systems.speech


def test_whisper_at_native_length(benchmark, write_wav, tmp_path, capsys):
    for index in range(3):
        write_wav(f"recordings/{index}.wav", seconds=1 + index)
    flags = "--size tiny --batch 2 --repeats 1"
    _, saved, printed = benchmark("whisper_length", flags, ("--recordings", str(tmp_path / "recordings")))
    assert saved["audio_seconds"] == [1.0, 3.0]
    assert [row["name"] for row in saved["rows"]] == [
        "training step", "inference, from samples", "inference, from log-mel frames", "training step, frozen over cached"
    ]  # fmt: skip
    assert all(row["ratio_value"] > 0.5 for row in saved["rows"])
    assert saved["ratio"] > 2  # 3 s against 30
    assert "| training step, frozen over cached |" in printed
    with pytest.raises(SystemExit):
        benchmark("whisper_length", "--batch 4", ("--recordings", str(tmp_path / "recordings")))
    assert "--recordings: fewer than 4 of .wav, .flac, .ogg, .mp3 in" in capsys.readouterr().err


def test_both_sides_of_the_benchmark_of_whisper_say_nearly_the_same(benchmark, monkeypatch):
    """Of a clip of 30 s the encoder's states are the same; so that the two are compared at the same work."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import numpy as np
    import torch

    module = importlib.import_module("whisper_length")
    sides = module.Sides(module.parse(["--size", "tiny", "--batch", "1"]))
    sides.samples = [0.1 * np.random.default_rng(0).standard_normal(30 * 16000).astype(np.float32)]
    with torch.no_grad():
        theirs = sides.theirs.eval().encoder(**sides.padded_inputs()).last_hidden_state
        ours, mask = sides.ours(["speech_encoder"]).eval().precompute("speech", **sides.native_inputs())
    assert mask.all()
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


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
    held = bytearray(2**28)  # 256 MiB, which a process that is started now does not inherit
    assert measuring.in_fresh_process(measuring.peak_mib) < 0.5 * len(held) / 2**20 < measuring.peak_mib()


@pytest.mark.slow
def test_export(benchmark):
    flags = "--size tiny --encoder wav2vec2-bert --seconds 0.5 --tokens 8 --batches 1 3 --repeats 2"
    _, saved, printed = benchmark("export", flags)
    assert [row["form"] for row in saved["rows"]] == ["PyTorch", "ONNX", "int8"]
    assert saved["sizes"]["int8"] < saved["sizes"]["ONNX"]
    assert len(saved["seconds"]["3"]["int8"]) == 2
    assert saved["differences"]["largest"]["logits"] < 1e-4
    assert "| ONNX |" in printed


def test_growth_of_every_stage(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(importlib.import_module("measuring"), "in_fresh_process", lambda call, *given: call(*given))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", datasets.config.HF_DATASETS_CACHE)  # put back in the end
    _, saved, printed = benchmark("growth", "--rows 200 400 --seconds 0.2 --resamples 10")
    datasets.enable_progress_bars()
    assert list(saved["measured"]) == ["200", "400"]
    stages = ["load", "check", "lengths", "folds", "label store", "scores", "cards"]
    assert all(list(measured) == stages for measured in saved["measured"].values())
    assert all(stage["seconds"] > 0 for stage in saved["measured"]["400"].values())
    assert "| stage | µs a row, 200 | µs a row, 400 | 400 over 200 | peak MiB, 200 | peak MiB, 400 |" in printed
    with pytest.raises(SystemExit):
        benchmark("growth", "--rows 100")


@pytest.mark.slow
def test_first_step_of_a_training(benchmark):
    _, saved, printed = benchmark("growth", "--rows 200 --seconds 0.2 --first-step")
    assert set(saved["first_step"]["200"]) == {"cold", "warm"}
    assert 1 < saved["first_step"]["200"]["warm"] < 300
    assert "| 200 |" in printed


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine")
def test_page(tiny_checkpoint, write_wav, tmp_path):
    """In a process of its own: the page's tests keep Playwright's loop running in theirs."""
    pytest.importorskip("playwright.sync_api")
    folder, _ = tiny_checkpoint()
    flags = ["--checkpoint", folder, "--recording", write_wav(seconds=0.5), "--text", "so", "--repeats", "2"]
    command = [sys.executable, FOLDER / "page.py", *flags, "--json", tmp_path / "result.json"]
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    saved = json.loads((tmp_path / "result.json").read_text())
    scores, explanation = (saved[name] for name in ("scores", "explanation"))
    assert len(scores["milliseconds"]) == len(explanation["milliseconds"]) == 2
    assert 0 < scores["median"] < explanation["median"] < 60_000
    assert "| click to explanation |" in ended.stdout
