"""Scores by corpus, gender and speaker."""

import numpy as np
import pytest

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.training.cross_validation import cross_validate
from hf_mer.training.group_scores import group_scores, groups_table

# gender, speaker, true class, predicted class
SAID = [
    ("female", "a", 0, 0),
    ("female", "a", 1, 0),
    ("female", "b", 0, 0),
    ("male", "c", 0, 0),
    ("male", "c", 1, 1),
    (None, "d", 1, 0),
]


def rows_of(said=SAID, **values):
    records = [
        make_record(id=f"u{i}", label=truth, gender=gender, speaker=speaker, **values)
        for i, (gender, speaker, truth, _) in enumerate(said)
    ]
    return records_to_dataset(records, ["sad", "happy"])


@pytest.fixture
def groups():
    truth, predicted = (np.array([one[index] for one in SAID]) for index in (2, 3))
    return group_scores(rows_of(), truth, predicted, 2)


def test_groups_that_rows_name(groups):
    assert list(groups) == ["gender", "speaker"]  # no row names a corpus
    assert {name: scores["n"] for name, scores in groups["gender"].items()} == {"female": 3, "male": 2, "unknown": 1}
    assert groups["gender"]["female"]["wa"] == pytest.approx(2 / 3)
    assert groups["gender"]["female"]["ua"] == pytest.approx((1 + 0) / 2)
    assert groups["gender"]["unknown"]["ua"] == 0  # of the one class that occurs
    assert [scores["ua"] for scores in groups["speaker"].values()] == [0.5, 1, 1, 0]


def test_older_rows_without_the_columns():
    rows = rows_of().select_columns(["id", "label"])
    assert group_scores(rows, np.array([0, 1] * 3), np.array([0, 1] * 3), 2) == {}
    assert groups_table({}) == ""


def test_table_names_no_speaker(groups):
    assert [line.split(" | ")[:4] for line in groups_table(groups).splitlines()[2:]] == [
        ["| gender female", "3", "0.667", "0.500"],
        ["| gender male", "2", "1.000", "1.000"],
        ["| gender unknown", "1", "0.000", "0.000"],
        ["| 4 speakers, lowest / median / highest", "1 to 2 each", "0.000 / 0.750 / 1.000", "0.000 / 0.750 / 1.000"],
    ]


def test_over_folds(groups):
    """Means over the folds that have a group, as of other parts of a corpus."""
    scores = dict.fromkeys(("wa", "ua", "wf1"), 0.5)
    tests = {
        "a": {"scores": scores, "by_group": {"gender": {"female": {**scores, "n": 4}}}},
        "b": {
            "scores": scores,
            "by_group": {"gender": {"female": {**scores, "ua": 0.7, "n": 2}, "male": {**scores, "n": 1}}},
        },
        "c": {"scores": scores},
    }
    report = cross_validate([Fold(name, [], [], []) for name in tests], lambda fold: {"test": tests[fold.name]})
    female = report["by_group"]["gender"]["female"]
    assert (female["ua"]["mean"], female["ua"]["n"], female["utterances"]) == (pytest.approx(0.6), 2, 6)
    assert list(report["by_group"]) == ["gender"]
    first, second = groups_table(report["by_group"]).splitlines()[2:]
    assert first.startswith("| gender female | 6 | 0.500 ± 0.000 | 0.600 ± 0.141 |")
    assert second.startswith("| gender male | 1 | 0.500 | 0.500 |")
