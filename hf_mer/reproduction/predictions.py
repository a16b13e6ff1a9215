"""Two systems compared over the utterances that both were tested on, from their predictions files. Scores are in %."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hf_mer.files import read_csv
from hf_mer.metrics.significance import mcnemar, paired_bootstrap


def compare_predictions(pairs: Sequence[tuple[Path, Path]], num_resamples: int) -> dict[str, dict[str, Any]]:
    """Bootstrap of the difference of two systems over the test utterances of common runs, which are pooled.

    Dialogues are drawn, not utterances: the id up to its last underscore (`Ses01F_impro01` of `Ses01F_impro01_F000`),
    or the utterance where that would be one for all. All predictions for an utterance, by several seeds, go together.
    Files and results are remembered as long as the files do not change, so that this may be asked after every run.

    Args:
        pairs: `predictions.csv` of the two systems, for each common run; `a`, then `b`.
        num_resamples: Of the bootstrap.

    Returns:
        By score `difference` (`a - b`), `interval_95`, `p`, and the number of `utterances` and `groups`; for WA also
        `p_mcnemar` where no utterance occurs twice. Empty if there are fewer than two groups, or a file is missing.

    Raises:
        ValueError: If the two say that an utterance has different labels.
    """
    if not all(path.exists() for pair in pairs for path in pair):
        return {}
    return _compare(tuple((_stamp(a), _stamp(b)) for a, b in pairs), num_resamples)


class _Stamp(NamedTuple):
    """A file as it is now; a cache that is keyed by it never gives what was in the file before."""

    path: Path
    modified: int
    size: int


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return _Stamp(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _predictions(file: _Stamp) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Ids, true and predicted class names of a predictions file, by id, and all class names."""
    header, *lines = read_csv(file.path)
    labels, rows = tuple(header[3:]), sorted(line[:3] for line in lines)
    ids, truth, predicted = np.array(rows, dtype=str).reshape(len(rows), 3).T
    return ids, truth, predicted, labels


@lru_cache(maxsize=4096)
def _compare(files: tuple[tuple[_Stamp, _Stamp], ...], num_resamples: int) -> dict[str, dict[str, Any]]:
    ids, truth, a_says, b_says, names = _pooled(files)
    dialogues = [row_id.rpartition("_")[0] or row_id for row_id in ids]
    groups = dialogues if len(set(dialogues)) > 1 else ids
    if len(set(groups)) < 2:
        return {}
    order, several = np.array(sorted(names)), len(set(ids)) < len(ids)
    labels, a_says, b_says = (np.searchsorted(order, values) for values in (truth, a_says, b_says))
    found = paired_bootstrap(labels, a_says, b_says, len(order), groups=groups, num_resamples=num_resamples)
    result: dict[str, dict[str, Any]] = {
        name: {
            "difference": 100 * item.difference,
            "interval_95": [100 * item.low, 100 * item.high],
            "p": item.p_value,
            "utterances": len(set(ids)),
            "groups": len(set(groups)),
        }
        for name, item in found.items()
    }
    if not several:
        result["wa"]["p_mcnemar"] = mcnemar(labels, a_says, b_says, len(order)).p_value
    return result


def _pooled(
    files: tuple[tuple[_Stamp, _Stamp], ...],
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, set[str]]:
    """Ids, true class names and those that both systems give, for the common utterances of every pair of files."""
    columns: list[list[np.ndarray]] = []
    names: set[str] = set()
    for a, b in files:
        first, second = _predictions(a), _predictions(b)
        ids, in_first, in_second = np.intersect1d(first[0], second[0], assume_unique=True, return_indices=True)
        truth = first[1][in_first]
        differ = truth != second[1][in_second]
        if differ.any():
            raise ValueError(f"utterance '{ids[differ][0]}' has one label in {a.path} and another in {b.path}")
        columns.append([ids, truth, first[2][in_first], second[2][in_second]])
        names |= {*first[3], *second[3]}
    ids, truth, a_says, b_says = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return ids.tolist(), truth, a_says, b_says, names
