"""Weights and scores that are no numbers are refused in one sentence, wherever a model is used."""

import pytest
import torch
from transformers import pipeline

from hf_mer.cli import main
from hf_mer.models import PIPELINE_TASK
from hf_mer.models.finite_mer import WeightsError, check_logits, check_weights


@pytest.fixture
def damaged(tiny_checkpoint):
    """A checkpoint with one value that is no number, and its model."""
    folder, model = tiny_checkpoint()
    with torch.no_grad():
        next(iter(model.text_encoder.encoder.layer[0].parameters()))[0, 0] = float("nan")
    model.save_pretrained(folder)
    return folder, model


NAMED = r"weights text_encoder\.encoder\.layer\.0\.\S+ are NaN or infinite as torch.float32: the checkpoint is damaged"


def test_at_the_load(damaged):
    folder, _ = damaged
    with pytest.raises(WeightsError, match=f"{folder}: {NAMED}"):
        pipeline(PIPELINE_TASK, model=folder)


@pytest.mark.parametrize(
    "options", [["--json"], ["--plot", "f.png"], ["--out", "p.csv"], ["--out", "p.jsonl", "--on-bad", "skip"]]
)
def test_on_the_command_line(damaged, write_wav, options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", damaged[0], str(write_wav("a.wav")), *options]) == 1
    told = capsys.readouterr()
    assert "are NaN or infinite" in told.err
    assert "Traceback" not in told.err
    assert told.out == ""
    assert not list(tmp_path.glob("p.*"))


def test_many_are_counted(tiny_checkpoint):
    model = tiny_checkpoint()[1]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("inf"))
    with pytest.raises(WeightsError, match=r"weights \S+, \S+, \S+ and \d+ more are NaN"):
        check_weights(model)


class TestScores:
    def test_of_weights_that_changed_since_the_load(self, tiny_checkpoint):
        recognise = pipeline(PIPELINE_TASK, model=tiny_checkpoint()[0])
        with torch.no_grad():
            for parameter in recognise.model.parameters():
                parameter.fill_(float("nan"))
        with pytest.raises(WeightsError, match="are NaN or infinite as torch.float32"):
            recognise({"text": "hello"})

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
    def test_of_sound_weights(self, tiny_checkpoint, dtype):
        model = tiny_checkpoint()[1].to(dtype)
        check_logits(model, torch.zeros(2, 4))
        logits = torch.tensor([[0.0, 1.0], [float("inf"), 0.0]])
        with pytest.raises(ValueError, match=f"scores are NaN or infinite: values are too large for {dtype}"):
            check_logits(model, logits)
