"""What the flags of a command line decide of a row's two stages."""

import pytest

from hf_mer.reproduction.row_settings import System

PRETRAINING = {"objective": "masked_units", "num_train_epochs": 20, "learning_rate": 1e-4}


@pytest.fixture
def system():
    def make(*flags, pretraining=PRETRAINING, data_dir="corpus"):
        settings = {"data_dir": data_dir, "speech_encoder": {"model_type": "wav2vec2-bert"}, "modalities": ["speech"]}
        settings.update(discretizer="kmeans", num_train_epochs=50, use_cpu=True)
        return System("le_mer", settings, list(flags), pretraining, {}, "all")

    return make


def test_flags_are_those_of_the_second_stage_too(system, tmp_path):
    plain, short = system(), system("--num_train_epochs", "2", "--learning_rate=0.1")
    stages = [
        (
            arguments.training.num_train_epochs,
            arguments.pretraining.num_train_epochs,
            arguments.pretraining.learning_rate,
        )
        for arguments in (one.arguments(tmp_path, 1) for one in (plain, short))
    ]
    assert stages == [(50, 20, 1e-4), (2, 2, 1e-4)]
    assert plain.pretraining_key != short.pretraining_key


@pytest.mark.parametrize(
    "flag", ["--use_cpu true", "--overwrite true", "--learning_rate 0.1", "--dataloader_num_workers 1"]
)
def test_others_are_of_the_first_stage_alone(system, flag):
    """Rates are each stage's own; and what decides nothing must not hide what is finished."""
    assert system(*flag.split()).pretraining_key == system().pretraining_key


def test_every_seed_may_have_a_corpus_of_its_own(system, tmp_path):
    folds = system(data_dir="folds/fold_{seed}.csv")
    assert [folds.arguments(tmp_path, seed).data.data_dir for seed in (1, 6)] == [
        "folds/fold_1.csv",
        "folds/fold_6.csv",
    ]
    assert folds.key != system(data_dir="folds/fold_1.csv").key
