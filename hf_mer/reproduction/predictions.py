"""Two systems compared over the utterances that both were tested on, from their predictions files. Scores are in %."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hf_mer.files import read_csv
from hf_mer.metrics.significance import mcnemar, paired_bootstrap


def compare_predictions(pairs: Sequence[tuple[Path, Path]], num_resamples: int) -> dict[str, dict[str, Any]]:
    """Bootstrap of the difference of two systems over the test utterances of common runs, which are pooled.

    Dialogues are drawn, not utterances: the id up to its last underscore (`Ses01F_impro01` of `Ses01F_impro01_F000`),
    or the utterance where that would be one for all. All predictions for an utterance, by several seeds, go together.
    Results are remembered as long as the files do not change, so that this may be asked after every run.

    Args:
        pairs: `predictions.csv` of the two systems, for each common run; `a`, then `b`.
        num_resamples: Of the bootstrap.

    Returns:
        By score `difference` (`a - b`), `interval_95`, `p`, and the number of `utterances` and `groups`; for WA also
        `p_mcnemar` where no utterance occurs twice. Empty if there are fewer than two groups, or a file is missing.

    Raises:
        ValueError: If the two say that an utterance has different labels.
    """
    paths = [path for pair in pairs for path in pair]
    if not all(path.exists() for path in paths):
        return {}
    stamps = tuple((status.st_mtime_ns, status.st_size) for status in map(Path.stat, paths))
    return _compare(tuple(pairs), stamps, num_resamples)


@lru_cache(maxsize=4096)  # the stamps are of the files as they are now: what was in them before is never given
def _compare(
    pairs: tuple[tuple[Path, Path], ...], stamps: tuple[tuple[int, int], ...], num_resamples: int
) -> dict[str, dict[str, Any]]:
    ids, truth, a_says, b_says, names = _pooled(pairs)
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
    pairs: Sequence[tuple[Path, Path]],
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, set[str]]:
    """Ids, true class names and those that both systems give, for the common utterances of every pair of files."""
    columns: list[list[np.ndarray]] = []
    names: set[str] = set()
    for a, b in pairs:
        first, second = _predictions(a), _predictions(b)
        ids, in_first, in_second = np.intersect1d(first[0], second[0], assume_unique=True, return_indices=True)
        truth = first[1][in_first]
        differ = truth != second[1][in_second]
        if differ.any():
            raise ValueError(f"utterance '{ids[differ][0]}' has one label in {a} and another in {b}")
        columns.append([ids, truth, first[2][in_first], second[2][in_second]])
        names |= {*first[3], *second[3]}
    ids, truth, a_says, b_says = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return ids.tolist(), truth, a_says, b_says, names


def _predictions(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Ids, true and predicted class names of a predictions file, by id, and all class names."""
    header, *lines = read_csv(path)
    rows = sorted(line[:3] for line in lines)
    ids, truth, predicted = np.array(rows, dtype=str).reshape(len(rows), 3).T
    return ids, truth, predicted, header[3:]
