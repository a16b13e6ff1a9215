"""`recipes/pretrain_speech.py` as people run it: through the launcher, killed and started again, and what comes after."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from generated_corpus import SPEECH
from safetensors.torch import load_file

from hf_mer.training.resume import last_complete_checkpoint

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes/pretrain_speech.py"
MEL = {**SPEECH, "layerdrop": 0.0, "conformer_conv_dropout": 0.0}


@pytest.fixture
def settings(corpus, tmp_path):
    """`settings(speech_encoder=..., ...)`: path of a YAML file of complete settings."""

    def write(**changes):
        content = {
            "data_dir": str(corpus),
            "protocol": "fixed_session",
            "validation": "speakers:1",
            "max_audio_seconds": 1.0,
            "speech_encoder": MEL,
            "output_dir": str(tmp_path / "second_stage"),
            "mask_time_length": 3,
            "unit_clusters": 8,
            "learning_rate": 0.001,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "seed": 1,
            "use_cpu": True,
            "disable_tqdm": True,
            **changes,
        }
        path = tmp_path / "second_stage.yaml"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return write


@pytest.fixture
def pretrain(main, monkeypatch):
    """`pretrain("--config", path)`: the script's `main` in this process."""

    def run(*arguments):
        spec = importlib.util.spec_from_file_location("pretrain_speech", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", ["pretrain_speech.py", *arguments])
        module.main()

    return run


@pytest.fixture
def launch(environment):
    """`launch("--config", path, processes=2)`: through `accelerate launch`, in a process group of its own."""
    running = []

    def begin(*arguments, processes=1):
        options = (
            ["--config_file", str(ROOT / "recipes/accelerate/cpu_two.yaml")]
            if processes > 1
            else ["--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        )
        command = [sys.executable, "-m", "accelerate.commands.launch", *options, str(SCRIPT), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        running.append(subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def results(folder):
    return json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_killed_and_started_again(launch, pretrain, settings, tmp_path, caplog, capsys):
    """SIGKILL after the first checkpoints; the weights are those of a run that nothing stopped."""
    path = settings(num_train_epochs=30)
    process = launch("--config", path)
    checkpoints = tmp_path / "second_stage/Ses03/checkpoints"
    deadline = time.monotonic() + 600
    while not any(map(last_complete_checkpoint, checkpoints.glob("*"))):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "second_stage/Ses03/pretraining.json").exists()

    caplog.set_level("INFO")
    pretrain("--config", path)
    assert "resuming from" in caplog.text
    assert "| Ses03 |" in capsys.readouterr().out
    pretrain("--config", path, "--output_dir", str(tmp_path / "whole"))
    found, expected = (load_file(tmp_path / name / "Ses03/model.safetensors") for name in ("second_stage", "whole"))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)
    assert len([entry for entry in results(tmp_path / "second_stage/Ses03")["history"] if "eval_loss" in entry]) == 30
    assert not checkpoints.exists()
    pretrain("--config", path)
    assert "fold Ses03 is finished" in caplog.text


def test_le_mer_starts_from_it(pretrain, main, settings, config, encoders, tmp_path):
    """The codebook gives the tonal labels, in the space of its projections."""
    pretrain("--config", settings(speech_encoder=encoders["speech_encoder"], num_train_epochs=1))
    folder = tmp_path / "second_stage/Ses03"
    assert results(folder)["objective"] == "contrastive"
    main("--config", config(num_train_epochs=1), "--speech_encoder", str(tmp_path / "second_stage" / "{fold}"))
    trained = json.loads((tmp_path / "run/Ses03/results.json").read_text())
    assert trained["settings"]["model"]["tonal_space"] == "contrastive"
    assert trained["settings"]["label_store"]["discretizer"] == "codebook"
    assert trained["settings"]["model"]["speech_encoder"].endswith("{fold}")


@pytest.mark.slow
def test_two_processes_have_the_loss_of_one(launch, pretrain, settings, tmp_path):
    """All rows in one step: two halves in two processes are the batch of one."""
    process = launch("--config", settings(per_device_train_batch_size=12, num_train_epochs=3), processes=2)
    output = process.communicate(timeout=600)[0]
    assert process.returncode == 0, output
    assert output.count("| Ses03 |") == 1
    pretrain(
        "--config", settings(per_device_train_batch_size=24, num_train_epochs=3, output_dir=str(tmp_path / "one"))
    )
    one, two = (results(tmp_path / name / "Ses03") for name in ("one", "second_stage"))
    assert two["environment"]["processes"] == 2
    assert one["rows"] == two["rows"]
    assert one["rows"]["train"] == 24
    for name in (
        "loss",
        "loss_masked_units",
        "masked_accuracy",
        "unit_perplexity",
        "eval_loss",
        "eval_masked_accuracy",
    ):
        values = [[entry[name] for entry in content["history"] if name in entry] for content in (one, two)]
        assert values[0] == pytest.approx(values[1], abs=1e-3), name


def test_settings_that_cannot_be(pretrain, settings):
    with pytest.raises(SystemExit, match=r"unknown setting 'mask_time_lenght'; did you mean mask_time_length"):
        pretrain("--config", settings(mask_time_lenght=4))
    with pytest.raises(SystemExit, match="objective='contrastive' needs an encoder with a quantizer"):
        pretrain("--config", settings(objective="contrastive"))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes/configs").glob("pretrain_*.yaml")), ids=lambda path: path.stem
)
def test_complete_settings(path):
    """Everything in the files is a setting, and the encoder is the one of the recipe that comes after."""
    from hf_mer.training import DataArguments, parse_arguments
    from hf_mer.training.pretraining.encoder import encoder_config, objective_of
    from hf_mer.training.pretraining.fold import PretrainingArguments, SpeechEncoderArguments

    types = [SpeechEncoderArguments, DataArguments, PretrainingArguments]
    encoder, data, arguments = parse_arguments(types, ["--config", str(path), "--data_dir", "DIR"])
    after = yaml.safe_load((path.parent / path.name.replace("pretrain", "le_mer")).read_text())
    assert encoder.speech_encoder == after["speech_encoder"]
    for name in (
        "corpus",
        "protocol",
        "group_column",
        "num_groups",
        "validation",
        "test_session",
        "max_audio_seconds",
    ):
        if name in after:
            assert getattr(data, name) == after[name], name
    if isinstance(encoder.speech_encoder, dict):
        assert objective_of(encoder_config(encoder, "any"), arguments) == "masked_units"
