"""Flags that are unknown, the help, and how soon a mistyped setting is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from hf_mer.training import DataArguments, LeMerArguments, MerTrainingArguments, PretrainingArguments, parse_arguments
from hf_mer.training.settings.parsing import settings_parser
from hf_mer.training.settings.systems import argument_types

TYPES = (LeMerArguments, DataArguments, MerTrainingArguments)
CONFIG = Path(__file__).parents[3] / "recipes" / "configs" / "le_mer_generated.yaml"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--fushion", "sum"], "command line: unknown setting '--fushion'; did you mean fusion"),
        (["--max-histori=3"], "command line: unknown setting '--max-histori'; did you mean max_history"),
        (["text"], "command line: 'text' belongs to no setting"),
    ],
)
def test_unknown_flags(flags, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(TYPES, [*flags, "--data_dir", "x"])


def test_help_is_about_the_packages_own_settings():
    told = settings_parser(argument_types("le_mer")).format_help()
    titles = ("model", "corpus and folds", "training", "label embeddings")
    places = [told.index(f"\n{title}:\n") for title in titles]
    assert places == sorted(places)
    assert "--fusion VALUE" in told
    assert "Modalities of the model: any of text, speech and video. (default: text speech)" in " ".join(told.split())
    assert "trainer#transformers.TrainingArguments" in told.splitlines()[-1]
    assert not {"--ddp_backend", "--seed VALUE", "--no_figures", "--label_names", "--max-history"} & set(told.split())
    assert settings_parser(argument_types("le_mer")).parse_args(["--seed", "3", "--no_figures"]).seed == 3


def test_help_of_the_second_stage():
    told = settings_parser([PretrainingArguments]).format_help()
    assert "--mask_time_prob VALUE" in told
    assert "--gumbel_temperature_decay VALUE" in told


def test_a_mistyped_setting_is_told_before_anything_large_is_imported():
    code = f"""
import sys
from hf_mer.training import LeMerArguments, run_recipe
try:
    run_recipe(LeMerArguments, ["--config", {str(CONFIG)!r}, "--data_dir", "X", "--fusion", "nonsense"])
except SystemExit as error:
    print(error)
large = ("datasets", "sklearn", "matplotlib", "hf_mer.hub.errors", "hf_mer.training.trainer")
print([name for name in large if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True).stdout
    assert "error in the settings: fusion: 'nonsense' is not one of" in told
    assert told.splitlines()[-1] == "[]"
