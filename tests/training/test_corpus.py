"""The corpus of a run, as its settings say."""

import shutil

import datasets
import pytest

from hf_mer.training import DataArguments
from hf_mer.training.corpus import load_rows, read_rows
from hf_mer.training.settings.roles import deciding


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        ({}, {"F": "left", "M": "right"}),
        ({"split_screen": "named_right"}, {"F": "right", "M": "left"}),
        ({"split_screen": "whole"}, {"F": None, "M": None}),
    ],
)
def test_half_of_the_films(corpus, tmp_path, given, sides):
    """A setting that decides results where it is given; usual ones are those of runs made before there was any."""
    tree = tmp_path / "corpus"
    shutil.copytree(corpus, tree)
    films = tree / "Session1" / "dialog" / "avi" / "DivX"
    films.mkdir(parents=True)
    (films / "Ses01F_impro01.avi").write_bytes(b"RIFF")
    arguments = DataArguments(data_dir=str(tree), **given)
    filmed = [row for row in read_rows(arguments).with_format(None) if row["video"] is not None]
    assert {row["speaker"][-1]: row["video"]["side"] for row in filmed} == sides
    assert {"split_screen": deciding(arguments).get("split_screen")} == {"split_screen": None, **given}


def test_words_of_fixed_sentences_are_read_only_with_a_warning(tmp_path, monkeypatch, write_wav, caplog):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name in ("03a01Fa", "08b10Wc"):
        write_wav(f"wav/{name}.wav")
    arguments = DataArguments(corpus="emodb", data_dir=str(tmp_path))
    assert load_rows(arguments, ["speech"])["speaker"][:] == ["03", "08"]
    assert "fixed sentences" not in caplog.text
    load_rows(arguments, ["text", "speech"])
    assert "EmoDB has 10 fixed sentences, said in every emotion: the text carries no information" in caplog.text
