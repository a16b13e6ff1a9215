"""What the loaders of published corpora share: fingerprints of trees and code, building rows, checks of counts."""

import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from datasets import ArrowBasedBuilder, BuilderConfig, Dataset, DatasetDict

from hf_mer.data.mark import is_generated
from hf_mer.data.protocols.make_folds import find_fold, make_folds, select_fold
from hf_mer.data.schema import CorpusError

logger = logging.getLogger(__name__)

COUNT_CHECKS = ("auto", "strict", "off")


def check_options(task: str, tasks: Iterable[str], check_counts: str, protocol: str | None, **needs_protocol) -> None:
    """Refuses options that no corpus could be loaded with.

    Args:
        task: Asked for.
        tasks: The corpus's.
        check_counts: One of `COUNT_CHECKS`.
        protocol: None for none.
        **needs_protocol: Options that mean nothing without a protocol; None where not given.

    Raises:
        ValueError: Naming the option and its choices.
    """
    if task not in tasks:
        raise ValueError(f"task {task!r} is not one of {', '.join(tasks)}")
    if check_counts not in COUNT_CHECKS:
        raise ValueError(f"check_counts is {check_counts!r}; it must be 'auto', 'strict' or 'off'")
    if protocol is None and any(value is not None for value in needs_protocol.values()):
        raise ValueError(f"{' and '.join(f'`{name}`' for name in needs_protocol)} need a `protocol`")


@dataclass
class ReleaseConfig(BuilderConfig):
    """Settings of a loader; the cache is named after them and the state of the tree, so that a change is read anew."""

    max_history: int = 10
    find_release: ClassVar[Any]
    """The release's root, given `data_dir`."""
    corpus_files: ClassVar[Any]
    """Every file below that root which the loader reads or points to."""

    def create_config_id(self, config_kwargs: dict, custom_features: Any = None) -> str:
        """Name of the cache."""
        inherited = {item.name for item in fields(BuilderConfig)}
        state = {item.name: str(getattr(self, item.name)) for item in fields(self) if item.name not in inherited}
        if self.data_dir is not None:
            root = self.find_release(self.data_dir)
            state.update(data_dir=str(root), files=hash_files(root, self.corpus_files(root)))
        return super().create_config_id(state, custom_features)


class ReleaseBuilder(ArrowBasedBuilder):
    """Makes rows out of a release, which it reads by its own rules; `load_dataset` lists every file under data_dir."""

    CODE: ClassVar[tuple[str, ...]] = ()
    """Files of this folder that make the rows."""

    def __init__(self, *args: Any, data_files: Any = None, **kwargs: Any):
        super().__init__(*args, **{**kwargs, "hash": hash_code(*self.CODE)})


def build(
    builder_class: type[ReleaseBuilder], root: Path, task: str, cache_dir: str | os.PathLike | None, **settings: Any
) -> Dataset:
    """All rows of a release, split after split; what is in the cache is not built again.

    Args:
        builder_class: Of the corpus.
        root: Of the release.
        task: One of the corpus's.
        cache_dir: Of `datasets`; its default if not given.
        **settings: Of the builder's `ReleaseConfig`.

    Raises:
        CorpusError: What the builder found, without the wrapping of `datasets`.
    """
    cache_dir = os.fspath(cache_dir) if cache_dir is not None else None
    builder = builder_class(cache_dir=cache_dir, config_name=task, data_dir=str(root), **settings)
    try:
        builder.download_and_prepare()
    except Exception as error:
        if isinstance(error.__cause__, CorpusError):
            raise error.__cause__ from None
        raise
    return builder.as_dataset(split="+".join(builder.info.splits or ["train"]))


def rows_or_folds(
    rows: Dataset, protocol: str | None, fold: int | str | None, validation: str | None
) -> Dataset | DatasetDict | list[DatasetDict]:
    """The rows themselves, one fold of a protocol, or all its folds in order."""
    if protocol is None:
        return rows
    folds = make_folds(rows, protocol, validation=validation)
    if fold is not None:
        return select_fold(rows, find_fold(folds, fold))
    return [select_fold(rows, one) for one in folds]


def report_counts(differences: Sequence[str], what: str, root: Path, mode: str) -> None:
    """Says how a corpus differs from its published counts; nothing where it does not, and a warning once a process.

    Args:
        differences: One line each; empty if there are none.
        what: Whose counts they are, for the message.
        root: Root of the corpus; a generated one is expected to differ.
        mode: `auto` warns, `strict` raises.

    Raises:
        CorpusError: With the differences, if `strict`.
    """
    if not differences or (mode == "auto" and is_generated(root)):
        return
    refused = "check_counts='auto' or 'off' reads it as it is"
    error = CorpusError.from_problems(
        f"{root} differs from the published counts of {what}",
        differences,
        hint=f"Is the release complete? {refused if mode == 'strict' else 'It is read as it is'}",
    )
    if mode == "strict":
        raise error
    _warn_once(str(error))


@cache
def _warn_once(text: str) -> None:
    logger.warning("%s", text)


def hash_files(root: Path, paths: Iterable[Path]) -> str:
    """A hash of names, sizes and times of change; a changed tree gives another."""
    digest = hashlib.sha256()
    for path in paths:
        state = path.stat()
        digest.update(f"{path.relative_to(root)}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def hash_code(*names: str) -> str:
    """A hash of files of this folder and of the schema; cached rows of another version are not taken for today's."""
    digest = hashlib.sha256()
    for name in (*names, "../schema.py"):
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()
