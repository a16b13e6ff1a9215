"""Looking at texts and labels of a corpus before training on it; `check_files` looks at recordings and clips."""

import logging
from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from hf_mer.data.schema import CorpusError, column, is_tag_only

logger = logging.getLogger(__name__)


def check_text(rows: Dataset) -> dict[str, int]:
    """Counts texts that say nothing and warns of them; they are usable, but the text's part of a model sees nothing.

    Returns:
        `missing` (None), `empty` (nothing that shows) and `tag_only` (such as `[LAUGHTER]`).
    """
    from hf_mer.models.words_mer import says_anything

    texts = column(rows, "text")
    counts = {
        "missing": sum(text is None for text in texts),
        "empty": sum(text is not None and not says_anything(text) for text in texts),
        "tag_only": sum(text is not None and is_tag_only(text) for text in texts),
    }
    if counts["missing"] < len(texts) and any(counts.values()):
        logger.warning(
            "of %d texts, %d are missing, %d are empty and %d are only a tag",
            len(texts),
            counts["missing"],
            counts["empty"],
            counts["tag_only"],
        )
    return counts


def check_labels(rows: Dataset, train_indices: Sequence[int], where: str = "the training split") -> dict[str, int]:
    """Makes sure that there is something to tell apart, and that every class can be learnt.

    Args:
        rows: Rows of the schema.
        train_indices: Which of them are trained on.
        where: Name of that part, for the message.

    Returns:
        Training rows per class.

    Raises:
        CorpusError: If a class has none, or there is one class alone, which every answer would hit.
    """
    names = rows.features["label"].names
    if len(names) < 2:
        found = ", ".join(map(repr, names)) or "none"
        raise CorpusError.from_problems("labels", [f"the classes are {found}; there must be two or more"])
    labels = np.asarray(column(rows, "label"), dtype=np.int64)[np.asarray(train_indices, dtype=np.int64)]
    counts = dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))
    empty = [f"class {name!r} has no rows in {where}" for name, count in counts.items() if count == 0]
    if empty:
        raise CorpusError.from_problems(
            "labels", empty, hint="Leave the class out with `labels`, or choose other folds"
        )
    return counts


def check_votes(rows: Dataset, train_indices: Sequence[int], where: str = "the training split") -> int:
    """Makes sure that raters' votes are there to be trained towards, and says how many rows have some.

    Args:
        rows: Rows of the schema; those prepared by an earlier version have no column `votes`.
        train_indices: Which of them are trained on.
        where: Name of that part, for the message.

    Returns:
        Training rows with votes.

    Raises:
        CorpusError: If there is none.
    """
    votes = column(rows, "votes") if "votes" in rows.column_names else [None] * len(rows)
    number = sum(votes[row] is not None for row in train_indices)
    if not number:
        raise CorpusError(
            f"soft_targets=true: no row of {where} has raters' votes. IEMOCAP has them; for a table, name "
            'their column: columns={"votes": "<its column>"}'
        )
    logger.info("%s: %d of %d rows have raters' votes, the others their label", where, number, len(train_indices))
    return number


def check_test_labels(rows: Dataset, test_indices: Sequence[int], where: str = "the test split") -> list[str]:
    """Warns of a test part whose scores say little: one with rows of a single class.

    Args:
        rows: Rows of the schema.
        test_indices: Which of them are tested on.
        where: Name of that part, for the message.

    Returns:
        The classes that it has.
    """
    names = rows.features["label"].names
    labels = column(rows, "label")
    found = [names[index] for index in sorted({labels[row] for row in test_indices})]
    if len(found) == 1:
        logger.warning(
            "%s has only rows of class %r: a system that always predicts %r is right there, so scores mean nothing",
            where,
            found[0],
            found[0],
        )
    return found
