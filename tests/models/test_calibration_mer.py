"""Temperatures belong to one set of weights: what changes weights takes them away, what only stores them does not."""

import json
import logging

import pytest
import torch
from model_tester import LABELS, make_batch, tiny_settings
from transformers import AutoConfig, AutoModel, Trainer, TrainingArguments

from hf_mer.hub.checkpoints import Checkpoint
from hf_mer.models import LeMerConfig, LeMerForEmotionClassification
from hf_mer.models.calibration_mer import belongs, fingerprints

TEMPERATURES = {"text": 4.0}
THRESHOLDS = {"text": 0.4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A calibrated text-only checkpoint."""
    path = tmp_path_factory.mktemp("calibrated")
    made(temperatures=TEMPERATURES, thresholds=THRESHOLDS).save_pretrained(path)
    return path


def made(seed=0, **fields):
    torch.manual_seed(seed)
    return LeMerForEmotionClassification(LeMerConfig(**{**tiny_settings(), "modalities": ["text"], **fields})).eval()


def load(folder, **kwargs):
    return LeMerForEmotionClassification.from_pretrained(folder, **kwargs)


def saved(model, path, **kwargs):
    model.save_pretrained(path, **kwargs)
    return json.loads((path / "config.json").read_text())


def step(model):
    """One step of an ordinary loop."""
    model.train()
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=1e-3)
    model(**make_batch(model.config if hasattr(model, "config") else None, labels=[0, 1, 2])).loss.backward()
    optimizer.step()
    return model


def batches():
    batch = make_batch(LeMerConfig(**tiny_settings(), modalities=["text"]), labels=[0, 1, 2])
    return [{name: tensor[row] for name, tensor in batch.items()} for row in range(3)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_loading_and_saving_in_another_precision_keeps_them(folder, tmp_path, dtype):
    model = load(folder, dtype=getattr(torch, dtype))
    assert model.config.temperatures == TEMPERATURES
    config = saved(model, tmp_path / "one")
    assert (config["temperatures"], config["thresholds"]) == (TEMPERATURES, THRESHOLDS)
    for other in ("float32", "bfloat16") if dtype != "float32" else ("float16",):
        again = load(tmp_path / "one", dtype=getattr(torch, other))
        assert again.config.temperatures == TEMPERATURES, other
    assert saved(load(folder).to(getattr(torch, dtype)), tmp_path / "two")["temperatures"] == TEMPERATURES


def test_evaluating_and_moving_keeps_them(folder, tmp_path, caplog):
    model = load(folder)
    with torch.no_grad():
        model.train()(**make_batch(model.config))
    assert saved(model.eval(), tmp_path)["temperatures"] == TEMPERATURES
    assert load(folder, device_map="cpu").config.temperatures == TEMPERATURES
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING and "temperatures" in one.getMessage()]


@pytest.mark.parametrize("temperatures", [{}, TEMPERATURES])
def test_the_prior_of_the_training_rows_goes_with_the_weights(temperatures, tmp_path):
    prior = [0.1, 0.2, 0.3, 0.4]
    assert saved(made(temperatures=temperatures, class_prior=prior), tmp_path / "one")["class_prior"] == prior
    model = load(tmp_path / "one")
    assert model.config.class_prior == prior
    assert saved(step(model), tmp_path / "two").get("class_prior") is None
    model.config.class_prior = prior  # of the rows that it was trained on now
    assert saved(model, tmp_path / "three")["class_prior"] == prior
    assert load(tmp_path / "three").config.class_prior == prior


def test_a_checkpoint_without_fingerprint_keeps_its_own_until_it_is_trained(folder, tmp_path):
    state = load(folder).state_dict()
    old = made(temperatures=TEMPERATURES)
    old.load_state_dict(state)
    config = saved(old, tmp_path)
    del config["calibrated_weights"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load(tmp_path)
    assert model.config.temperatures == TEMPERATURES
    assert saved(step(model), tmp_path / "trained")["temperatures"] == {}
    assert load(tmp_path, num_labels=3, ignore_mismatched_sizes=True).config.temperatures == {}


def test_an_ordinary_loop_drops_them_with_a_line_in_the_log(folder, tmp_path, caplog):
    model = step(load(folder))
    config = saved(model, tmp_path)
    assert config["temperatures"] == config["thresholds"] == {}
    assert not config.get("calibrated_weights")
    lines = [one.getMessage() for one in caplog.records if "temperatures {'text': 4.0}" in one.getMessage()]
    assert len(lines) == 1
    assert load(tmp_path).config.temperatures == {}


def test_a_model_in_memory_that_is_trained_drops_them(tmp_path):
    model = made()
    model.config.temperatures = dict(TEMPERATURES)
    assert saved(step(model), tmp_path)["temperatures"] == {}


def test_new_temperatures_belong_to_the_weights_as_they_are(folder, tmp_path):
    model = step(load(folder))
    model.config.temperatures = {"text": 2.0}
    assert saved(model, tmp_path)["temperatures"] == {"text": 2.0}
    assert load(tmp_path).config.temperatures == {"text": 2.0}


def test_other_labels_drop_them(folder):
    id2label = dict(enumerate(LABELS[:3]))
    for kwargs in ({"num_labels": 3}, {"id2label": id2label, "label2id": {b: a for a, b in id2label.items()}}):
        assert load(folder, ignore_mismatched_sizes=True, **kwargs).config.temperatures == {}
    auto = AutoModel.from_pretrained(folder, num_labels=5, ignore_mismatched_sizes=True)
    assert auto.config.temperatures == {}


def test_another_state_dict_drops_them(folder, tmp_path):
    model = load(folder)
    model.load_state_dict(made(seed=1).state_dict())
    assert saved(model, tmp_path)["temperatures"] == {}
    fresh = LeMerForEmotionClassification(AutoConfig.from_pretrained(folder))
    assert saved(fresh, tmp_path)["temperatures"] == {}
    fresh = LeMerForEmotionClassification(AutoConfig.from_pretrained(folder))
    fresh.load_state_dict(load(folder).state_dict())
    assert saved(fresh, tmp_path)["temperatures"] == TEMPERATURES


@pytest.mark.parametrize("save", ["save_model", "save_pretrained"])
def test_plain_trainer_drops_them(folder, tmp_path, save):
    model = load(folder)
    args = TrainingArguments(
        str(tmp_path / "runs"), max_steps=1, use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True
    )
    trainer = Trainer(model=model, args=args, train_dataset=batches())
    trainer.train()
    getattr(trainer if save == "save_model" else model, save)(str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["temperatures"] == {}


def test_score_fusion_of_calibrated_parts_has_none(folder, tmp_path):
    torch.manual_seed(0)
    speech = LeMerForEmotionClassification(LeMerConfig(**tiny_settings(), modalities=["speech"]))
    speech.config.temperatures = {"speech": 2.0}
    speech.save_pretrained(tmp_path)
    fused = LeMerForEmotionClassification.from_unimodal(folder, tmp_path)
    assert fused.config.temperatures == {}


def test_merged_adapters_drop_them(folder, tmp_path):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["query"], modules_to_save=["text_label_embeddings"])
    adapted = peft.get_peft_model(load(folder), config)
    model = step(adapted).merge_and_unload()
    assert saved(model, tmp_path)["temperatures"] == {}


def test_a_card_shows_no_temperatures_that_the_model_has_dropped(tmp_path):
    calibration = {"source": "validation", "temperatures": {"text": 4.0}, "test": {"ece": 0.2, "ece_calibrated": 0.1}}
    results = {"calibration": calibration}
    for temperatures, shown in (({"text": 4.0}, {"text": 4.0}), ({}, {})):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "le_mer", "temperatures": temperatures}))
        found = Checkpoint(tmp_path, [results], []).current_results()
        assert found[0]["calibration"]["temperatures"] == shown
    assert results["calibration"] is calibration  # the file's own stay


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_labels": 1}, r"1 class \(LABEL_0\); num_labels must be 2 or more"),
        ({"id2label": {0: "angry"}}, r"1 class \(angry\)"),
        ({"problem_type": "regression"}, "'regression' is not single_label_classification"),
        ({"problem_type": "multi_label_classification"}, "'multi_label_classification' is not"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1"),
    ],
)
@pytest.mark.parametrize("when", ["made", "loaded"])
def test_fields_that_no_loss_has(folder, when, fields, message):
    with pytest.raises(ValueError, match=message):
        LeMerConfig(**fields) if when == "made" else AutoConfig.from_pretrained(folder, **fields)


class TestFingerprints:
    def test_names_do_not_matter_and_values_do(self):
        tensors = {"a": torch.randn(3, 4), "b": torch.randn(9000), "n": torch.tensor(3)}
        stored = fingerprints(tensors)
        assert belongs(stored, {"z": tensors["b"], "y": tensors["a"]})
        assert not belongs(stored, {**tensors, "a": tensors["a"] + 1e-6})
        assert not belongs(stored, {**tensors, "a": tensors["a"].T.contiguous()})
        assert not belongs(stored, {**tensors, "b": tensors["b"].float() * (1 + 1e-6)})

    def test_rounding_is_no_change_and_a_change_is_no_rounding(self):
        weights = torch.randn(50)
        stored = fingerprints({"w": weights})
        assert belongs(stored, {"w": weights.half()})
        assert belongs(stored, {"w": weights.bfloat16().float()})
        nudged = weights * (1 + 1e-7)  # the same in bfloat16
        assert torch.equal(nudged.bfloat16(), weights.bfloat16())
        assert not belongs(stored, {"w": nudged})

    @pytest.mark.parametrize(
        "tensor", [torch.zeros(2, dtype=torch.int8), torch.zeros(2, device="meta"), torch.zeros(0)]
    )
    def test_what_cannot_be_compared(self, tensor):
        assert fingerprints({"w": torch.ones(2), "v": tensor}) is None
        assert belongs({}, {"w": torch.ones(2), "v": tensor}) is None
