"""A folder without the weights of its encoder is refused before any work, by what its files begin with."""

from types import SimpleNamespace

import pytest
import torch
from model_tester import tiny_settings, tiny_text_config
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from hf_mer.models.mer_encoders import make_encoder
from hf_mer.training.encoder_weights import check_encoder_weights, load_encoder

KINDS = ["bert", "wav2vec2", "whisper"]


def encoder_folder(folder, kind):
    """A tiny checkpoint, and the setting that would name it."""
    if kind == "bert":
        model, modality = AutoModel.from_config(tiny_text_config(kind)), "text"
    else:
        model, modality = make_encoder("speech", tiny_settings(kind)["speech_config"]), "speech"
    model.save_pretrained(folder)
    return f"{modality}_encoder", modality


def settings(name, folder):
    modality = name.partition("_")[0]
    return SimpleNamespace(modalities=[modality], **{name: str(folder), f"{modality}_overrides": None})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_passes_and_takes_no_memory(tmp_path, kind, capfd):
    name, modality = encoder_folder(tmp_path, kind)
    capfd.readouterr()
    check_encoder_weights(settings(name, tmp_path))
    assert not capfd.readouterr().err  # neither bar nor table
    encoder = load_encoder(str(tmp_path), modality, device_map="meta")
    assert {weight.device for weight in encoder.parameters()} == {torch.device("meta")}


@pytest.mark.parametrize("kind", KINDS)
def test_without_weights_of_layers(tmp_path, kind, capfd):
    name, modality = encoder_folder(tmp_path, kind)
    path = tmp_path / "model.safetensors"
    kept = {key: weight for key, weight in load_file(path).items() if "layer.1." not in key and "layers.1." not in key}
    save_file(kept, path, metadata={"format": "pt"})
    capfd.readouterr()
    with pytest.raises(ValueError, match=f"{name}: checkpoint '{tmp_path}' lacks weights of .*encoder"):
        check_encoder_weights(settings(name, tmp_path))
    assert "MISSING" not in capfd.readouterr().err
    with pytest.raises(ValueError, match="lacks weights of .*encoder"):
        load_encoder(str(tmp_path), modality)


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_missing_or_cut_short(tmp_path, kind):
    name, modality = encoder_folder(tmp_path, kind)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{name}: checkpoint '{tmp_path}' cannot be read: SafetensorError"):
        check_encoder_weights(settings(name, tmp_path))
    with pytest.raises(ValueError, match=f"checkpoint '{tmp_path}' cannot be read"):
        load_encoder(str(tmp_path), modality)
    path.unlink()
    with pytest.raises(
        ValueError, match=f"{name}: '{tmp_path}' contains no weights of an encoder: no file named model.safetensors"
    ):
        check_encoder_weights(settings(name, tmp_path))


def test_what_is_of_a_fold_or_was_trained_is_left(tmp_path):
    check_encoder_weights(settings("speech_encoder", tmp_path / "{fold}"))
    check_encoder_weights(SimpleNamespace(trained=True, modalities=["text"], text_encoder=str(tmp_path)))
