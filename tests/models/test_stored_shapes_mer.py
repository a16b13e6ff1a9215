"""A checkpoint's weights against its configuration, by the Auto class alone."""

import json
import shutil

import pytest
import torch
from model_tester import save_tiny_checkpoint
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, PreTrainedModel

from hf_mer.models import LeMerForEmotionClassification


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("shapes") / "good")[0]


@pytest.fixture
def damaged(good, tmp_path):
    """`damaged("text_config", vocab_size=91)`: the folder, with other fields in a part of its configuration."""

    def make(part=None, **fields):
        folder = tmp_path / "damaged"
        shutil.copytree(good, folder)
        content = json.loads((folder / "config.json").read_text())
        (content if part is None else content[part]).update(fields)
        (folder / "config.json").write_text(json.dumps(content))
        return folder

    return make


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("text_config", {"vocab_size": 9_000_000}, r"has shape \(90, 12\).*\(9000000, 12\): text_config\.vocab_size=9000000"),
        ("text_config", {"hidden_size": 14}, r"text_config\.hidden_size=14"),
        ("speech_config", {"intermediate_size": 32}, r"\(24,\).*\(32,\): speech_config\.intermediate_size=32"),
        ("speech_config", {"conv_kernel": [10, 5]}, r"speech_config\.conv_kernel=\[10, 5\]"),
        (None, {"id2label": {"0": "a", "1": "b"}, "label2id": None}, r"number of classes in id2label \(2\)"),
        (None, {"tonal_space": "contrastive", "tonal_dim": 20}, r"\(4, 16\).*\(4, 20\): tonal_dim=20"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_said_before_weights_take_memory(damaged, monkeypatch, part, fields, message):
    folder = damaged(part, **fields)
    taken = []
    monkeypatch.setattr(PreTrainedModel, "_load_pretrained_model", lambda *_: taken.append(1))
    with pytest.raises(ValueError, match=rf"^{folder}/model\.safetensors: '[^\n]*{message}[^\n]*$"):
        AutoModel.from_pretrained(folder)
    assert not taken


def test_other_sizes_that_are_wanted(good):
    model = LeMerForEmotionClassification.from_pretrained(good, num_labels=3, ignore_mismatched_sizes=True)
    assert model.classifier.weight.shape[0] == 3


def test_older_names_are_compared_too(good, tmp_path):
    weights = load_file(f"{good}/model.safetensors")
    weights["tonal_label_embeddings"] = weights.pop("tonal_label_embeddings.weight")[:, :9].contiguous()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(f"{good}/config.json", tmp_path)
    with pytest.raises(ValueError, match=r"'tonal_label_embeddings' has shape \(4, 9\)"):
        AutoModel.from_pretrained(tmp_path)


def test_whole_numbers_are_no_weights(good, tmp_path):
    weights = load_file(f"{good}/model.safetensors")
    weights["classifier.weight"] = weights["classifier.weight"].to(torch.int8)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(f"{good}/config.json", tmp_path)
    with pytest.raises(ValueError, match=r"'classifier\.weight' contains values of type I8, which must be floating"):
        AutoModel.from_pretrained(tmp_path)


def test_half_written_weights(damaged):
    folder = damaged()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"^the weights of {folder}[^\n]* are damaged or half-written: [^\n]*$"):
        AutoModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("text_config", {"num_hidden_layers": 100_000}, r"text_config\.num_hidden_layers=100000 must be at most 1000"),
        ("text_config", {"hidden_size": -3}, r"text_config\.hidden_size=-3 must be 1 to"),
        ("text_config", {"vocab_size": 10**12}, r"text_config\.vocab_size=1000000000000 must be 1 to 10000000"),
        ("text_config", {"hidden_size": "x"}, r"text_config\.hidden_size='x' must be of type int"),
        ("text_config", {"layer_norm_eps": float("nan")}, r"text_config\.layer_norm_eps=nan must be a finite number"),
        ("text_config", {"chunk_size_feed_forward": "x"}, r"text_config\.chunk_size_feed_forward='x' must be a whole"),
        ("text_config", {"dtype": "x"}, r"text_config\.dtype: 'x' is not one of float32"),
        ("text_config", {"hidden_act": "x"}, r"text_config: no bert encoder can be built from it: [^\n]*x"),
        ("text_config", {"num_attention_heads": 5}, r"text_config: no bert encoder can be built from it: [^\n]*5"),
        ("text_config", {"model_type": "x"}, r"text_config\.model_type: 'x' is not a model that transformers"),
        (None, {"text_config": [1]}, r"text_config=\[1\] must be the configuration of an encoder"),
        (None, {"modalities": 5}, r"modalities=5 must be a list"),
        (None, {"freeze": [None]}, r"freeze=None must be text"),
        (None, {"loss_weights": {"classification": "x"}}, r"loss_weights\['classification'\]='x' must be a finite"),
        (None, {"temperatures": {"text": float("nan")}}, r"temperatures\['text'\]=nan must be a finite number"),
        (None, {"temperatures": {"text": -1}}, r"temperatures\['text'\]=-1 must be positive"),
        (None, {"calibrated_weights": 5}, r"calibrated_weights=5 must be a dictionary"),
        (None, {"classifier_dropout": 3}, r"classifier_dropout=3 must be at most 1"),
        (None, {"text_label_init": ""}, r"text_label_init: '' is not one of none"),
        (None, {"history_in_fusion": "no"}, r"history_in_fusion='no' must be true or false"),
        (None, {"id2label": 5}, r"id2label=5 must be a dictionary"),
        (None, {"id2label": {"0": "a", "7": "b"}}, r"id2label=[^\n]* must number its classes 0 to 1"),
        (None, {"id2label": {"0": "a", "x": "b"}}, r"id2label='x' must be a whole number"),
        (None, {"id2label": None, "label2id": None, "num_labels": 10**12}, r"num_labels=1000000000000 must be at most"),
        (None, {"label2id": {"sad": 0}}, r"label2id=[^\n]* is not id2label=[^\n]* the other way round"),
        (None, {"output_hidden_states": "x"}, r"output_hidden_states='x' must be a list"),
    ],
)  # fmt: skip
def test_fields_that_cannot_be_name_file_and_field(damaged, part, fields, message):
    folder = damaged(part, **fields)
    for load in (AutoModel, AutoConfig, LeMerForEmotionClassification):
        if load is AutoConfig and "can be built" in message:
            continue
        with pytest.raises(ValueError, match=rf"^{folder}/config\.json: {message}[^\n]*$"):
            load.from_pretrained(folder)


def test_what_the_caller_gives_is_not_blamed_on_the_file(good):
    with pytest.raises(ValueError, match=r"^label_smoothing=2 must be below 1"):
        AutoModel.from_pretrained(good, label_smoothing=2)
