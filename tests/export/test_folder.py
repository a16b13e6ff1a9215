import shutil
from pathlib import Path

import pytest

from hf_mer.cli import main
from hf_mer.export.folder import find_exported, read_export
from hf_mer.prediction.load import load_recognizer


def test_which_names_stand_for_a_graph(le_mer, tmp_path):
    assert find_exported(le_mer.folder) == le_mer.folder / "model.onnx"
    assert find_exported(str(le_mer.folder / "model_int8.onnx")) == le_mer.folder / "model_int8.onnx"
    for other in (le_mer.checkpoint, tmp_path, "owner/name", tmp_path / "model.onnx", le_mer.folder / "model.pt2x"):
        assert find_exported(other) is None


def test_a_folder_that_lacks_what_is_asked_for(le_mer, mgcma):
    with pytest.raises(
        FileNotFoundError, match=r"is not an export, it has no export\.json; `hf-mer export` makes one"
    ):
        read_export(le_mer.checkpoint, "model.onnx")
    with pytest.raises(FileNotFoundError, match=r"has no model_int8\.onnx; it has model\.onnx"):
        read_export(mgcma.folder, "model_int8.onnx")


def test_configuration_and_specification_come_back(le_mer):
    config, spec = read_export(le_mer.folder, "model.onnx")
    assert config.to_dict()["fusion"] == "constraint"
    assert spec.inputs["input_values"] == ("batch", "samples")
    assert spec.outputs == (
        "logits", "text_label_attention", "text_mask", "speech_label_attention", "speech_mask",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("export.json", "{", r"export\.json is damaged"),
        ("export.json", "[]", r"export\.json: export=\[\] must be a dictionary"),
        ("export.json", '{"inputs": 5, "outputs": ["logits"]}', r"export\.json: inputs=5 must be a dictionary"),
        ("export.json", '{"inputs": {}, "outputs": ["scores"]}', r"export\.json: outputs=\['scores'\] must name logits"),
        ("export.json", '{"inputs": {}, "outputs": ["logits"]}', r"model\.onnx takes .*: they do not belong together"),
        ("config.json", '{"model_type": "le_mer", "modalities": 5}', r"config\.json: modalities=5 must be a list"),
        ("config.json", '{"model_type": "le_mer"}', r"model\.onnx has 4 classes, id2label in config\.json has 2"),
        ("model.onnx", "half", r"model\.onnx cannot be read: "),
    ],
)  # fmt: skip
def test_damaged_folders_are_refused_in_one_line(le_mer, tmp_path, file, content, message):
    folder = Path(shutil.copytree(le_mer.folder, tmp_path / "damaged"))
    (folder / file).write_text(content)
    with pytest.raises(ValueError, match=message) as told:
        load_recognizer(folder)
    assert "\n" not in str(told.value)


def test_programs_of_torch_export_that_were_written_before(tmp_path, capsys):
    for name in ("export.json", "model.pt2"):
        (tmp_path / name).write_text("{}")
    for checkpoint in (tmp_path, tmp_path / "model.pt2"):
        assert find_exported(checkpoint) == tmp_path / "model.pt2"
        assert main(["predict", str(checkpoint), "--text", "so glad"]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"error: {tmp_path}/model.pt2: programs of torch.export are run by PyTorch")
        assert told.count("\n") == 1
