"""A program of `torch.export` says what the model says."""

import json
import subprocess
import sys

import pytest
import torch
from media_files import save_film_checkpoint
from model_tester import make_batch
from safetensors.torch import save_file

from hf_mer.export import ExportedProgramModel, export_torch


@pytest.fixture(scope="module")
def graph(program):
    return ExportedProgramModel.from_pretrained(program.folder)


@pytest.mark.parametrize(
    "settings", [{"frames": [12]}, {"frames": [2, 2]}, {"frames": [31, 4, 90], "padding": 5}, {"no_audio": (1,)}]
)
def test_any_batch_and_length(program, graph, settings):
    settings = {"tokens": [1] * len(settings.get("frames", [1] * 3)), **settings}
    batch = make_batch(program.model.config, seed=3, **settings)
    with torch.no_grad():
        expected = program.model(**batch, output_attentions=True)
    output = graph(**batch, output_attentions=True)
    for name in ("logits", "speech_label_attention"):
        torch.testing.assert_close(output[name], expected[name], rtol=1e-4, atol=1e-5)
    assert output.speech_mask.equal(expected.speech_mask)


def test_the_folder_is_complete_and_says_what_was_measured(program):
    content = json.loads((program.folder / "export.json").read_text())
    assert content == program.description
    assert content["format"] == "torch"
    assert content["outputs"] == ["logits", "speech_label_attention", "speech_mask"]
    assert content["differences"]["cases"] == 4
    assert content["differences"]["largest"]["logits"] <= 1e-5
    assert set(content["sizes"]) == {"model.pt2"}


def test_pytorch_runs_it_without_this_package(program, tmp_path):
    batch = make_batch(program.model.config)
    save_file({name: batch[name] for name in program.description["inputs"]}, str(tmp_path / "batch"))
    code = (
        "import sys; sys.modules['hf_mer'] = None; sys.modules['transformers'] = None; import torch\n"
        "from safetensors.torch import load_file; inputs = load_file(sys.argv[2])\n"
        "with torch.no_grad(): print(torch.export.load(sys.argv[1]).module()(**inputs)[0].tolist())"
    )
    command = [sys.executable, "-c", code, str(program.folder / "model.pt2"), str(tmp_path / "batch")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    with torch.no_grad():
        expected = program.model(**batch).logits
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_wavfusion_with_recurrent_layers(tmp_path):
    checkpoint = save_film_checkpoint(tmp_path / "checkpoint", gru_bidirectional=True, gru_layers=2)
    description = export_torch(checkpoint, tmp_path / "exported")
    assert description["differences"]["largest"]["logits"] <= 1e-5
