"""What a results file says of a test part."""

import csv
import math

import numpy as np
import pytest

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.training.results import divergence_from_raters, results_table, write_predictions
from hf_mer.training.results import test_results as results_of

LABELS = ["angry", "happy", "sad"]
TRUTH = [0, 0, 1, 1, 2, 2]
PREDICTED = [0, 1, 1, 1, 2, 0]


@pytest.fixture
def rows():
    texts = ["go away", "hello there", "Hello  THERE", "nice", "oh no", "go away"]
    test = [
        make_record(
            id=f"t{i}",
            text=texts[i],
            label=TRUTH[i],
            part="scripted" if i < 2 else None,
            gender="female" if i < 4 else "male",
        )
        for i in range(6)
    ]
    train = [make_record(id="r0", text="hello there", label=0), make_record(id="r1", text="oh", label=1)]
    return records_to_dataset([*train, *test], LABELS)


@pytest.fixture
def fold():
    return Fold("one", [0, 1], [], [2, 3, 4, 5, 6, 7])


def logits_for(predictions):
    return np.eye(3)[predictions] * 4.0


def test_what_is_said_of_a_test_part(rows, fold):
    order = [5, 0, 3, 1, 2, 4]  # the test part comes sorted by length
    test = rows.select(fold.test).select(order)
    results = results_of(rows, fold, test, logits_for(np.array(PREDICTED)[order]), LABELS, 50, seed=0)
    assert results["scores"]["wa"] == pytest.approx(4 / 6)
    assert results["scores"]["ua"] == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert results["confusion"]["matrix"] == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert results["per_class"]["happy"]["recall"] == 1
    assert results["scores_by_part"]["scripted"]["n"] == 2
    assert results["scores_by_part"]["unknown"]["n"] == 4
    assert results["by_group"]["gender"]["female"]["n"] == 4
    assert results["by_group"]["gender"]["female"]["wa"] == pytest.approx(3 / 4)  # t1 wrong
    assert results["counts_by_text"] == {"text also in training": 2, "text only in test": 4}
    assert results["scores_by_text"]["text also in training"]["wa"] == pytest.approx(0.5)  # t1 wrong, t2 right


def test_rows_without_text_are_of_no_group_of_texts(rows, fold):
    texts = ["" if name == "t0" else text for name, text in zip(rows["id"], rows["text"], strict=True)]
    test = rows.remove_columns("text").add_column("text", texts).select(fold.test)
    counts = results_of(rows, fold, test, logits_for(PREDICTED), LABELS, 5, seed=0)["counts_by_text"]
    assert counts == {"text also in training": 2, "text only in test": 3, "without text": 1}


def test_divergence_from_the_raters(rows, fold):
    test, logits = rows.select(fold.test), logits_for(PREDICTED)
    assert divergence_from_raters(test, logits) == {}
    assert divergence_from_raters(test.remove_columns("votes"), logits) == {}
    chances = np.exp(logits[0]) / np.exp(logits[0]).sum()
    votes = [chances.tolist(), None, [1.0, 0.0, 0.0], None, None, None]  # of PREDICTED 0 and 1
    voted = test.remove_columns("votes").add_column("votes", votes)
    found = divergence_from_raters(voted, logits)["rater_divergence"]
    low, high = chances[1], chances[0]
    middle = [(1 + low) / 2, high / 2, low / 2]
    said = low * math.log2(low / middle[0]) + high * math.log2(high / middle[1]) + low * math.log2(low / middle[2])
    assert found == {"mean": pytest.approx((0 + (said - math.log2(middle[0])) / 2) / 2, abs=1e-6), "n": 2}


def test_predictions_file(rows, fold, tmp_path):
    test = rows.select(fold.test)
    logits = logits_for(PREDICTED)
    write_predictions(tmp_path / "predictions.csv", test, logits + 1000, LABELS)  # no overflow
    lines = list(csv.DictReader((tmp_path / "predictions.csv").open(encoding="utf-8")))
    assert [line["id"] for line in lines] == [f"t{i}" for i in range(6)]
    assert [line["prediction"] for line in lines] == [LABELS[i] for i in PREDICTED]
    expected = np.exp(4) / (np.exp(4) + 2)
    assert float(lines[0]["angry"]) == pytest.approx(expected, abs=1e-6)


def test_table():
    folds = [
        {
            "fold": name,
            "rows": {"test": 3},
            "test": {
                "scores": dict.fromkeys(("wa", "ua", "wf1"), value),
                "intervals_95": dict.fromkeys(("wa", "ua", "wf1"), [0.1, 0.9]),
            },
        }
        for name, value in (("Ses01", 0.5), ("Ses02", 0.7))
    ]
    summary = dict.fromkeys(("wa", "ua", "wf1"), {"mean": 0.6, "std": 0.141})
    table = results_table(folds, summary)
    assert "| Ses01 | 3 | 0.500 [0.100, 0.900] |" in table
    assert table.splitlines()[-1].startswith("| mean ± deviation |  | 0.600 ± 0.141 |")
    assert "mean" not in results_table(folds[:1], {})
