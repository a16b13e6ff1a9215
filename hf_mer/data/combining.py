"""Several corpora as one: rows say which corpus they are from, and nothing of one is taken for a thing of another."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from hf_mer.data.schema import CorpusError, make_record, records_to_dataset

OWN = ("id", "speaker", "dialogue", "session", "group")
"""Columns whose values mean something in their own corpus alone; here the corpus' name stands before them."""


def combine_corpora(corpora: Mapping[str, Dataset]) -> Dataset:
    """The rows of several corpora, one corpus after the other.

    `corpus` is the name of a row's corpus, unless the corpus says one itself; `id`, `speaker`, `dialogue`, `session`
    and `group` begin with that of its rows' loader, `ravdess.A01`, so that actor 1 of two corpora are two people.

    Args:
        corpora: Rows by the corpus' name, all with the same classes.

    Raises:
        CorpusError: If the classes differ, or two rows get the same id.
    """
    labels = list(next(iter(corpora.values())).features["label"].names)
    records: dict[str, dict[str, Any]] = {}
    for name, rows in corpora.items():
        if list(rows.features["label"].names) != labels:
            raise CorpusError(
                f"{name} has the classes {', '.join(rows.features['label'].names)}, not {', '.join(labels)}"
            )
        for row in rows.with_format(None):
            own = {one: f"{name}.{row[one]}" for one in OWN if row[one] is not None}
            record = make_record(**{**row, **own, "corpus": row["corpus"] or name})
            if record["id"] in records:
                raise CorpusError(f"two rows of {', '.join(corpora)} have the id '{record['id']}'; rename a corpus")
            records[record["id"]] = record
    return records_to_dataset(list(records.values()), labels)
