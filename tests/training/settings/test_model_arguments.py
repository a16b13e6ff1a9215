import dataclasses

import pytest

from hf_mer.training import (
    DataArguments,
    LeMerArguments,
    MerTrainingArguments,
    MgcmaArguments,
    WavFusionArguments,
    parse_arguments,
)
from hf_mer.training.settings.roles import Role, names_with

SYSTEMS = [LeMerArguments, MgcmaArguments, WavFusionArguments]


@pytest.mark.parametrize("arguments", SYSTEMS)
def test_every_setting_is_a_field_of_the_configuration_with_its_default(arguments):
    """A setting that nothing reads, or whose default is another than the model's, would mislead."""
    given = arguments()
    config = arguments.model_class.config_class(modalities=given.modalities, **given.config_fields()).to_dict()
    plain = arguments.model_class.config_class(modalities=given.modalities).to_dict()
    names = set(names_with(Role.CONFIG, arguments))
    assert names <= set(config)
    assert {name: config[name] for name in names} == {name: plain[name] for name in names}


@pytest.mark.parametrize("arguments", SYSTEMS)
def test_every_field_of_the_configuration_is_a_setting(arguments):
    import inspect

    config_fields = set(inspect.signature(arguments.model_class.config_class.__init__).parameters)
    settings = {item.name for item in dataclasses.fields(arguments)}
    assert config_fields - settings <= {
        "self", "kwargs", "text_config", "speech_config", "video_config", "initializer_range", "tonal_dim"
    }  # fmt: skip


def test_the_papers_training_is_the_default_and_the_file_wins(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("data_dir: corpus\nuse_cpu: true\nnum_train_epochs: 7\n")
    types = (MgcmaArguments, DataArguments, MerTrainingArguments)
    _, _, training = parse_arguments(types, ["--config", str(path)], MgcmaArguments.training_defaults)
    assert (training.learning_rate, training.per_device_train_batch_size) == (1e-5, 4)
    assert training.num_train_epochs == 7
    assert training.learning_rates == {}


def test_a_flag_can_say_an_empty_list():
    types = (MgcmaArguments, DataArguments, MerTrainingArguments)
    flags = ["--data_dir", "x", "--use_cpu", "true", "--alignment_order", "none", "--freeze", "none"]
    model, *_ = parse_arguments(types, flags)
    assert model.alignment_order == []
    assert model.config_fields()["freeze"] == []


def test_frozen_parts_of_an_absent_branch_count_for_nothing():
    arguments = WavFusionArguments(modalities=["text", "speech"], freeze=["video_encoder", "text_encoder"])
    assert arguments.config_fields()["freeze"] == ["text_encoder"]
