"""The corpus of a run, as its settings say."""

import shutil

import pytest

from hf_mer.training import DataArguments
from hf_mer.training.corpus import corpus_language, read_rows
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


def test_language_of_a_corpus(corpus, tmp_path):
    """As the corpus states it, generated ones in their mark; a manifest states none."""
    assert corpus_language(DataArguments(data_dir=str(corpus))) == "en"
    (tmp_path / "generated.json").write_text('{"settings": {"language": "pl"}}', encoding="utf-8")
    assert corpus_language(DataArguments(data_dir=str(tmp_path))) == "pl"
    assert corpus_language(DataArguments(data_dir=str(tmp_path / "own.csv"), corpus="manifest", task=None)) is None
    assert corpus_language(DataArguments(data_dir=str(tmp_path / "meld"), corpus="meld")) == "en"
