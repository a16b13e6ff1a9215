"""Checkpoints whose files are damaged or do not belong together, as commands load them: one line, before any scores."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from model_tester import save_tiny_checkpoint
from safetensors.torch import load_file, save_file

from hf_mer.cli import main
from hf_mer.models import MerProcessor
from hf_mer.prediction.load import load_recognizer


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("damaged") / "good")[0]


@pytest.fixture
def folder(good, tmp_path):
    return Path(shutil.copytree(good, tmp_path / "damaged"))


def change(path, part, value):
    """Sets one field, named with dots, of a JSON file; the whole content without a name."""
    content = json.loads(path.read_text())
    *parents, last = part.split(".") if part else [None]
    place = content
    for name in parents:
        place = place[name]
    if last is not None:
        place[last] = value
    path.write_text(json.dumps(content if last is not None else value))


def refused(folder, message, *, load=load_recognizer):
    with pytest.raises(ValueError, match=message) as told:
        load(folder)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("", [], "processor_config.json cannot be read"),
        ("max_history", "x", r"processor_config\.json: max_history='x' must be a whole number"),
        ("max_history", -1, r"processor_config\.json: max_history=-1 must be at least 0"),
        ("max_text_tokens", None, r"processor_config\.json: max_text_tokens=None must be a whole number"),
        ("max_audio_seconds", -3, r"processor_config\.json: max_audio_seconds=-3 must be positive"),
        ("max_audio_seconds", float("nan"), r"processor_config\.json: max_audio_seconds=nan must be a finite number"),
        ("max_audio_seconds", 0.01, r"processor_config\.json: max_audio_seconds=0\.01 is less than min_audio_seconds=0\.05"),
        ("feature_extractor", 5, r"feature_extractor in processor_config\.json.* cannot be read"),
        ("feature_extractor.sampling_rate", 0, r"processor_config\.json: feature_extractor\.sampling_rate=0 must be at"),
        ("feature_extractor.sampling_rate", "x", r"feature_extractor\.sampling_rate='x' must be a whole number"),
        ("feature_extractor.padding_value", float("inf"), r"feature_extractor\.padding_value=inf must be a finite number"),
    ],
)  # fmt: skip
def test_fields_of_the_processor(folder, part, value, message):
    change(folder / "processor_config.json", part, value)
    refused(folder, message)
    refused(folder, message, load=MerProcessor.from_pretrained)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[]", "5", '{"model": 5}'])
def test_tokenizers(folder, name, content):
    if (name, content) == ("tokenizer_config.json", '{"model": 5}'):
        content = "null"
    (folder / name).write_text(content)
    refused(folder, "^[^ ]*: tokenizer.json and tokenizer_config.json cannot be read")


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("keywords", 5, "keywords=5 must be a dictionary"),
        ("keywords", 0, "keywords=0 must be a dictionary"),
        ("keywords.sad", [["so", "x"]], r"keywords\['sad'\]='x' must be a finite number"),
        ("keywords.sad", [["so", float("nan")]], r"keywords\['sad'\]=nan must be a finite number"),
        ("keywords.sad", [["so"]], r"keywords\['sad'\]=\[\['so'\]\] must be a list of pairs"),
        ("tonal_codes.sad", [[-1, 0.5]], r"tonal_codes\['sad'\]=-1 must be at least 0"),
        ("labels", "sad", "labels='sad' must be a list"),
        ("labels", [["sad"], 5], r"labels=\['sad'\] must be text"),
        ("discretizer.groups", 10**12, "groups=1000000000000 must be at most 1000"),
        ("settings", 5, "settings=5 must be a dictionary"),
    ],
)
def test_fields_of_the_label_store(folder, part, value, message):
    change(folder / "label_store.json", part, value)
    refused(folder, rf"label_store\.json: {message}", load=MerProcessor.from_pretrained)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda one: torch.cat([one, one], 1), r"text_embeddings of the label store \(label_store\.safetensors\) are 24 wide, .* 12"),
        (lambda one: one.index_fill(0, torch.tensor([1]), float("nan")), r"label_store\.safetensors: text_embeddings .* NaN"),
        (lambda one: one.long(), r"label_store\.safetensors: text_embeddings must be finite numbers"),
        (lambda one: one[:3], r"label_store\.safetensors: text_embeddings must have shape \(4, width\), not \(3, 12\)"),
    ],
)  # fmt: skip
def test_tensors_of_the_label_store(folder, changed, message):
    path = folder / "label_store.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "text_embeddings": changed(tensors["text_embeddings"]).contiguous()}, path)
    refused(folder, message)


def test_weights_that_are_missing_or_have_no_place(folder):
    weights = load_file(folder / "model.safetensors")
    for kept, message in (
        ({name: one for name, one in weights.items() if name != "classifier.bias"}, r"lack 'classifier\.bias' that"),
        ({**weights, "more.weight": torch.zeros(2)}, r"contain 'more\.weight' that config\.json does not ask for"),
    ):
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        refused(folder, message)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder / "config.json", "text_config.num_hidden_layers", 1)
    refused(
        folder, r"contain 'text_encoder\.encoder\.layer\.1\.[^']*' and 15 others that config\.json does not ask for"
    )


@pytest.mark.parametrize(
    ("file", "part", "value", "message"),
    [
        ("config.json", "auto_map", 5, r"config\.json cannot be read: TypeError"),
        ("config.json", "architectures", 5, r"config\.json: architectures=5 must be a list"),
        ("config.json", "model_type", "bert", "'bert' is not one of le_mer, mgcma, wavfusion"),
    ],
)  # fmt: skip
def test_files_that_do_not_belong_together(folder, file, part, value, message):
    change(folder / file, part, value)
    refused(folder, message)


def test_a_vocabulary_that_is_too_small(folder):
    change(folder / "config.json", "text_config.vocab_size", 50)
    weights = load_file(folder / "model.safetensors")
    name = "text_encoder.embeddings.word_embeddings.weight"
    save_file({**weights, name: weights[name][:50].clone()}, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, r"the tokenizer \(tokenizer\.json\) has \d+ tokens, but text_config\.vocab_size=50")


def test_frames_of_another_width(tmp_path):
    folder = Path(save_tiny_checkpoint(tmp_path / "mel", "wav2vec2-bert", with_store=False)[0])
    change(folder / "processor_config.json", "feature_extractor.num_mel_bins", 40)
    refused(folder, r"num_mel_bins=40 times stride=2 .* speech_config\.feature_projection_input_dim=160")


def test_commands_say_it_in_one_line(folder, capsys):
    change(folder / "processor_config.json", "max_history", "x")
    assert main(["predict", str(folder), "--text", "hello"]) == 1
    told = capsys.readouterr().err
    assert told == f"error: {folder}/processor_config.json: max_history='x' must be a whole number\n"
