"""Groups of speakers where rows are of several corpora: every fold is to test all of them."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.schema import column

logger = logging.getLogger(__name__)


def contiguous_groups(rows: Dataset, name: str, values: Sequence[Any], num_groups: int) -> list[list[Any]]:
    """Sorted values in contiguous groups of about the same size; of several corpora, each one's values.

    Args:
        rows: Rows of the schema.
        name: The column.
        values: Its values, sorted; as many as groups or more.
        num_groups: Number of groups, none of which is empty.
    """
    corpora = corpora_of(rows, name)
    several = len(set(corpora.values())) > 1
    groups: list[list[Any]] = [[] for _ in range(num_groups)]
    for corpus in sorted(set(corpora.values())):
        own = [value for value in values if corpora[value] == corpus]
        # small groups first, so that corpora with few values leave none empty
        order = sorted(range(num_groups), key=lambda index: len(groups[index]))
        for index, cut in zip(order, np.array_split(np.arange(len(own)), num_groups), strict=True):
            groups[index] += [own[place] for place in cut]
        if several and len(own) < num_groups:
            logger.warning(
                "%s: only %d of %d folds test it, as it has no more values of %r", corpus, len(own), num_groups, name
            )
    return groups


def corpora_of(rows: Dataset, name: str) -> dict[Any, str]:
    """The corpus of every value of a column; `""` for all where rows name none, or a value is in several."""
    values = column(rows, name)
    corpora = column(rows, "corpus") if "corpus" in rows.column_names else [None] * len(rows)
    pairs = dict.fromkeys(zip(values, corpora, strict=True))
    if None in corpora or len(pairs) > len(set(values)):
        return dict.fromkeys(values, "")
    return dict(pairs.keys())
