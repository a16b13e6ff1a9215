"""Settings of public corpora: their folds, speech alone where sentences are fixed, and files made for other corpora."""

import logging
from pathlib import Path

import pytest

from hf_mer.training import DataArguments, LeMerArguments, MerTrainingArguments, WavFusionArguments, parse_arguments
from hf_mer.training.recipe import _baseline
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.settings.public_corpora import fit_public_corpus, flag_value

CONFIGS = Path(__file__).parents[3] / "recipes" / "configs"
LE_MER = (LeMerArguments, DataArguments, MerTrainingArguments, LabelStoreArguments)


def parse(types, *flags):
    model, data, *_ = parse_arguments(types, [*flags, "--data_dir", "x", "--use_cpu", "true"])
    return model, data


def test_the_corpus_brings_its_folds_and_speech_alone_is_said(caplog):
    caplog.set_level(logging.INFO)
    model, data = parse(LE_MER, "--corpus", "crema_d")
    assert model.modalities == ["speech"]
    assert (data.protocol, data.group_column, data.num_groups) == ("groups", "group", None)
    assert "CREMA-D has 12 fixed sentences, said in every emotion: speech alone is used" in caplog.text
    assert DataArguments(corpus="emodb", data_dir="x").protocol == "groups"
    assert DataArguments(corpus="iemocap", data_dir="x").protocol == "leave_one_session_out"


def test_who_asks_for_text_gets_it():
    assert parse(LE_MER, "--corpus", "nemo", "--modalities", "text", "speech")[0].modalities == ["text", "speech"]
    own = {"corpus": "nemo", "modalities": ["text"]}
    assert fit_public_corpus(own, [], LE_MER) == own
    assert fit_public_corpus(own, ["--corpus", "nemo"], LE_MER) == own


@pytest.mark.parametrize("name", ["le_mer_iemocap", "le_mer_meld_text", "le_mer_corpus", "wavfusion_corpus"])
def test_a_file_for_another_corpus_will_do(name, caplog):
    caplog.set_level(logging.INFO)
    types = (WavFusionArguments, *LE_MER[1:3]) if name.startswith("wav") else LE_MER
    model, data = parse(types, "--config", str(CONFIGS / f"{name}.yaml"), "--corpus=ravdess", "--protocol", "groups")
    assert model.modalities == ["speech"]
    assert (data.corpus, data.task, data.folds, data.num_groups) == ("ravdess", None, None, None)
    assert "settings for another corpus, not used for ravdess: " in caplog.text


def test_other_corpora_leave_settings_as_they_are():
    settings = {"corpus": "manifest", "folds": ["0"], "modalities": ["text"]}
    assert fit_public_corpus(settings, ["--corpus", "meld"], LE_MER) == settings
    assert fit_public_corpus({"folds": ["0"]}, ["--corpus", "emodb"], LE_MER)["folds"] == ["0"]  # for no corpus


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"corpus": "crema"}, r"'crema' is not one of iemocap, .*, ravdess, or the path of a YAML file"),
        ({"corpus": "no.yaml"}, r"no\.yaml: no such description"),
        ({"corpus": "emodb", "task": "4class"}, r"'4class' is not one of those of emodb \(none: a public corpus"),
        ({"corpus": "emodb", "columns": {"label": "x"}}, "columns: for corpus=manifest; emodb has those of its"),
        ({"corpus": "emodb", "labels": ["sad"]}, "labels: for corpus=manifest; emodb has those of its"),
    ],
)
def test_what_does_not_go_with_a_public_corpus(settings, told):
    with pytest.raises(ValueError, match=told):
        DataArguments(data_dir="x", **settings)


def test_values_of_flags():
    assert flag_value(["--a", "1", "--num-groups=3"], "num_groups") == "3"
    assert flag_value(["--corpus"], "corpus") is None
    assert flag_value(["corpus", "--corpu", "x"], "corpus") is None


def test_a_baseline_reads_files_of_other_systems_and_corpora_too():
    flags = ["--config", str(CONFIGS / "le_mer_corpus.yaml"), "--corpus", "emodb", "--data_dir", "x"]
    data = _baseline([*flags, "--system", "majority", "--use_cpu", "true"]).data_arguments
    assert (data.protocol, data.group_column, data.num_groups, data.folds) == ("groups", "group", None, None)


def test_several_corpora_leave_one_out_and_files_will_do(caplog):
    caplog.set_level(logging.INFO)
    flags = ["--corpus", "ravdess,emodb", "--label_map", "calm=,boredom="]
    config = ["--config", str(CONFIGS / "le_mer_corpus.yaml")]
    for given in (flags, [*config, *flags]):
        model, data, *_ = parse_arguments(LE_MER, [*given, "--data_dir", "x,y", "--use_cpu", "true"])
        assert model.modalities == ["speech"]
        assert (data.protocol, data.num_groups, data.folds) == ("leave_one_corpus_out", None, None)
        assert data.label_map == {"calm": None, "boredom": None}
    assert "not used for ravdess,emodb: protocol, group_column, num_groups, folds" in caplog.text
    assert "EmoDB has 10 fixed sentences" in caplog.text
    own = {"corpus": ["iemocap", "emodb"], "num_groups": 3, "modalities": ["text"]}
    assert fit_public_corpus(own, [], LE_MER) == own
    assert fit_public_corpus(own, ["--corpus", "iemocap, emodb"], LE_MER) == own
    assert DataArguments(corpus="emodb", data_dir="x", label_map="happiness=joy", labels=["joy"]).labels == ["joy"]
