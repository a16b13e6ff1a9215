"""`hf-mer train`: what it would run, and that it runs the recipes' code. The path to the end is in tests/recipes."""

import subprocess
from types import SimpleNamespace

import pytest

from hf_mer.cli import main
from hf_mer.training import run


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "calls.csv"
    path.write_text("audio,text,emotion,speaker\n" + "".join(f"{i}.wav,hm,glad,s{i}\n" for i in range(5)))
    return str(path)


def test_flags_are_handed_on(table, capsys, tmp_path):
    command = [
        "train",
        "le_mer",
        table,
        "--text-encoder",
        "roberta-base",
        "--out",
        str(tmp_path / "runs"),
        "--dry-run",
    ]
    assert main([*command, "--learning_rates", '{"text_encoder": 1e-5}']) == 0
    told = capsys.readouterr().out
    assert told.startswith("python -m hf_mer.training.run le_mer --config ")
    assert "le_mer_corpus.yaml" in told
    assert "--num_groups 5 --text-encoder roberta-base --learning_rates" in told
    assert f"--output_dir {tmp_path / 'runs'}" in told


def test_settings_of_small_encoders_that_stay_frozen(table, capsys):
    assert main(["train", "le_mer", table, "--frozen", "--dry-run"]) == 0
    assert "le_mer_corpus_frozen.yaml" in capsys.readouterr().out


def test_processes_go_through_the_launcher(table, capsys, monkeypatch):
    assert main(["train", "mgcma", table, "--processes", "2", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("accelerate launch --multi_gpu --num_processes 2 ")
    called = []
    done = SimpleNamespace(wait=lambda: 3)
    monkeypatch.setattr(subprocess, "Popen", lambda command: called.append(command) or done)
    assert main(["train", "mgcma", table, "--processes", "2"]) == 3
    assert called[0][1:3] == ["-m", "accelerate.commands.launch"]
    assert called[0][called[0].index("hf_mer.training.run") + 1] == "mgcma"
    assert main(["train", "mgcma", table, "--accelerate-config", "four.yaml"]) == 3
    assert called[1][3:5] == ["--config_file", "four.yaml"]


def test_settings_are_listed(capsys):
    for system, setting in (
        ("le_mer", "--text_label_init"),
        ("baseline", "--system"),
        ("wavfusion", "--num_deep_layers"),
    ):
        assert main(["train", system, "--settings"]) == 0
        assert setting in capsys.readouterr().out


def test_errors(table, capsys, tmp_path):
    assert main(["train", "le_mer"]) == 1
    assert "SOURCE is missing" in capsys.readouterr().err
    assert main(["train", "le_mer", str(tmp_path / "nothing.csv")]) == 1
    assert "no such settings file, table or folder" in capsys.readouterr().err
    (tmp_path / "settings.yaml").write_text("learning_rat: 1")
    with pytest.raises(SystemExit, match="unknown setting 'learning_rat'; did you mean"):
        main(["train", "le_mer", str(tmp_path / "settings.yaml")])


def test_systems_run_their_recipes(monkeypatch):
    called = []
    monkeypatch.setattr(run, "run_recipe", lambda model, argv: called.append((model.__name__, argv)))
    monkeypatch.setattr(run, "run_baseline", lambda argv: called.append(("baseline", argv)))
    for system in ("le_mer", "mgcma", "wavfusion", "baseline"):
        run.run_system(system, ["--seed", "1"])
    assert [name for name, _ in called] == ["LeMerArguments", "MgcmaArguments", "WavFusionArguments", "baseline"]
    assert all(argv == ["--seed", "1"] for _, argv in called)
