"""Rates by prefix, loss parts, collators, the order of rows and of predictions."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from model_tester import LABELS, VOCAB_SIZE, tiny_settings
from transformers import Trainer, TrainingArguments

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification
from hf_mer.training import MerTrainer, MerTrainingArguments
from hf_mer.training.balancing import EpochLengthSampler


@pytest.fixture
def model():
    config = LeMerConfig(
        **tiny_settings(), modalities=["text"], text_label_init="random", loss_weights={"text_label": 0.5}
    )
    return LeMerForEmotionClassification(config)


def collate(rows):
    ids = torch.zeros(len(rows), max(row["length"] for row in rows), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : row["length"]] = (5 + row["number"] + torch.arange(row["length"])) % VOCAB_SIZE
    mask = torch.tensor([[i < row["length"] for i in range(ids.shape[1])] for row in rows]).long()
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["label"] for row in rows])}


@pytest.fixture
def rows():
    lengths = [3 + (7 * i) % 11 for i in range(24)]
    return Dataset.from_dict({"number": list(range(24)), "length": lengths, "label": [i % 4 for i in range(24)]})


@pytest.fixture
def make_trainer(model, rows, tmp_path):
    def make(train_collator=None, **settings):
        settings = {
            "output_dir": str(tmp_path),
            "use_cpu": True,
            "disable_tqdm": True,
            "save_strategy": "no",
            "per_device_train_batch_size": 4,
            "learning_rates": {},
            "num_train_epochs": 1,
            **settings,
        }
        train = settings.pop("train_dataset", rows)
        args = MerTrainingArguments(**settings)
        return MerTrainer(
            model=model, args=args, train_dataset=train, data_collator=collate, train_collator=train_collator
        )

    return make


def rates(trainer):
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    groups = trainer.create_optimizer().param_groups
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_rates_by_the_longest_prefix_and_decay_of_weights_only(make_trainer):
    given = {"text_encoder": 1e-5, "text_encoder.embeddings": 1e-6, "speech_encoder": 1e-7}
    found = rates(make_trainer(learning_rates=given, learning_rate=1e-3, weight_decay=0.1))
    assert found["text_encoder.embeddings.word_embeddings.weight"] == (1e-6, 0.1)
    assert found["text_encoder.encoder.layer.0.attention.self.query.weight"] == (1e-5, 0.1)
    assert found["text_encoder.encoder.layer.0.attention.self.query.bias"] == (1e-5, 0.0)
    assert found["text_encoder.encoder.layer.1.output.LayerNorm.weight"] == (1e-5, 0.0)
    assert found["text_classifier.weight"] == (1e-3, 0.1)
    assert found["text_label_embeddings.weight"][0] == 1e-3


def test_the_rate_that_is_logged_is_the_new_layers(make_trainer):
    groups = make_trainer(learning_rates={"text_encoder": 1e-5}, learning_rate=1e-3).create_optimizer().param_groups
    assert groups[0]["lr"] == 1e-3


def test_a_prefix_that_is_nowhere(make_trainer):
    trainer = make_trainer(learning_rates={"bert": 1e-5})
    with pytest.raises(
        ValueError,
        match="'bert' is the beginning of no parameter; the model has text_classifier, text_encoder, text_label_embeddings",
    ):
        trainer.create_optimizer()


def test_a_misspelt_prefix_is_found_in_a_frozen_part_too(make_trainer, model):
    model.text_encoder.embeddings.requires_grad_(False)
    with pytest.raises(ValueError, match=r"'text_encoder\.encodr'"):
        make_trainer(learning_rates={"text_encoder.encodr": 1e-5}).create_optimizer()
    found = rates(
        make_trainer(learning_rates={"text_encoder.embeddings": 1e-5})
    )  # all frozen: nothing to train, no error
    assert not any(name.startswith("text_encoder.embeddings") for name in found)


def test_rates_of_parts_that_the_model_does_without(make_trainer, model):
    """A branch that is None, layers of which there are none, in whatever distributed training wraps around the model."""
    model.deep_layers = torch.nn.ModuleList()
    given = {"speech_encoder": 1e-7, "speech_encoder.encoder": 1e-7, "deep_layers": 1e-5, "text_encoder": 1e-6}
    given["cross_attention"] = 1e-4  # settings for two modalities serve one as well
    trainer = make_trainer(learning_rates=given)
    wrapped = torch.nn.Module()
    wrapped.module = model
    for whole in (model, wrapped):
        found = {group["lr"]: len(group["params"]) for group in trainer.parameter_groups(whole) if group["params"]}
        assert found.keys() == {1e-6, trainer.args.learning_rate}


def test_loss_parts_are_logged_and_averaged(make_trainer, model, rows):
    trainer = make_trainer(learning_rate=0.0, logging_strategy="epoch", lr_scheduler_type="constant", warmup_steps=0)
    trainer.train()
    logged = trainer.state.log_history[0]
    model.eval()
    with torch.no_grad():  # nothing was learnt at rate 0, and every batch has four rows
        parts = model(**collate(list(rows))).losses
    assert logged["loss_classification"] == pytest.approx(parts["classification"].item(), abs=1e-5)
    assert logged["loss_text_label"] == pytest.approx(parts["text_label"].item(), abs=1e-5)
    total = parts["classification"] + 0.5 * parts["text_label"]
    assert logged["loss"] == pytest.approx(total.item(), abs=1e-3)
    assert set(logged) >= {"loss", "grad_norm", "learning_rate", "epoch"}


def test_label_smoothing_keeps_every_part_of_the_loss(make_trainer, model, rows):
    batch = collate(list(rows))
    with torch.no_grad():
        parts = model.eval()(**batch).losses
        log_shares = model(**batch).logits.log_softmax(-1)
    trainer = make_trainer(label_smoothing_factor=0.1)
    smoothed = 0.9 * parts["classification"] - 0.1 * log_shares.mean()
    found, output = trainer.compute_loss(trainer.model.eval(), batch, return_outputs=True)
    torch.testing.assert_close(output.losses["classification"], smoothed)
    assert output.losses["text_label"] != parts["text_label"]
    torch.testing.assert_close(found, smoothed + 0.5 * output.losses["text_label"])
    assert trainer.evaluate(rows)["eval_loss"] == pytest.approx(found.item(), abs=1e-5)


def test_classes_weigh_what_the_training_rows_say(make_trainer, model, rows):
    few = rows.select([row for row in range(24) if row % 4 or row < 8])  # 2 rows of class 0, 6 of each other
    trainer = make_trainer(class_weights="balanced", train_dataset=few)
    weights = [20 / (4 * count) for count in (2, 6, 6, 6)]
    assert model.config.class_weights == pytest.approx(weights)
    batch = collate(list(few))
    with torch.no_grad():
        output = model.eval()(**batch)
    expected = torch.nn.functional.cross_entropy(output.logits, batch["labels"], torch.tensor(weights))
    torch.testing.assert_close(output.losses["classification"], expected)
    assert trainer.evaluate(few)["eval_loss"] == pytest.approx(output.loss.item(), abs=1e-5)
    with pytest.raises(ValueError, match=r"^class_weights=balanced: no training row has the label"):
        make_trainer(class_weights="balanced", train_dataset=rows.select([1, 2, 3]))


def test_weights_of_a_model_stay_where_none_are_asked_for(make_trainer, model):
    model.config.class_weights = [1.0, 2.0, 3.0, 4.0]
    make_trainer()
    assert model.config.class_weights == [1.0, 2.0, 3.0, 4.0]
    make_trainer(class_weights="balanced", do_train=False)
    assert model.config.class_weights == [1.0, 2.0, 3.0, 4.0]
    model.config.num_labels = 3  # of other classes
    assert model.config.class_weights is None


def test_balanced_rows_come_equally_often(make_trainer, rows):
    few = rows.select([row for row in range(24) if row % 4 or row < 8])
    trainer = make_trainer(train_sampling_strategy="balanced", train_dataset=few)
    drawn = [label for batch in trainer.get_train_dataloader() for label in batch["labels"].tolist()]
    assert sorted(drawn) == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5


def test_batches_without_labels_are_refused(make_trainer, rows):
    batch = collate(list(rows))
    del batch["labels"]
    trainer = make_trainer()
    with pytest.raises(ValueError, match="no labels, so that there is no loss; it has attention_mask, input_ids"):
        trainer.compute_loss(trainer.model, batch)


def test_label_smoothing_of_models_that_are_made_in_training(model, rows, tmp_path):
    args = MerTrainingArguments(str(tmp_path), use_cpu=True, learning_rates={}, label_smoothing_factor=0.2)
    trainer = MerTrainer(model_init=lambda: model, args=args, train_dataset=rows, data_collator=collate)
    model.config.label_smoothing = 0.0
    assert trainer.call_model_init().config.label_smoothing == 0.2


def test_a_loss_of_ones_own_is_refused(model, rows, tmp_path):
    args = MerTrainingArguments(str(tmp_path), use_cpu=True, learning_rates={})
    with pytest.raises(ValueError, match="compute_loss_func"):
        MerTrainer(model=model, args=args, train_dataset=rows, compute_loss_func=lambda *args, **kwargs: 0.0)


@pytest.mark.parametrize("what", ["train", "evaluate"])
def test_label_smoothing_by_the_library_is_refused(model, rows, tmp_path, what):
    args = TrainingArguments(
        str(tmp_path), use_cpu=True, label_smoothing_factor=0.1, remove_unused_columns=False, report_to="none"
    )
    trainer = Trainer(model=model, args=args, train_dataset=rows, eval_dataset=rows, data_collator=collate)
    with pytest.raises(ValueError, match=r"label_smoothing_factor=0\.1.*config\.label_smoothing.*MerTrainer"):
        getattr(trainer, what)()
    assert model.train().training


def test_parts_of_evaluation_are_not_in_the_training_log(make_trainer, rows):
    trainer = make_trainer()
    trainer.model.eval()
    trainer.compute_loss(trainer.model, collate(list(rows)))
    assert not trainer._loss_sums


def test_gradient_accumulation_gives_the_same_loss(make_trainer):
    losses = []
    for settings in (
        {"per_device_train_batch_size": 8},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    ):
        trainer = make_trainer(learning_rate=0.0, warmup_steps=0, **settings)
        trainer.train()
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_train_collator_only_in_training(make_trainer, rows):
    seen = []
    trainer = make_trainer(train_collator=lambda batch: seen.append(len(batch)) or collate(batch))
    trainer.train()
    assert sum(seen) == 24
    trainer.predict(rows)
    trainer.evaluate(rows)
    assert sum(seen) == 24


def test_predictions_are_in_the_order_of_the_rows(make_trainer, model, rows):
    trainer = make_trainer(per_device_eval_batch_size=5)
    logits = trainer.predict(rows).predictions
    logits = logits[0] if isinstance(logits, tuple) else logits
    model.eval()
    with torch.no_grad():
        for index in range(24):
            np.testing.assert_allclose(logits[index], model(**collate([rows[index]])).logits[0], atol=1e-5)
    assert len(LABELS) == logits.shape[1]


def test_batches_of_like_length_in_another_order_every_epoch():
    lengths = np.random.default_rng(0).integers(1, 100, 400).tolist()
    epoch = [0]
    sampler = EpochLengthSampler(8, lengths, lambda: 5 + epoch[0])
    first = list(sampler)
    torch.rand(3)  # draws of dropout, unlike on every process
    assert list(sampler) == first
    epoch[0] = 1
    second = list(sampler)
    assert sorted(second) == sorted(first) == list(range(400))
    assert second != first
    spread = [np.ptp([lengths[i] for i in first[k : k + 8]]) for k in range(0, 400, 8)]
    assert np.mean(spread) < 10


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone(make_trainer):
    orders = []
    for disturbed in (False, True):
        seen = []

        def watch(batch, seen=seen, disturbed=disturbed):
            seen.extend(row["number"] for row in batch)
            if disturbed:
                torch.rand(len(batch))
            return collate(batch)

        make_trainer(train_collator=watch, num_train_epochs=2).train()
        orders.append(seen)
    assert orders[0] == orders[1]
    assert orders[0][:24] != orders[0][24:]


def test_two_processes_train_on_the_rows_of_one_with_batches_of_twice_the_size(make_trainer, rows, monkeypatch):
    """Batches are cut in turn: of an epoch's order, the same rows make a step."""
    orders = []
    for processes, size in ((1, 4), (2, 2)):
        monkeypatch.setattr(MerTrainingArguments, "world_size", processes)
        sampler = make_trainer(per_device_train_batch_size=size)._get_train_sampler(rows)
        orders.append(list(sampler))
    assert orders[0] == orders[1]


def test_a_loss_that_is_no_number_ends_the_training(make_trainer):
    """The library would write the mean of earlier losses instead."""
    trainer = make_trainer(logging_strategy="steps", logging_steps=1)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="step 1: loss_[a-z_]+ is nan, and the weights are useless now"):
        trainer.train()
    with pytest.raises(ValueError, match="weights .* are NaN or infinite"):
        trainer.logits(trainer.train_dataset, collate, "test")
