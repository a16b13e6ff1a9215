"""Adapters: on the attention of every encoder and nowhere else, trained beside the new layers, and merged."""

import json
import logging
from types import SimpleNamespace

import pytest
import torch
from model_tester import SPEECH_TYPES, make_batch, tiny_settings, tiny_text_config, tiny_video_config
from safetensors import safe_open

from hf_mer.models import (
    LeMerConfig,
    LeMerForEmotionClassification,
    WavFusionConfig,
    WavFusionForEmotionClassification,
)
from hf_mer.training import LeMerArguments, MerTrainingArguments
from hf_mer.training.lora import add_lora, attention_projections, merge_lora, prepare_training
from hf_mer.training.trainer import MerTrainer

peft = pytest.importorskip("peft")

TEXT_TYPES = ["roberta", "distilbert", "deberta-v2", "mpnet"]


def le_mer(speech_type="wav2vec2", text_type="bert", **fields):
    settings = {**tiny_settings(speech_type), "text_config": tiny_text_config(text_type), **fields}
    return LeMerForEmotionClassification(LeMerConfig(**settings))


@torch.no_grad()
def logits(model, batch):
    return model.eval()(**batch).logits


def adapted(model, rank=2):
    add_lora(model, attention_projections(model, rank), rank, seed=0)
    return model


def train(model, batch, steps=3):
    """A few steps; the parameters that are trained, by name."""
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    optimizer = torch.optim.SGD(trained.values(), lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        model.train()(**batch).loss.backward()
        optimizer.step()
    return trained


@pytest.mark.parametrize(
    ("speech_type", "text_type"),
    [*((speech_type, "bert") for speech_type in SPEECH_TYPES), *(("wav2vec2", text_type) for text_type in TEXT_TYPES)],
)
def test_every_adapter_learns_and_the_merged_model_says_the_same(speech_type, text_type):
    model = le_mer(speech_type, text_type)
    batch = make_batch(model.config, no_audio=(1,), labels=[0, 1, 2])
    before, names = logits(model, batch), list(model.state_dict())
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    adapted(model)
    torch.testing.assert_close(logits(model, batch), before)  # they begin at nothing
    trained = train(model, batch)
    # queries, keys, values and output of two layers, two matrices each
    for encoder in ("text_encoder", "speech_encoder"):
        own = {name: one for name, one in trained.items() if name.startswith(encoder)}
        assert len(own) >= 16
        assert all(".lora_" in name for name in own)
        assert all(one.grad.any() for one in own.values())
    after = logits(model, batch)
    assert not torch.allclose(after, before)
    merge_lora(model)
    torch.testing.assert_close(logits(model, batch), after, rtol=1e-5, atol=1e-5)
    assert list(model.state_dict()) == names
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, weights[name])}
    assert not [name for name in moved if "encoder" in name and "att" not in name]
    assert {"classifier.weight", "text_label_embeddings.weight", "tonal_label_embeddings.weight"} <= moved


def test_frozen_encoders_and_layers_have_no_adapters():
    model = le_mer(freeze=["text_encoder"])
    assert set(attention_projections(model, 2)) == {"speech_encoder"}
    paths = attention_projections(le_mer(freeze=["text_layers:1", "speech_feature_encoder"]), 2)["text_encoder"]
    assert len(paths) == 4
    assert all(".layer.1." in path for path in paths)


def test_wavfusions_own_layers_are_trained_whole():
    settings = {**tiny_settings(), "video_config": tiny_video_config(), "num_deep_layers": 1, "auxiliary_heads": 2}
    fields = {"freeze": ["text_encoder", "video_encoder"], "video_dim": 8, "lvc_codewords": 3}
    model = WavFusionForEmotionClassification(WavFusionConfig(**settings, **fields))
    model = adapted(model)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (".lora_" in name or "encoder." not in name.replace("shared_encoder", ""))
    assert sum(".lora_A" in name for name, _ in model.named_parameters()) == 4


@pytest.mark.parametrize(
    ("make", "rank", "message"),
    [
        (lambda: le_mer(freeze=["text_encoder", "speech_encoder"]), 2, r"lora_rank=2: freeze=\['text_encoder', 's"),
        (lambda: le_mer(), 12, r"lora_rank=12 must be below .* bert's encoder\.layer\.0\.attention\.self\.query has 12"),
        (
            lambda: WavFusionForEmotionClassification(
                WavFusionConfig(video_config=tiny_video_config(), modalities=["video"], freeze=[])
            ),
            2,
            r"the video encoder \(efficientnet\) has no linear layers of attention to adapt; freeze it \(freeze: video_",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_adapted_is_refused(make, rank, message):
    with pytest.raises(ValueError, match=message):
        attention_projections(make(), rank)


@pytest.mark.parametrize("rank", [0, -3, 2.5, True, "8"])
def test_a_rank_is_a_positive_whole_number(rank):
    with pytest.raises(ValueError, match=rf"lora_rank={rank} must be a whole number of at least 1"):
        LeMerArguments(lora_rank=rank)


def test_settings_that_do_not_go_with_adapters(new_experiment, monkeypatch):
    with pytest.raises(ValueError, match="reentrant checkpointing gives adapters .* use_reentrant=False"):
        new_experiment(lora_rank=2, gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": True})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"lora_rank needs peft: pip install 'hf_mer\[peft\]'"):
        new_experiment(lora_rank=2)


@pytest.mark.parametrize("enabled", ["is_fsdp_enabled", "is_deepspeed_enabled"])
def test_sharded_weights_are_refused(enabled):
    trainer = SimpleNamespace(
        **{"model": le_mer(), "is_fsdp_enabled": False, "is_deepspeed_enabled": False, enabled: True}
    )
    with pytest.raises(ValueError, match="not merged into sharded weights"):
        prepare_training(trainer, attention_projections(trainer.model, 2), 2)


def test_what_cannot_be_adapted_is_told_before_any_work(make_experiment, monkeypatch):
    monkeypatch.setattr("hf_mer.training.fold_training.add_lengths", lambda *args: pytest.fail("work was done"))
    with pytest.raises(ValueError, match="leaves no attention of an encoder to adapt"):
        make_experiment(lora_rank=2, freeze=["text_encoder", "speech_encoder"]).run()


def rates(model, tmp_path, **learning_rates):
    args = MerTrainingArguments(
        output_dir=str(tmp_path), learning_rate=1e-3, learning_rates=learning_rates, use_cpu=True, weight_decay=0.1
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = MerTrainer(model=model, args=args).parameter_groups(model)
    return {names[id(one)]: group["lr"] for group in groups for one in group["params"]}


def test_adapters_learn_at_the_rate_of_new_layers(tmp_path):
    model = adapted(le_mer())
    by_name = rates(model, tmp_path, speech_encoder=1e-6, text_encoder=5e-6)
    assert len(by_name) == sum(parameter.requires_grad for parameter in model.parameters())
    assert set(by_name.values()) == {1e-3}
    by_name = rates(model, tmp_path, speech_encoder=1e-6, lora=2e-4)
    assert {rate for name, rate in by_name.items() if ".lora_" in name} == {2e-4}
    assert {rate for name, rate in by_name.items() if ".lora_" not in name} == {1e-3}
    with pytest.raises(ValueError, match="'lora' is the beginning of no parameter"):
        rates(le_mer(), tmp_path, lora=2e-4)


def test_checkpointing_changes_no_gradient():
    model = le_mer()
    batch = make_batch(model.config, labels=[0, 1, 2])
    adapted(model).train()
    found = []
    for _ in range(2):
        model.zero_grad()
        model(**batch).loss.backward()
        found.append({name: one.grad.clone() for name, one in model.named_parameters() if one.requires_grad})
        model.gradient_checkpointing_enable()
    assert any(".lora_A" in name for name in found[0])
    torch.testing.assert_close(found[0], found[1])


def test_a_run_leaves_a_plain_checkpoint(make_experiment, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    seen = []
    monkeypatch.setattr(
        MerTrainer, "create_optimizer", lambda self, *args, make=MerTrainer.create_optimizer: (
            seen.append([name for name, one in self.model.named_parameters() if one.requires_grad]), make(self, *args)
        )[1],
    )  # fmt: skip
    report = make_experiment(lora_rank=2, num_train_epochs=1).run()
    results = report["folds"][0]
    model = LeMerForEmotionClassification.from_pretrained(tmp_path / "run" / "Ses05" / "model")
    counts = results["parameters"]
    assert counts["all"] == sum(one.numel() for one in model.parameters())
    assert 0 < counts["trained"] < counts["all"] / 2
    assert any(".lora_B" in name for name in seen[0])
    assert results["settings"]["model"]["lora_rank"] == 2
    assert "LoRA of rank 2 on linear layers of attention: 4 of text_encoder, 4 of speech_encoder" in caplog.text
    assert f"{counts['trained']} of {counts['all']} parameters are trained (" in caplog.text
    assert "peak memory of fold Ses05: {'host': " in caplog.text
    with safe_open(tmp_path / "run" / "Ses05" / "model" / "model.safetensors", framework="np") as file:
        assert not [name for name in file.keys() if "lora" in name or "base_layer" in name]  # noqa: SIM118
    assert "peft" not in json.dumps(model.config.to_dict())


def test_a_trained_checkpoint_goes_on_with_adapters(make_experiment, finished, tmp_path):
    """Its weights come from a file, whose names transformers may change back when it saves."""
    folder = finished[0] / "Ses05" / "model"
    make_experiment(lora_rank=2, num_train_epochs=1, checkpoint=str(folder)).run()
    before = LeMerForEmotionClassification.from_pretrained(folder).state_dict()
    after = LeMerForEmotionClassification.from_pretrained(tmp_path / "run" / "Ses05" / "model").state_dict()
    assert list(before) == list(after)
    moved = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert any("self_attn.linear_q" in name for name in moved)
    assert not [name for name in moved if "encoder" in name and "att" not in name]
