"""Checkpoints, an ONNX folder and a run folder that version 0.1.0 wrote (random weights), in the hands of today's code.

`older_folders.zip` is never written again: what lies in it is what users have.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from model_tester import make_batch, tone
from transformers import AutoModel, AutoModelForAudioClassification

from hf_mer.models import MerProcessor
from hf_mer.prediction.load import load_recognizer

MODELS = ["le_mer", "mgcma", "wavfusion"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("older")
    shutil.unpack_archive(Path(__file__).with_name("older_folders.zip"), root)
    return root


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_gives_the_logits_and_the_loss_that_it_gave(folders, name):
    expected = json.loads((folders / "expected.json").read_text())[name]
    model, info = AutoModelForAudioClassification.from_pretrained(folders / name, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with torch.no_grad():
        output = model(**make_batch(model.config, no_text=(1,), labels=[0, 1, 2]))
    torch.testing.assert_close(output.logits, torch.tensor(expected["logits"]), rtol=0, atol=1e-4)
    assert output.loss.item() == pytest.approx(expected["loss"], abs=1e-4)


def test_temperatures_of_a_checkpoint_still_belong_to_its_weights(folders):
    assert AutoModel.from_pretrained(folders / "le_mer").config.temperatures == {"text+speech": 1.5}


def test_an_onnx_folder_agrees_with_its_checkpoint(folders):
    pytest.importorskip("onnxruntime")
    recording = {"audio": tone(0.5), "text": "so glad you came"}
    scores, exported = (
        {entry["label"]: entry["score"] for entry in load_recognizer(folders / name)(dict(recording))}
        for name in ("le_mer", "le_mer_onnx")
    )
    assert exported == pytest.approx(scores, abs=1e-4)


def test_a_finished_fold_is_recognised(folders, make_experiment):
    """Corpora that are generated may change; that a fold's settings still mean the same must not."""
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    experiment = make_experiment(
        output_dir=str(folders / "run"),
        text_encoder={"model_type": "bert", "vocab_size": 120, "max_position_embeddings": 64, **text},
    )
    rows = experiment.load()
    fold = experiment.folds(rows)[0]
    results = folders / "run" / fold.name / "results.json"
    older = json.loads(results.read_text())
    for name in ("data_hash", "split_hash"):
        older["settings"][name] = experiment.settings(rows, fold)[name]
    results.write_text(json.dumps(older))
    assert experiment.run_fold(rows, fold) == older


def test_the_model_of_a_run_predicts(folders):
    model = AutoModel.from_pretrained(folders / "run" / "Ses05" / "model")
    processor = MerProcessor.from_pretrained(folders / "run" / "Ses05" / "model")
    batch = processor(audio=[tone(0.5)], text=["so glad"], sampling_rate=16000)
    with torch.no_grad():
        assert model(**batch).logits.isfinite().all()
