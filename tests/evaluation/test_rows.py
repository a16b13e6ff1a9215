"""Rows in the checkpoint's order of classes."""

from types import SimpleNamespace

from hf_mer.data.schema import column, make_record, records_to_dataset
from hf_mer.evaluation.rows import check_classes


def test_votes_do_not_stay_in_another_order(tmp_path):
    records = [make_record(id="a", text="Hi", label=0, votes=[0.75, 0.25]), make_record(id="b", text="Ho", label=1)]
    rows = records_to_dataset(records, ["angry", "sad"], tmp_path)
    config = SimpleNamespace(id2label={0: "happy", 1: "sad", 2: "Angry"}, num_labels=3)
    found = check_classes(rows, config)
    assert column(found, "label") == [2, 1]
    assert "votes" not in found.column_names
    same = check_classes(rows, SimpleNamespace(id2label={0: "Angry", 1: "sad"}, num_labels=2))
    assert same.column_names == rows.column_names
