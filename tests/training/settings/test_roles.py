"""Every setting has a role; what decides a result is compared, and what does not is not."""

import dataclasses

import pytest
from transformers import TrainingArguments

from hf_mer.data.corpora.iemocap import SPLIT_SCREENS
from hf_mer.hub.cards.card_results import ENCODERS, FOLDERS
from hf_mer.training import (
    DataArguments,
    LabelStoreArguments,
    LeMerArguments,
    MerTrainingArguments,
    MgcmaArguments,
    PretrainingArguments,
    WavFusionArguments,
)
from hf_mer.training.pretraining.arguments import SpeechEncoderArguments
from hf_mer.training.recipe import BaselineArguments
from hf_mer.training.settings import arguments as settings_of_corpora
from hf_mer.training.settings.deciding import differences
from hf_mer.training.settings.roles import INHERITED, Role, deciding, defaults, harmless_names, names_with, role_of

SYSTEMS = (LeMerArguments, MgcmaArguments, WavFusionArguments)
OWN = (*SYSTEMS, DataArguments, LabelStoreArguments, SpeechEncoderArguments, BaselineArguments)
TRAININGS = (MerTrainingArguments, PretrainingArguments)


@pytest.mark.parametrize("cls", [*OWN, *TRAININGS], ids=lambda cls: cls.__name__)
def test_every_own_setting_says_its_role_and_what_it_is_for(cls):
    inherited = dataclasses.fields(TrainingArguments) if issubclass(cls, TrainingArguments) else ()
    for item in dataclasses.fields(cls):
        if item in inherited:
            continue
        assert hasattr(item.metadata.get("help"), "role"), f"{cls.__name__}.{item.name} is no `setting`"
        assert item.metadata["help"][-1] == ".", item.name


@pytest.mark.parametrize("cls", TRAININGS)
def test_what_transformers_brings_decides_unless_it_is_listed(cls):
    for item in dataclasses.fields(cls):
        assert Role.DECIDES in role_of(item) or item.name in harmless_names(cls)
    new = dataclasses.field(default=0)
    new.name = "a_setting_of_a_later_version"
    assert role_of(new) == Role.DECIDES | Role.QUIET


@pytest.mark.parametrize("cls", TRAININGS)
def test_defaults_are_not_written_down(cls):
    """Also after `TrainingArguments` has worked them out: results of earlier versions lack them."""
    made = cls(use_cpu=True)
    quiet = {item.name for item in dataclasses.fields(cls) if Role.QUIET in role_of(item)}
    assert not quiet & set(deciding(made))
    assert set(names_with(Role.DECIDES, cls)) - quiet == set(deciding(made))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eval_steps", 3),
        ("eval_strategy", "epoch"),
        ("eval_delay", 100),
        ("dataloader_drop_last", True),
        ("label_smoothing_factor", 0.1),
        ("neftune_noise_alpha", 5.0),
        ("optim", "sgd"),
        ("max_steps", 7),
        ("full_determinism", True),
        ("accelerator_config", {"even_batches": False}),
        ("weight_decay", 0.1),
    ],
)
@pytest.mark.parametrize("cls", TRAININGS)
def test_another_value_is_another_result(cls, name, value):
    if cls is PretrainingArguments and name == "label_smoothing_factor":
        return  # refused: its losses know none
    usual = defaults(cls)
    old, new = deciding(cls(use_cpu=True)), deciding(cls(use_cpu=True, **{name: value}))
    assert differences({"training": old}, {"training": new}, usual) == [f"training.{name}"]
    assert differences({"training": new}, {"training": old}, usual) == [f"training.{name}"]
    assert differences({"training": new}, {"training": new}, usual) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logging_steps", 3),
        ("save_total_limit", 5),
        ("report_to", "tensorboard"),
        ("dataloader_num_workers", 2),
        ("disable_tqdm", True),
        ("push_to_hub", True),
        ("per_device_eval_batch_size", 2),
        ("gradient_checkpointing", True),
        ("output_dir", "elsewhere"),
    ],
)
@pytest.mark.parametrize("cls", TRAININGS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_harmless_value_is_the_same_result(cls, name, value):
    assert deciding(cls(use_cpu=True, **{name: value})) == deciding(cls(use_cpu=True))


def test_results_that_name_fewer_settings_are_those_of_the_defaults():
    usual = defaults(MerTrainingArguments, DataArguments)
    new = {"training": deciding(MerTrainingArguments(use_cpu=True))}
    assert (
        differences({"training": {**new["training"], "grid": None, "label_smoothing_factor": 0.0}}, new, usual) == []
    )
    assert differences({"training": {**new["training"], "eval_delay": 2}}, new, usual) == ["training.eval_delay"]
    assert differences({}, {"processes": 1}, usual) == ["processes"]
    assert differences({}, {"recordings_hash": "of a run before there were any"}, usual) == []


def test_what_is_listed_is_there():
    """Of the oldest and the newest version alike: a name that no version has would be a mistake."""
    later = {"trackio_bucket_id", "trackio_static_space_id", "dataloader_multiprocessing_context", "local_rank",
             "ddp_static_graph", "activation_checkpointing", "activation_checkpointing_kwargs"}  # fmt: skip
    assert set(INHERITED) - {item.name for item in dataclasses.fields(TrainingArguments)} <= later


def test_lists_that_other_rooms_keep_say_the_same():
    """They may not import from here: cards are written without a training."""
    assert set(ENCODERS) == set(names_with(Role.PRETRAINED, *SYSTEMS))
    assert set(FOLDERS) == set(names_with(Role.TRAINED, *SYSTEMS))
    assert set(settings_of_corpora.SPLIT_SCREENS) == set(SPLIT_SCREENS)
