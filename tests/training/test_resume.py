"""A training that is stopped anywhere ends, after the same command, as if nothing had happened."""

import json
import shutil
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import save_file

from hf_mer.locks import BusyError, exclusive
from hf_mer.training.experiment import Experiment
from hf_mer.training.resume import incomplete, last_complete_checkpoint
from hf_mer.training.trainer import MerTrainer


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
    assert "checkpoint-9 is used instead" in caplog.text


def test_a_half_written_checkpoint_alone(checkpoints, caplog):
    for step in (2, 9):
        shutil.rmtree(checkpoints / f"checkpoint-{step}")
    cut(checkpoints / "checkpoint-10" / "optimizer.pt")
    assert last_complete_checkpoint(checkpoints) is None
    assert "training starts from the beginning" in caplog.text
    assert "instead" not in caplog.text


STEPS = {"eval_strategy": "steps", "eval_steps": 2, "save_steps": 2, "num_train_epochs": 2, "modality_dropout": 0.3}
EPOCHS = {"num_train_epochs": 9, "early_stopping_patience": 2, "learning_rate": 0.0, "modalities": ["text"]}


@contextmanager
def killed(monkeypatch, owner, name, when=lambda self: True, before=False):
    """Ends the run in (or after) a method, as a kill would: nothing is tidied."""
    original = getattr(owner, name)

    def method(self, *args, **kwargs):
        if before and when(self):
            raise KeyboardInterrupt
        result = original(self, *args, **kwargs)
        if when(self):
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, method)
        try:
            yield
        except KeyboardInterrupt:
            return
    pytest.fail(f"{name} was not reached")


def ended(folder):
    """What a run left: weights, predictions, scores and log, without times."""
    results = json.loads((folder / "Ses05" / "results.json").read_text())
    log = [{name: value for name, value in entry.items() if name.startswith(("eval_", "loss", "train_loss", "step", "learning"))}
           for entry in results["history"]]  # fmt: skip
    timed = ("_runtime", "_per_second")
    return {
        "weights": (folder / "Ses05" / "model" / "model.safetensors").read_bytes(),
        "config": (folder / "Ses05" / "model" / "config.json").read_text(),
        "predictions": (folder / "Ses05" / "predictions.csv").read_bytes(),
        "test": results["test"],
        "log": [{name: value for name, value in entry.items() if not name.endswith(timed)} for entry in log],
    }


@pytest.fixture(scope="module")
def undisturbed():
    """By settings, what runs left that nothing stopped."""
    return {}


@pytest.fixture
def whole(make_experiment, undisturbed, tmp_path, trainings):
    """`whole(**settings)`: what a run leaves that nothing stops; several tests compare with the same."""

    def run(**settings):
        key = repr(settings)
        if key not in undisturbed:
            make_experiment(output_dir=str(tmp_path / "whole"), **settings).run()
            undisturbed[key] = ended(tmp_path / "whole")
            trainings.clear()  # of interrupted runs alone
        return undisturbed[key]

    return run


@pytest.mark.parametrize(
    "further",
    [
        {},
        {"lora_rank": 2},
        pytest.param(
            {"train_sampling_strategy": "random", "dataloader_num_workers": 1}, marks=pytest.mark.slow, id="workers"
        ),
        pytest.param(
            {"train_sampling_strategy": "balanced", "class_weights": "balanced", "soft_targets": True},
            marks=pytest.mark.slow,
            id="skewed",
        ),
    ],
)
def test_inside_an_epoch(make_experiment, whole, tmp_path, monkeypatch, trainings, further):
    """Six steps an epoch: of the second epoch one checkpoint is there, and half of the next."""
    settings = {**STEPS, **further}
    expected = whole(**settings)
    with killed(
        monkeypatch, MerTrainer, "_save_optimizer_and_scheduler", lambda trainer: trainer.state.global_step == 10
    ):
        make_experiment(**settings).run()
    folder = tmp_path / "run" / "Ses05"
    assert (folder / "checkpoints" / "checkpoint-10").exists()
    with pytest.raises(ValueError, match=r"a half-finished run with other settings \(training\.learning_rate\)"):
        make_experiment(**settings, learning_rate=0.5).run()
    report = make_experiment(**settings).run()
    assert trainings[-1].endswith("checkpoint-8")
    assert ended(tmp_path / "run") == expected
    assert set(report["folds"][0]["stages"]["training"]) == {"seconds", "reused"}  # the first part was not timed
    assert not (folder / "checkpoints").exists()
    assert not list((tmp_path / "run").rglob("*unfinished*"))


@pytest.mark.parametrize("epoch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_patience_is_not_forgotten(make_experiment, whole, tmp_path, monkeypatch, epoch):
    """Also where the last checkpoint is the one whose validation ended the training."""
    expected = whole(**EPOCHS)
    assert len([entry for entry in expected["log"] if "eval_ua" in entry]) == 3
    with killed(monkeypatch, MerTrainer, "_save_checkpoint", lambda trainer: trainer.state.epoch == epoch):
        make_experiment(**EPOCHS).run()
    make_experiment(**EPOCHS).run()
    assert ended(tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("method", "further"),
    [("_calibrate", {}), ("_test", {}), ("_save", {}), ("_test", {"lora_rank": 2, "num_train_epochs": 1})],
)
def test_what_is_trained_is_not_trained_again(
    make_experiment, whole, tmp_path, monkeypatch, trainings, method, further
):
    settings = {**EPOCHS, **further}
    expected = whole(**settings)
    with killed(monkeypatch, Experiment, method, before=True):
        make_experiment(**settings).run()
    with pytest.raises(ValueError, match="a half-finished run with other settings"):
        make_experiment(**{**settings, "learning_rate": 0.5}).run()
    make_experiment(**settings).run()
    assert len(trainings) == 1
    assert ended(tmp_path / "run") == expected


def test_after_the_results_only_tidying_is_left(make_experiment, tmp_path, monkeypatch, trainings):
    settings = {"num_train_epochs": 1, "modalities": ["text"]}
    with killed(monkeypatch, shutil, "rmtree", lambda path: str(path).endswith("checkpoints"), before=True):
        make_experiment(**settings).run()
    assert (tmp_path / "run" / "Ses05" / "checkpoints" / "trained").exists()
    (tmp_path / "run" / ".Ses05.lock").touch()  # as of a process that was killed
    make_experiment(**settings).run()
    assert len(trainings) == 1
    assert not (tmp_path / "run" / ".Ses05.lock").exists()
    assert not (tmp_path / "run" / "Ses05" / "checkpoints").exists()


def test_one_run_at_a_time(make_experiment, tmp_path):
    settings = {"num_train_epochs": 1, "modalities": ["text"]}
    with exclusive(tmp_path / "run" / "Ses05"), pytest.raises(BusyError, match="in use by another run"):
        make_experiment(**settings).run()
    make_experiment(**settings).run()
    with exclusive(tmp_path / "run" / "Ses05"):
        make_experiment(**settings).run()  # what is finished may be read by anybody


def test_other_recordings_are_noticed(make_experiment, corpus, tmp_path):
    """Of the same names and lengths."""
    import soundfile

    shutil.copytree(corpus, tmp_path / "corpus")
    settings = {"num_train_epochs": 1, "data_dir": str(tmp_path / "corpus")}
    make_experiment(**settings).run()
    (tmp_path / "corpus").rename(tmp_path / "moved")
    settings["data_dir"] = str(tmp_path / "moved")
    make_experiment(**settings).run()  # where it lies is all the same
    path = next((tmp_path / "moved").rglob("*.wav"))
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[::-1], rate)
    with pytest.raises(ValueError, match=r"other settings \(recordings_hash\)"):
        make_experiment(**settings).run()
    make_experiment(**{**settings, "output_dir": str(tmp_path / "texts"), "modalities": ["text"]}).run()
    soundfile.write(path, samples, rate)
    make_experiment(**{**settings, "output_dir": str(tmp_path / "texts"), "modalities": ["text"]}).run()
