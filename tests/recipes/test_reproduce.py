"""`recipes/reproduce.py`: a table end to end, side by side, killed anywhere, and input that cannot be used."""

import json
import os
import signal
import time

import pytest
import yaml

TEXT = {
    "model_type": "bert", "vocab_size": 100, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 64,
}  # fmt: skip
SPEECH = {
    "model_type": "wav2vec2-bert", "feature_projection_input_dim": 320, "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 16, "conv_depthwise_kernel_size": 3, "position_embeddings_type": None,
    "mask_time_prob": 0.0, "layerdrop": 0.0,
}  # fmt: skip
SETTINGS = {
    "text_encoder": TEXT, "speech_encoder": SPEECH, "protocol": "leave_one_session_out", "validation": "speakers:1",
    "max_text_tokens": 48, "max_audio_seconds": 1.0, "discretizer": "kmeans", "kmeans_features": "input",
    "kmeans_clusters": 8, "tonal_top_k": 4, "text_top_k": 3, "min_word_count": 1, "learning_rate": 0.001,
    "learning_rates": {}, "lr_scheduler_type": "constant", "warmup_steps": 0, "num_train_epochs": 2,
    "per_device_train_batch_size": 4, "early_stopping_patience": None, "use_cpu": True, "figures": False,
    "bootstrap_resamples": 20, "disable_tqdm": True,
}  # fmt: skip
PRETRAINING = {
    "objective": "masked_units", "unit_clusters": 8, "mask_time_prob": 0.5, "mask_time_length": 2,
    "mask_time_min_masks": 1, "num_train_epochs": 1, "learning_rate": 0.001,
}  # fmt: skip
ROWS = [
    {"name": "T", "title": "text", "settings": {"modalities": ["text"]}, "published": {"ua": 66.6}},
    {"name": "S", "title": "speech", "settings": {"modalities": ["speech"]}, "second_stage": True},
    {"name": "F", "title": "scores", "settings": {"do_train": False}, "uses": {"unimodal_text": "T", "unimodal_speech": "S"}},
    {"name": "again", "title": "the same as T", "settings": {"modalities": ["text"], "fusion": "constraint"}},
    {"name": "M", "title": "majority", "system": "majority"},
]  # fmt: skip
BASELINES = [ROWS[-1], {"name": "L", "title": "log-mel", "system": "log_mel_statistics"}]  # which train in no time


@pytest.fixture
def table(tmp_path, corpus):
    """`table(rows=..., epochs=...)`: the flags of a small table in folders of its own, for an output folder."""

    def write(
        rows=ROWS,
        folds="one_per_seed",
        claims=({"better": "F", "than": "M", "claim": "fusion is something"},),
        **settings,
    ):
        tables, configs = tmp_path / "tables", tmp_path / "configs"
        tables.mkdir(exist_ok=True)
        configs.mkdir(exist_ok=True)
        (configs / "tiny.yaml").write_text(yaml.safe_dump({**SETTINGS, **settings}))
        content = {
            "title": "Small", "source": "a test", "system": "le_mer", "scores": ["wa", "ua"], "rows": list(rows),
            "setups": {"generated": {"config": "tiny", "folds": folds, "pretraining": PRETRAINING}},
            "claims": list(claims), "figures": [{"kind": "scores"}],
        }  # fmt: skip
        (tables / "small.yaml").write_text(yaml.safe_dump(content))
        return [
            "--table", "small", "--corpus", "generated", "--data_dir", str(corpus), "--tables_folder", str(tables),
            "--configs_folder", str(configs),
        ]  # fmt: skip

    return write


def outcome(folder):
    """What must not depend on how a table was run: scores, intervals and predictions."""
    report = json.loads((folder / "small" / "generated" / "results.json").read_text(encoding="utf-8"))
    predictions = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.glob("runs/*/*/*/predictions.csv"))
    }
    return {row["row"]: row["scores"] for row in report["rows"]}, predictions


def test_a_table_end_to_end(main, table, tmp_path, capsys):
    flags = [*table(num_train_epochs=1), "--output_dir", str(tmp_path / "out")]
    main(*flags, "--only", "F/1/*", script="reproduce")  # takes along what it starts from
    first = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").glob("le_mer-*/seed1/Ses01/results.json")
    }
    assert len(first) == 3
    main(*flags, "--seeds", "2", script="reproduce")
    assert all(path.stat().st_mtime_ns == before for path, before in first.items())
    folder = tmp_path / "out" / "small" / "generated"
    report = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in report["rows"]}
    assert list(rows) == ["T", "S", "F", "again", "M"]
    assert rows["T"]["scores"] == rows["again"]["scores"]
    runs = list((tmp_path / "out" / "runs").glob("*/seed*/*/results.json"))
    assert len(runs) == 4 * 2  # T and `again` are one
    assert {path.parent.name for path in runs} == {"Ses01", "Ses02"}  # seed 1 tests the first, seed 2 the second
    assert len(list((tmp_path / "out" / "pretrained").glob("*/seed*/*/pretraining.json"))) == 2
    page = (folder / "results.md").read_text(encoding="utf-8")
    assert "66.6" in page
    assert "accelerate launch recipes/reproduce.py --table small" in page
    assert (folder / "results.csv").exists()
    assert list((folder / "figures").glob("*.png"))
    assert f"Small: {folder / 'results.md'}" in (printed := capsys.readouterr().out)
    assert f"{rows['T']['scores']['ua']['mean']:.2f}" in printed
    fused = json.loads(next((tmp_path / "out" / "runs").glob("le_mer-*/seed1/Ses01/results.json")).read_text())
    assert fused["settings"]["training"]["seed"] == 1


def test_what_is_finished_is_not_run_again(main, table, tmp_path):
    flags = [*table(rows=BASELINES[:1], claims=()), "--output_dir", str(tmp_path / "out")]
    main(*flags, script="reproduce")
    (results,) = (tmp_path / "out" / "runs").glob("*/seed1/Ses01/results.json")
    before = results.stat().st_mtime_ns
    main(*flags, "--seeds", "2", script="reproduce")
    assert results.stat().st_mtime_ns == before
    assert len(list((tmp_path / "out" / "runs").glob("*/seed*/*/results.json"))) == 2


def test_list_and_only(main, table, tmp_path, capsys):
    flags = [*table(rows=BASELINES, folds="all", claims=()), "--output_dir", str(tmp_path / "out")]
    main(*flags, "--list", script="reproduce")
    listed = capsys.readouterr().out.split()
    assert listed == [f"small:{row}/1/Ses0{fold}" for row in "ML" for fold in (1, 2, 3)]
    assert not (tmp_path / "out" / "runs").exists()
    main(*flags, "--only", "L/1/Ses02", "small:L/*/Ses03", script="reproduce")
    found = sorted(path.parent.name for path in (tmp_path / "out" / "runs").glob("*/seed1/*/results.json"))
    assert found == ["Ses02", "Ses03"]


@pytest.mark.slow
def test_two_at_a_time_share_the_work(start, table, tmp_path):
    flags = [*table(rows=ROWS[:1], folds="all", claims=()), "--output_dir", str(tmp_path / "out")]
    both = [start(*flags, script="reproduce") for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    report = json.loads((tmp_path / "out" / "small" / "generated" / "results.json").read_text())
    assert [run["fold"] for run in report["rows"][0]["runs"]] == ["Ses01", "Ses02", "Ses03"]


def killed_when(what, process, happened):
    """Kills a run as soon as something is there."""
    deadline = time.monotonic() + 250
    while not happened():
        assert process.poll() is None, f"finished before {what}: {process.communicate()[0]}"
        assert time.monotonic() < deadline, what
        time.sleep(0.0005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_killed_in_cache_checkpoint_and_fold_gives_the_same_figures(start, main, table, environment, tmp_path):
    """The same command again after every kill -9; nothing else is done."""
    flags = table(rows=ROWS[:3], claims=(), num_train_epochs=25)
    cache = tmp_path / "cache"
    environment["HF_DATASETS_CACHE"] = str(cache)
    out = tmp_path / "killed"
    command = [*flags, "--output_dir", str(out)]

    def half_written_checkpoint():
        folders = out.glob("runs/*/seed1/Ses01/checkpoints/checkpoint-*")
        return any(not (folder / "trainer_state.json").exists() for folder in folders)

    killed_when("a half-written checkpoint", start(*command, script="reproduce"), half_written_checkpoint)
    killed_when(
        "a half-written cache",
        start(*command, script="reproduce"),
        lambda: any((cache / "hf_mer_features").glob("*/tmp*")),
    )
    assert not list(out.glob("runs/*/seed1/*/results.json")) or not list((cache / "hf_mer_features").glob("*/*.arrow"))
    killed_when(
        "the middle of the second row's fold",
        start(*command, script="reproduce"),
        lambda: any(out.glob("runs/*/seed1/Ses01/checkpoints/checkpoint-*/trainer_state.json")),
    )
    finished = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/seed1/*/results.json")}
    last = start(*command, script="reproduce")
    output = last.communicate(timeout=300)[0]
    assert last.returncode == 0, output
    assert all(path.stat().st_mtime_ns == before for path, before in finished.items())
    main(*flags, "--output_dir", str(tmp_path / "undisturbed"), script="reproduce")
    assert outcome(out) == outcome(tmp_path / "undisturbed")
    assert not list(cache.glob("hf_mer_features/*/tmp*"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--table", "smal"], "no table 'smal'"),
        (["--corpus", "iemocap"], "not a set-up of small (generated)"),
        (["--seeds", "none"], "--seeds 'none'"),
        (["--only", "X/1/Ses01"], "matches no row"),
        (["--only", "T"], "matches no run; runs are row/seed/fold"),
        (["--fusion", "sideways"], "sideways"),
        (["--data_dir", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_before_any_work(main, table, tmp_path, flags, message):
    with pytest.raises(SystemExit) as stopped:
        main(*table(rows=ROWS[:2], claims=()), "--output_dir", str(tmp_path / "out"), *flags, script="reproduce")
    assert str(stopped.value).startswith("error: ")
    assert message in str(stopped.value)
    assert not list(tmp_path.glob("out/runs/*/*/*/results.json"))
