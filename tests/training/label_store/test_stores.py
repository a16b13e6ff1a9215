"""Keys of label stores: all that a store depends on, and nothing else; and how runs find one another's."""

import threading
from pathlib import Path

import datasets
import pytest
from transformers import set_seed

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import column
from hf_mer.training import building
from hf_mer.training.features import add_lengths
from hf_mer.training.label_store import stores
from hf_mer.training.label_store.stores import find_or_build
from hf_mer.training.stages import Stage, Stages


@pytest.fixture
def make_recipe(make_experiment):
    """What a run would build its label store from, by settings; `fold` and `rows` are those of the first session."""

    def make(fold=None, rows=None, **settings):
        experiment = make_experiment(**{"validation": "none", **settings})
        rows = experiment.load() if rows is None else rows
        fold = fold or experiment.folds(rows)[0]
        experiment.labels = rows.features["label"].names
        set_seed(experiment.args.seed)
        texts = [text or "" for text in column(rows.select(fold.train), "text")]
        arguments = experiment.model_arguments
        processor = building.build_processor(arguments, experiment.data_arguments, texts, fold.name)
        quantizer = experiment._needs_quantizer()
        model, pretraining = building.build_model(arguments, experiment.labels, processor, fold.name, quantizer)
        train = add_lengths(rows, processor, arguments.modalities).select(fold.train)
        return experiment._store_recipe(model, processor, train, pretraining, fold)

    return make


SAME = [
    {"fusion": "sum"},
    {"fusion": "vanilla", "history_in_fusion": False},
    {"loss_weights": {"constraint": 0.5}},
    {"learning_rate": 0.5, "num_train_epochs": 7, "early_stopping_patience": 1, "modality_dropout": 0.5},
    {"use_history": False, "max_history": 1},
    {"classifier_dropout": 0.5, "label_temperature": 2.0, "bf16": True},
]
OTHER = [
    {"tonal_top_k": 5},
    {"text_top_k": 5},
    {"kmeans_clusters": 11},
    {"seed": 4},
    {"text_label_init": "label_words"},
    {"tonal_label_init": "random"},
    {"modalities": ["text"]},
    {"max_audio_seconds": 2.0},
    {"max_text_tokens": 40},
    {"per_device_eval_batch_size": 4},
    {"text_layers": "mix"},
    {"text_layers": "mix", "text_scale": 0.1},
    {"speech_layers": "mix"},
]


def test_what_a_key_holds(make_recipe):
    key = make_recipe().key()
    assert make_recipe().key() == key
    for settings in SAME:
        assert make_recipe(**settings).key() == key, settings
    keys = [make_recipe(**settings).key() for settings in OTHER]
    assert len({key, *keys}) == len(OTHER) + 1


def test_pretrained_encoders_do_not_depend_on_the_seed_but_on_their_weights(make_recipe, pretrained):
    """`text_label_init` alone: a text-only system's store must not ask for the speech encoder."""
    text = {"modalities": ["text"], "text_encoder": pretrained["text_encoder"]}
    recipe = make_recipe(**text)
    assert recipe.key() == make_recipe(**text, speech_encoder=pretrained["speech_encoder"]).key()
    next(recipe.model.text_encoder.parameters()).data[0, 0] += 1
    assert recipe.key() != make_recipe(**text).key()
    codes = {**pretrained, "discretizer": "codebook"}
    recipe = make_recipe(**codes)
    key = recipe.key()
    recipe.pretraining.quantizer.codevectors.data += 1
    assert recipe.key() != key


def test_training_rows_and_their_files(make_recipe, make_experiment):
    experiment = make_experiment(validation="none")
    rows = experiment.load()
    fold = experiment.folds(rows)[0]
    key = make_recipe(rows=rows).key()
    assert make_recipe(Fold(fold.name, fold.train[1:], [], fold.test), rows).key() != key
    assert make_recipe(Fold("another name", fold.train, [], fold.test[:3]), rows).key() == key  # the test is not asked
    texts = column(rows, "text")
    texts[fold.train[0]] += " indeed"
    changed = rows.remove_columns("text").add_column("text", texts)
    assert make_recipe(fold, changed, modalities=["text"]).key() != make_recipe(fold, rows, modalities=["text"]).key()
    path = Path(rows[fold.train[0]]["audio"]["path"])
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-2] + b"\x07\x00")
        assert make_recipe(rows=rows).key() != key
    finally:
        path.write_bytes(content)
    assert make_recipe(rows=rows).key() == key


def test_one_process_builds_and_the_others_wait(make_recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    built, stages = [], [Stage() for _ in range(3)]
    original = stores.build_label_store
    monkeypatch.setattr(
        stores, "build_label_store", lambda *args, **kwargs: built.append(1) or original(*args, **kwargs)
    )
    recipes = [make_recipe(modalities=["text"]) for _ in stages]
    threads = [
        threading.Thread(target=find_or_build, args=(recipe, stage, False))
        for recipe, stage in zip(recipes, stages, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    found = [stage.to_dict() for stage in stages]
    assert sorted(stage["reused"] for stage in found) == [False, True, True]


def test_a_store_says_how_alike_its_classes_are_when_made_and_when_found(make_recipe, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    caplog.set_level("INFO")
    recipe = make_recipe(modalities=["text"])
    for times in (1, 2):
        find_or_build(recipe, Stage(), False)
        assert caplog.text.count("semantic labels, two classes:") == times


def test_stages():
    stages = Stages()
    with stages.measure("features") as stage:
        stage.add(reused=True)
        stage.add(reused=True)
    with stages.measure("label_store") as stage:
        stage.add(reused=True)
        stage.add(reused=False)
    found = stages.to_dict()
    assert found["features"]["seconds"] < 1
    assert found["features"]["reused"]
    assert not found["label_store"]["reused"]
    assert found["test"] == {"seconds": 0.0, "reused": False}
