"""A fold's second stage: it learns, sees training rows only, can be stopped anywhere, and its folder loads."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from model_tester import tiny_speech_config
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForPreTraining, TrainerCallback

from hf_mer.data.protocols.folds import Fold
from hf_mer.models.speech_checkpoints_mer import load_speech_checkpoint
from hf_mer.training import DataArguments, parse_arguments
from hf_mer.training.corpus import load_rows
from hf_mer.training.pretraining import fold as fold_module
from hf_mer.training.pretraining.fold import PretrainingArguments, pretrain_fold
from hf_mer.training.pretraining.models import SpeechPretrainer

QUIET = {
    "model_type": "wav2vec2-bert",
    "feature_projection_input_dim": 320,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_depthwise_kernel_size": 5,
    "position_embeddings_type": None,
    "mask_time_prob": 0.0,
    "layerdrop": 0.0,
    "conformer_conv_dropout": 0.0,
    "hidden_dropout": 0.0,
}


@pytest.fixture
def data(corpus):
    return DataArguments(data_dir=str(corpus), max_audio_seconds=2.0)


@pytest.fixture
def rows(data):
    return load_rows(data, ["speech"])


@pytest.fixture
def fold():
    return Fold("half", train=list(range(0, 32)), validation=list(range(32, 44)), test=list(range(44, 60)))


@pytest.fixture
def make(data, rows, fold, tmp_path):
    """`make(encoder, folder="run", **settings)`: the folder of a finished second stage."""

    def run(encoder, folder="run", fold=fold, overrides=None, data=data, rows=rows, **settings):
        settings = {
            "seed": 3,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "learning_rate": 3e-3,
            "mask_time_length": 3,
            "unit_clusters": 8,
            "use_cpu": True,
            "disable_tqdm": True,
            **settings,
        }
        arguments = parse_arguments([PretrainingArguments], [], settings)[0]
        return pretrain_fold(copy.deepcopy(encoder), overrides, None, data, arguments, rows, fold, tmp_path / folder)

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the second stage that `finished` copies is kept."""
    return tmp_path_factory.mktemp("finished") / "kept"


@pytest.fixture
def finished(make, kept, tmp_path):
    """The folder of a second stage of `QUIET`, as `make(QUIET)` leaves it, trained once for all who read it."""
    if not kept.exists():
        shutil.copytree(make(QUIET), kept)
        shutil.rmtree(tmp_path / "run")
    return Path(shutil.copytree(kept, tmp_path / "run"))


def results(folder):
    return json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))


def curve(folder, name):
    return [entry[name] for entry in results(folder)["history"] if name in entry]


def test_masked_units_of_an_encoder_from_scratch(make, fold):
    folder = make(QUIET, num_train_epochs=8)
    content = results(folder)
    assert content["objective"] == "masked_units"
    assert content["rows"] == {"train": 32, "validation": 12}
    losses = curve(folder, "loss_masked_units")
    assert len(losses) == 8
    assert losses[-1] < np.log(8)  # better than every unit alike
    assert losses == sorted(losses, reverse=True)
    assert curve(folder, "eval_loss")[-1] < curve(folder, "eval_loss")[0]
    assert curve(folder, "masked_accuracy")[-1] > 1 / 8
    assert all(1 < value <= 8 for value in curve(folder, "unit_perplexity"))
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.safetensors", "preprocessor_config.json", "pretraining.json", "settings.json",
    ]  # fmt: skip
    model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.mask_time_prob == 0.0  # as it was given
    assert AutoFeatureExtractor.from_pretrained(folder).stride == 4


def test_contrastive_from_a_checkpoint(make, pretrained):
    """The codebook comes along, trained; the temperature falls with every step."""
    folder = make(
        pretrained["speech_encoder"], num_train_epochs=4, gumbel_temperature_decay=0.9, max_gumbel_temperature=1.0
    )
    assert results(folder)["objective"] == "contrastive"
    assert curve(folder, "gumbel_temperature") == pytest.approx([0.9**4, 0.9**8 if 0.9**8 > 0.5 else 0.5, 0.5, 0.5])
    assert curve(folder, "loss_contrastive")[-1] < curve(folder, "loss_contrastive")[0]
    assert len(curve(folder, "loss_diversity")) == 4
    assert all(1 < value <= 12 for value in curve(folder, "codebook_perplexity"))
    assert all(0 <= value <= 1 for value in curve(folder, "masked_accuracy"))
    total = [
        contrastive + 0.1 * diversity
        for contrastive, diversity in zip(
            curve(folder, "eval_loss_contrastive"), curve(folder, "eval_loss_diversity"), strict=True
        )
    ]
    assert curve(folder, "eval_loss") == pytest.approx(total, abs=1e-5)
    before = AutoModelForPreTraining.from_pretrained(pretrained["speech_encoder"]).state_dict()
    encoder, model = load_speech_checkpoint(folder, with_quantizer=True)
    assert model.quantizer.codevectors.isfinite().all()
    after = model.state_dict()
    assert set(after) == set(before)
    assert not torch.equal(after["quantizer.codevectors"], before["quantizer.codevectors"])
    assert not torch.equal(encoder.encoder.layers[0].attention.q_proj.weight,
                           before["wav2vec2.encoder.layers.0.attention.q_proj.weight"])  # fmt: skip


@pytest.mark.parametrize("model_type", ["wav2vec2-conformer", "hubert", "wavlm", "data2vec-audio"])
def test_every_kind_of_encoder(make, model_type):
    convolutions = {"conv_kernel": [20, 16], "conv_stride": [20, 16]}
    config = tiny_speech_config(model_type, **convolutions, mask_time_prob=0.1).to_dict()
    kept = {k: v for k, v in config.items() if k not in ("architectures", "transformers_version", "dtype")}
    folder = make(kept, num_train_epochs=1)
    model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert model.config.model_type == model_type
    assert model.masked_spec_embed.isfinite().all()  # kept: this encoder masks in fine-tuning, too
    assert not info["missing_keys"]
    assert AutoFeatureExtractor.from_pretrained(folder).sampling_rate == 16000


def test_only_rows_of_training_and_validation_are_heard(make, fold, monkeypatch):
    """Gradients come of training rows alone, and of recordings without any label."""
    heard = {True: set(), False: set()}
    original = fold_module.PretrainingTrainer.masked

    def masked(self, batch, draw):
        heard[draw > 0].update(batch["row"].tolist())
        assert "labels" not in batch
        return original(self, batch, draw)

    monkeypatch.setattr(fold_module.PretrainingTrainer, "masked", masked)
    clustered = set()
    original_units = fold_module.find_units

    def find_units(train, others, frames, *rest):
        clustered.update([*train["row"], *others["row"]])
        return original_units(train, others, frames, *rest)

    monkeypatch.setattr(fold_module, "find_units", find_units)
    make(QUIET)
    assert heard == {True: set(fold.train), False: set(fold.validation)}
    assert clustered == set(fold.train) | set(fold.validation)


def test_test_rows_change_nothing(make, finished, rows, fold):
    """Other test rows, and none of validation: the same weights."""
    other = Fold("half", train=fold.train, validation=[], test=fold.test[:3])
    weights = load_file(make(QUIET, folder="other", fold=other) / "model.safetensors")
    for name, tensor in load_file(finished / "model.safetensors").items():
        assert torch.equal(tensor, weights[name]), name
    assert not curve(finished.parent / "other", "eval_loss")


class _Killed(BaseException):
    """As sudden as a signal, for a test in one process."""


@pytest.mark.parametrize(
    ("objective", "settings"),
    [
        ("contrastive", {"save_strategy": "steps", "save_steps": 3}),
        ("masked_units", {}),
        ("masked_units", {"unit_iterations": 2, "gradient_accumulation_steps": 2}),
    ],
)
def test_stopped_in_the_middle(make, pretrained, monkeypatch, objective, settings):
    """With dropout, masks and Gumbel noise: the weights are those of a run that nothing stopped."""
    encoder = pretrained["speech_encoder"] if objective == "contrastive" else {**QUIET, "hidden_dropout": 0.2}
    overrides = {"hidden_dropout": 0.2}
    settings = {"objective": objective, "num_train_epochs": 3, "overrides": overrides, **settings}
    expected = load_file(make(encoder, folder="whole", **settings) / "model.safetensors")
    steps = []

    class Kill(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            steps.append(state.global_step)
            if len(steps) == 8:
                raise _Killed

    original = fold_module.PretrainingTrainer.__init__
    monkeypatch.setattr(
        fold_module.PretrainingTrainer,
        "__init__",
        lambda self, *args, **kwargs: original(self, *args, callbacks=[Kill()], **kwargs),
    )
    with pytest.raises(_Killed):
        make(encoder, **settings)
    folder = make(encoder, **settings)
    iterations = settings.get("unit_iterations", 1)
    steps_of_all = 3 * iterations * (2 if iterations > 1 else 4)
    assert steps_of_all < len(steps) < 8 + steps_of_all  # went on, and not from the start
    found = load_file(folder / "model.safetensors")
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_accumulated_steps_are_the_joined_batch(make, fold):
    """All rows in one step, by one batch or by four: whatever the order, the masked frames are the same."""
    whole, parts = (
        make(QUIET, folder=str(size), per_device_train_batch_size=size, gradient_accumulation_steps=32 // size,
             num_train_epochs=3, unmasked_weight=0.3)
        for size in (32, 8)
    )  # fmt: skip
    for name in ("loss", "loss_masked_units", "masked_accuracy", "eval_loss"):
        assert curve(whole, name) == pytest.approx(curve(parts, name), abs=2e-4), name
    for entry in results(whole)["history"]:
        if "loss_masked_units" in entry:
            expected = entry["loss_masked_units"] + 0.3 * entry["loss_unmasked_units"]
            assert entry["loss"] == pytest.approx(expected, abs=1e-3)  # the log has four digits


def test_two_iterations_have_units_of_their_own(make, monkeypatch):
    seen = []
    units = fold_module.find_units
    monkeypatch.setattr(fold_module, "find_units", lambda *args: seen.append(units(*args)) or seen[-1])
    folder = make(QUIET, unit_iterations=2, unit_layer=1)
    assert [len(found.centroids[0]) for found in seen] == [320, 16]  # log-mel frames, then states
    assert {entry["iteration"] for entry in results(folder)["history"]} == {1, 2}


def test_finished_is_not_run_again(make, finished, monkeypatch, caplog):
    before = (finished / "pretraining.json").read_bytes()
    monkeypatch.setattr(SpeechPretrainer, "__init__", None)
    assert make(QUIET) == finished
    assert (finished / "pretraining.json").read_bytes() == before
    with pytest.raises(ValueError, match=r"contains an encoder with other settings \(training.learning_rate\)"):
        make(QUIET, learning_rate=1e-4)


def test_overwritten(make, finished):
    assert results(make(QUIET, num_train_epochs=1, overwrite=True))["settings"]["training"]["num_train_epochs"] == 1
    assert len(curve(finished, "loss")) == 1


def test_rows_without_audio_are_left_out(make, rows, fold, data):
    silent = rows.map(lambda row, index: {**row, "audio": None} if index in (0, 33) else row, with_indices=True)
    folder = make(QUIET, rows=silent)
    assert results(folder)["rows"] == {"train": 31, "validation": 11}
    none = rows.map(lambda row: {**row, "audio": None})
    with pytest.raises(ValueError, match="fold 'half': no training row has audio"):
        make(QUIET, folder="none", rows=none)


@pytest.mark.parametrize(
    ("encoder", "settings", "message"),
    [
        (QUIET, {"objective": "contrastive"}, "needs an encoder with a quantizer .*objective='masked_units'"),
        (QUIET, {"unit_layer": 2}, "unit_layer=2 must be between 1 and 1"),
        (QUIET, {"overrides": {"hidden_sise": 3}}, "'hidden_sise' is not a field of a wav2vec2-bert configuration"),
        ({"hidden_size": 16}, {}, "needs a model_type"),
        ({"model_type": "bert"}, {}, "speech encoder 'bert' is not one of wav2vec2"),
        (
            {"model_type": "whisper"},
            {},
            "speech encoder 'whisper' is not one of .*, which have an embedding for masked",
        ),
        ({**QUIET, "add_adapter": True}, {}, "set add_adapter=False"),
    ],
)
def test_refused_before_any_work(make, tmp_path, encoder, settings, message):
    with pytest.raises(ValueError, match=message):
        make(encoder, **settings)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_without_a_quantizer(make, pretrained, tmp_path):
    AutoModel.from_pretrained(pretrained["speech_encoder"]).save_pretrained(tmp_path / "bare")
    AutoFeatureExtractor.from_pretrained(pretrained["speech_encoder"]).save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match="bare' has no quantizer weights"):
        make(str(tmp_path / "bare"))
    folder = make(str(tmp_path / "{fold}").replace("{fold}", "bare"), folder="units", objective="masked_units")
    assert results(folder)["objective"] == "masked_units"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "ctc"}, "objective: 'ctc' is not one of auto, contrastive, masked_units"),
        ({"mask_time_prob": 0.0}, "mask_time_prob=0.0 must be above 0"),
        ({"mask_time_length": 0}, "mask_time_length=0 must be at least 1"),
        ({"min_gumbel_temperature": 3.0}, "max_gumbel_temperature=2.0 is below min_gumbel_temperature=3.0"),
        ({"unmasked_weight": -1.0}, "must not be negative"),
        ({"train_sampling_strategy": "best"}, "is not one of group_by_length, random"),
    ],
)
def test_settings_that_make_no_sense(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        PretrainingArguments(output_dir=str(tmp_path), **settings)


def test_temperature():
    arguments = PretrainingArguments(use_cpu=True)
    assert arguments.gumbel_temperature(0) == 2.0
    assert arguments.gumbel_temperature(100_000) == pytest.approx(2 * 0.999995**100_000)
    assert arguments.gumbel_temperature(1_000_000) == 0.5
