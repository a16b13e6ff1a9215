"""Every model as an ONNX graph says what the model says, whatever the lengths and whatever is missing."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
import torch
from model_tester import make_batch, save_tiny_checkpoint, tiny_text_config

from hf_mer.export import ExportError, OnnxMerModel, export_onnx
from hf_mer.export.folder import check_out
from hf_mer.models.encoder_states_mer import RAW_INPUTS

MODELS = ["le_mer", "mgcma", *(pytest.param(name, marks=pytest.mark.slow) for name in ("wavfusion", "whisper"))]


@pytest.fixture(params=MODELS)
def export(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def graph(export):
    return OnnxMerModel.from_pretrained(export.folder)


@torch.no_grad()
def logits(model, batch):
    return model(**batch).logits


def without(batch, modality):
    return {name: value for name, value in batch.items() if name not in RAW_INPUTS[modality]}


def test_the_folder_is_complete_and_says_what_was_measured(export):
    names = {path.name for path in export.folder.iterdir()}
    assert {"model.onnx", "config.json", "processor_config.json", "tokenizer.json", "export.json"} <= names
    assert not [name for name in names if name.endswith(".safetensors") and name.startswith("model")]
    content = json.loads((export.folder / "export.json").read_text())
    assert content == export.description
    assert content["format"] == "onnx"
    assert set(content["versions"]) == {"hf_mer", "torch", "transformers", "onnx", "onnxscript", "onnxruntime"}
    assert content["differences"]["cases"] >= 9
    assert 0 <= content["differences"]["largest"]["logits"] <= content["tolerance"]
    assert content["sizes"]["model.onnx"] == (export.folder / "model.onnx").stat().st_size
    auto_map = json.loads((export.folder / "config.json").read_text())["auto_map"]
    assert set(auto_map) == {"AutoConfig"}


def test_inputs_and_outputs_have_names_and_free_axes(export):
    graph = onnx.load(export.folder / "model.onnx").graph
    axes = {
        item.name: [axis.dim_param or axis.dim_value for axis in item.type.tensor_type.shape.dim]
        for item in graph.input
    }
    assert list(axes) == list(export.description["inputs"])
    assert axes == {name: list(shape) for name, shape in export.description["inputs"].items()}
    assert axes["input_ids"] == ["batch", "tokens"]
    assert [item.name for item in graph.output] == list(export.description["outputs"])


def test_the_opset_is_the_one_asked_for(le_mer, mgcma):
    assert le_mer.description["opset"] == 20
    assert mgcma.description["opset"] == 18


@pytest.mark.parametrize(
    "settings",
    [
        {"tokens": [7], "frames": [12]},
        {"tokens": [1], "frames": [1]},
        {"tokens": [3, 11, 5, 8], "frames": [31, 4, 17, 9], "padding": 5},
        {"tokens": [30, 2], "frames": [3, 90]},
        {"tokens": [4, 6, 5], "frames": [8, 9, 12], "no_text": (0,), "no_audio": (1,), "no_video": (2,)},
    ],
)
def test_any_batch_and_length(export, graph, settings):
    batch = make_batch(export.model.config, seed=3, **settings)
    torch.testing.assert_close(logits(graph, batch), logits(export.model, batch), rtol=1e-4, atol=1e-5)


def test_a_batch_without_a_modality(export, graph):
    batch = make_batch(export.model.config, seed=4)
    complete = logits(export.model, batch)
    for modality in export.model.config.modalities:
        lacking = without(batch, modality)
        expected = logits(export.model, lacking)
        torch.testing.assert_close(logits(graph, lacking), expected, rtol=1e-4, atol=1e-5)
        assert (expected - complete).abs().max() > 1e-3
    alone = {name: batch[name] for name in RAW_INPUTS["text"]}
    torch.testing.assert_close(logits(graph, alone), logits(export.model, alone), rtol=1e-4, atol=1e-5)


def test_masks_may_be_left_out(export, graph):
    batch = make_batch(export.model.config, tokens=[6, 6], frames=[9, 9])
    bare = {name: value for name, value in batch.items() if not name.endswith(("mask", "type_ids"))}
    torch.testing.assert_close(logits(graph, bare), logits(export.model, bare), rtol=1e-4, atol=1e-5)


def test_label_attentions_of_le_mer(le_mer):
    graph = OnnxMerModel.from_pretrained(le_mer.folder)
    batch = make_batch(le_mer.model.config, seed=5, no_audio=(1,))
    with torch.no_grad():
        expected = le_mer.model(**batch, output_attentions=True)
    output = graph(**batch, output_attentions=True)
    for name in ("text_label_attention", "speech_label_attention"):
        torch.testing.assert_close(output[name], expected[name], rtol=1e-4, atol=1e-5)
    for name in ("text_mask", "speech_mask"):
        assert output[name].equal(expected[name])
        assert output[name].dtype == torch.bool
    assert graph(**batch).text_label_attention is None
    spoken = graph(**without(batch, "text"), output_attentions=True)
    assert spoken.text_label_attention is None
    assert spoken.text_mask is None


def test_a_graph_that_differs_is_not_written(tmp_path):
    settings = {"modalities": ["text"], "text_config": tiny_text_config(num_hidden_layers=1), "with_store": False}
    checkpoint, _ = save_tiny_checkpoint(tmp_path / "checkpoint", **settings)
    with pytest.raises(ExportError, match=r"differs from the model by .* more than the tolerance of -1"):
        export_onnx(checkpoint, tmp_path / "exported", tolerance=-1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_folder_with_something_else_is_left_alone(tmp_path, le_mer):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="exists and is not an export"):
        export_onnx(le_mer.checkpoint, tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_files_of_ones_own_beside_an_export(tmp_path, le_mer):
    folder = Path(shutil.copytree(le_mer.folder, tmp_path / "exported"))
    check_out(folder)
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"thesis\.tex would be deleted with the earlier export"):
        export_onnx(le_mer.checkpoint, folder)
    check_out(folder, overwrite=True)


def test_what_is_no_checkpoint(tmp_path):
    from transformers import BertConfig

    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'bert' is not one of le_mer, mgcma, wavfusion"):
        export_onnx(tmp_path, tmp_path / "out")
    with pytest.raises(OSError, match="nowhere"):
        export_onnx(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ExportError, match="opset 17 is not one of 18 to 23"):
        export_onnx(tmp_path, tmp_path / "out", opset=17)
