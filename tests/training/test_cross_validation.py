"""Scores over folds, what `run_fold` must give, and the choice between candidates."""

import pytest

from hf_mer.data.protocols.folds import Fold, split_hash
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset
from hf_mer.training import DataArguments, MerTrainingArguments, cross_validate, grid_candidates, select_candidate
from hf_mer.training.cross_validation import CrossValidation


def scores(value):
    return {"wa": value, "ua": value / 2, "wf1": value / 4}


@pytest.fixture
def rows():
    speakers = ["a", "a", "b", "b", "c", "c"]
    records = [make_record(id=str(i), label=i % 2, speaker=speaker) for i, speaker in enumerate(speakers)]
    return records_to_dataset(records, ["sad", "happy"])


@pytest.fixture
def folds():
    return [Fold("a", [2, 3, 4, 5], [], [0, 1]), Fold("b", [0, 1, 4, 5], [], [2, 3])]


def test_scores_over_folds(rows, folds):
    tests = {
        "a": {
            "scores": scores(0.4),
            "scores_by_part": {"scripted": {**scores(0.2), "n": 3}, "improvised": {**scores(0.6), "n": 5}},
            "scores_by_text": {"text only in test": {**scores(0.1), "n": 2}},
        },
        "b": {"scores": scores(0.8), "scores_by_part": {"improvised": {**scores(0.8), "n": 4}}},
    }
    report = cross_validate(folds, lambda fold: {"fold": fold.name, "test": tests[fold.name]}, rows)
    assert [result["fold"] for result in report["folds"]] == ["a", "b"]
    assert report["summary"]["wa"] == {"mean": pytest.approx(0.6), "std": pytest.approx(0.08**0.5), "n": 2}
    by_part = report["summary_by_part"]
    assert by_part["improvised"]["ua"]["mean"] == pytest.approx(0.35)
    assert by_part["improvised"]["utterances"] == 9
    assert by_part["scripted"]["wa"] == {"mean": 0.2, "std": None, "n": 1}
    assert by_part["scripted"]["utterances"] == 3
    assert report["summary_by_text"]["text only in test"]["wf1"]["mean"] == pytest.approx(0.025)
    assert "summary_with_one_modality" not in report
    assert report["split_hash"] == split_hash(rows, folds)
    assert "split_hash" not in cross_validate(folds, lambda fold: {"test": tests[fold.name]})


def test_leaks_are_refused_before_anything_runs(rows, folds):
    run = []
    with pytest.raises(CorpusError, match="train and test share 1 rows"):
        cross_validate([Fold("leak", [0, 1, 2, 3], [], [3, 4])], run.append, rows)
    with pytest.raises(CorpusError, match=r"share 1 speakers \(b\)"):
        cross_validate([Fold("leak", [0, 1, 2, 5], [], [3])], run.append, rows)
    assert not run
    with pytest.raises(ValueError, match=r"fold a: run_fold must give results with test\.scores, not \['score'\]"):
        cross_validate(folds, lambda fold: {"score": 1}, rows)


def test_the_best_mean_is_chosen(folds):
    table = {"one": {"a": 0.9, "b": 0.1}, "two": {"a": 0.4, "b": 0.8}, "three": {"a": 0.8, "b": 0.4}}
    asked = []

    def run(name, fold):
        asked.append((name, fold.name))
        return {"test": {"scores": {"wa": 1 - table[name][fold.name], "ua": table[name][fold.name]}}}

    found = select_candidate({name: {"number": name} for name in table}, folds, run)
    assert found["choice"] == "two"  # as good as three, and before it
    assert [candidate["mean"] for candidate in found["candidates"]] == pytest.approx([0.5, 0.6, 0.6])
    assert found["candidates"][0]["scores"]["a"] == {"wa": pytest.approx(0.1), "ua": 0.9}
    assert found["candidates"][0]["settings"] == {"number": "one"}
    assert (found["metric"], found["folds"]) == ("ua", ["a", "b"])
    assert len(asked) == len(set(asked)) == 6
    assert select_candidate(table, folds, run, metric="wa")["choice"] == "one"
    with pytest.raises(ValueError, match="3 candidates and 0 inner folds"):
        select_candidate(table, [], run)


def test_candidates_of_a_grid_are_named_like_folders():
    found = grid_candidates({"tonal_top_k": [50, 100], "learning_rate": [1e-4, 0.5]})
    assert list(found) == [
        "tonal_top_k=50,learning_rate=0.0001",
        "tonal_top_k=50,learning_rate=0.5",
        "tonal_top_k=100,learning_rate=0.0001",
        "tonal_top_k=100,learning_rate=0.5",
    ]
    assert found["tonal_top_k=100,learning_rate=0.5"] == {"tonal_top_k": 100, "learning_rate": 0.5}
    rates = [{"text": 1e-5, "speech": value} for value in (1e-6, 2e-6)]
    long = {f"setting_{number}": ["x" * 60, "y" * 60] for number in range(6)}
    assert max(map(len, grid_candidates(long))) < 255
    for name in grid_candidates({"learning_rates": rates, "text_encoder": ["a/b", "a_b"]}):
        assert "/" not in name
        assert len(name) < 120
    with pytest.raises(ValueError, match="the candidate fusion=sum is there twice"):
        grid_candidates({"fusion": ["sum", "sum"]})


def test_a_system_that_knows_no_grid_refuses_one(tmp_path):
    class Fixed(CrossValidation):
        def settings(self, rows, fold):
            return {}

        def _run_fold(self, rows, fold, folder, settings):
            return {}

    data = DataArguments(data_dir="x")
    training = MerTrainingArguments(output_dir=str(tmp_path), use_cpu=True, grid={"learning_rate": [1]})
    with pytest.raises(ValueError, match="this system has no settings to choose"):
        Fixed(data, training, ["text"])
