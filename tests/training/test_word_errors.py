"""Transcripts with errors in a whole experiment: a clean-trained system meets them, or trains on them."""

import csv
import json

import pytest

from hf_mer.training import DataArguments


def read(path):
    return json.loads(path.read_text())


def settings_of(report):
    return report["folds"][0]["settings"]


@pytest.mark.slow
def test_a_checkpoint_meets_errors_it_was_not_trained_on(make_experiment, tmp_path):
    trained = make_experiment(modalities=["text"], output_dir=str(tmp_path / "clean"), num_train_epochs=1).run()
    evaluate = {"checkpoint": str(tmp_path / "clean" / "{fold}" / "model"), "do_train": False, "modalities": ["text"]}
    reports, probabilities = [], []
    for number, data in enumerate([{}, {"word_error_rate": 0.5}, {"word_error_rate": 0.5, "word_error_parts": "all"}]):
        folder = tmp_path / f"evaluated{number}"
        reports.append(make_experiment(**evaluate, **data, output_dir=str(folder)).run())
        with (folder / "Ses05" / "predictions.csv").open() as stream:
            probabilities.append({row["id"]: row for row in csv.DictReader(stream)})
    clean = reports[0]
    assert clean["folds"][0]["test"] == trained["folds"][0]["test"]
    assert probabilities[0].keys() == probabilities[1].keys()
    assert probabilities[0] != probabilities[1]
    assert probabilities[1] == probabilities[2]  # the test rows have the same errors either way
    assert len({settings_of(report)["data_hash"] for report in reports}) == 3
    assert len({settings_of(report)["split_hash"] for report in reports}) == 1
    with pytest.raises(ValueError, match=r"word_error_rate"):
        make_experiment(**evaluate, word_error_rate=0.2, output_dir=str(tmp_path / "evaluated1")).run()


def test_training_on_errors(make_experiment, tmp_path):
    data = {"word_error_rate": 0.6, "word_error_shares": [1.0, 0.0, 0.0], "num_train_epochs": 1}
    words = {}
    for parts in ("test", "all"):
        folder = tmp_path / parts
        report = make_experiment(modalities=["text"], output_dir=str(folder), word_error_parts=parts, **data).run()
        assert settings_of(report)["data"]["word_error_parts"] == parts
        words[parts] = read(folder / "Ses05" / "model" / "tokenizer.json")["model"]["vocab"]
    assert words["test"] != words["all"]  # learned from the training texts


def test_settings_without_errors_are_those_from_before_there_were_any():
    names = ("word_error_rate", "word_error_parts", "word_error_shares")
    for given in ({}, {"word_error_rate": 0.0}, {"word_error_parts": "all"}):
        arguments = DataArguments(data_dir="x", **given)
        assert [getattr(arguments, name) for name in names] == [None, None, None]
    arguments = DataArguments(data_dir="x", word_error_rate=0.3)
    assert [getattr(arguments, name) for name in names] == [0.3, "test", [0.2, 0.6, 0.2]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"word_error_rate": 1.5}, r"word_error_rate=1\.5 must be between 0 and 1"),
        ({"word_error_rate": 0.1, "word_error_parts": "train"}, "'train' is not one of test, all"),
        ({"word_error_rate": 0.1, "word_error_shares": [1.0]}, "must be three numbers"),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises(ValueError, match=message):
        DataArguments(data_dir="x", **given)


@pytest.mark.parametrize(("parts", "inner"), [("test", None), ("all", 0.3)])
def test_settings_are_chosen_without_the_errors_of_the_test_part(make_experiment, tmp_path, parts, inner):
    outer = make_experiment(word_error_rate=0.3, word_error_parts=parts)
    assert outer._with(outer.arguments, tmp_path).data_arguments.word_error_rate == inner
    assert outer._with(outer.arguments).data_arguments.word_error_rate == 0.3
