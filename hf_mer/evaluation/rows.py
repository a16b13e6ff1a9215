"""Which rows of a corpus a checkpoint is evaluated on, and whether they belong together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_mer.data.protocols.folds import find_fold
from hf_mer.data.protocols.make_folds import make_folds
from hf_mer.data.schema import CorpusError, canonical_split, column
from hf_mer.evaluation.other_corpus import warn_of_training_rows
from hf_mer.training.corpus import check_recordings, unseen_problems, unseen_rows
from hf_mer.training.results import rows_of_predictions
from hf_mer.training.settings.arguments import DataArguments


@dataclass
class RowSettings:
    """Which rows are wanted; of several ways to say it the first that is given counts.

    Attributes:
        split: An official split (`test`), or `all` for every row.
        protocol: One of `make_folds`, with `fold`, whose test part is taken.
        fold: Name or position of a fold.
        protocol_settings: Further arguments of `make_folds`.
    """

    split: str | None = None
    protocol: str | None = None
    fold: str | None = None
    protocol_settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.protocol is None) != (self.fold is None):
            raise ValueError("a protocol and a fold belong together: give both, or neither")


def training_results(checkpoint: str | Path) -> dict[str, Any]:
    """What a training left beside its checkpoint: `results.json` of the fold, empty if there is none."""
    folder = Path(checkpoint)
    folder = folder if (folder / "results.json").is_file() else folder.parent
    path = folder / "results.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {**content, "folder": folder} if "fold" in content else {}


def choose_rows(
    rows: Dataset, settings: RowSettings, trained: dict[str, Any], data: DataArguments
) -> tuple[Dataset, str]:
    """The rows to evaluate on, and what they are called.

    Without a split or protocol they are the test part of the checkpoint's own fold, whose ids are in the
    `predictions.csv` beside it, if the corpus is the one that it was trained on; else all rows.

    Args:
        rows: The corpus.
        settings: What the user wants.
        trained: Of `training_results`.
        data: The corpus as it is to be read.

    Raises:
        ValueError: If there are no such rows, or the checkpoint's test rows are not in the corpus.
    """
    if settings.split is not None and settings.split != "all":
        splits, meant = column(rows, "split"), canonical_split(settings.split)
        chosen = [
            index
            for index, split in enumerate(splits)
            if split == settings.split or (split and meant is not None and canonical_split(split) == meant)
        ]
        if not chosen:
            known = ", ".join(sorted({split for split in splits if split})) or "none in this corpus"
            raise ValueError(f"split '{settings.split}' has no rows; splits: {known}; --split all uses every row")
        return rows.select(chosen), f"split {settings.split}"
    if settings.protocol is not None:
        folds = make_folds(rows, settings.protocol, **settings.protocol_settings, every_class=False)
        wanted: Any = settings.fold
        fold = find_fold(folds, wanted)
        return rows.select(fold.test), f"test split of fold {fold.name} ({settings.protocol})"
    if settings.split is None:
        same_corpus = trained and trained["settings"].get("data", {}).get("corpus") == data.corpus
        if same_corpus and (predictions := trained["folder"] / "predictions.csv").is_file():
            hint = "is it another corpus? --split all uses every row, --protocol with --fold those of a fold"
            tested = rows.select(rows_of_predictions(rows, predictions, hint))
            return tested, f"test split of fold {trained['fold']}, as in training"
        warn_of_training_rows(len(rows), trained, data)
    return rows, "all rows"


def check_rows(rows: Dataset, processor: Any, modalities: Sequence[str], data: DataArguments) -> Dataset:
    """The rows with their durations; files that cannot be used are out of their rows if `on_bad_audio` is `skip`.

    Raises:
        CorpusError: If files are bad, or rows have nothing that the model sees.
    """
    rows = check_recordings(rows, modalities, data, processor)
    unseen = unseen_rows(rows, modalities, data.use_history)
    if len(unseen) == len(rows):
        raise CorpusError(f"no row has {' or '.join(modalities)}, which the checkpoint needs")
    if len(unseen):
        hint = "Every row counts in the scores: correct these, or remove them yourself"
        raise CorpusError.from_problems("rows", unseen_problems(rows, modalities, unseen), hint=hint)
    return rows
