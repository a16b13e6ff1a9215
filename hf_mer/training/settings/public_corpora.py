"""Settings for a public corpus: those of another one do not count, and fixed sentences are not read."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from hf_mer.data.corpora.public.description import describe, is_public, public_names

logger = logging.getLogger(__name__)

CORPORA: dict[str, tuple[str, ...]] = {
    "iemocap": ("4class", "6class"),
    "meld": ("emotion", "sentiment"),
    "manifest": (),
}
"""Corpora and their tasks, the first being the default."""

_OF_A_CORPUS = (
    "task", "columns", "labels", "encoding", "protocol", "validation", "test_session", "group_column", "num_groups",
    "train_ids", "test_ids", "folds", "modalities", "label_map",
)  # fmt: skip


def fit_public_corpus(settings: Mapping[str, Any], flags: Sequence[str], types: Sequence[type]) -> dict[str, Any]:
    """The settings of a file, fit for the corpus that the flags or the file name.

    With `--corpus` of a public corpus, or of several corpora, any file will do: what it says of the corpus that it
    was written for (classes, columns, folds, modalities) does not count. Where all texts of a public corpus are a few
    fixed sentences, speech alone is heard unless somebody asks for more. Both are logged. Other corpora leave the
    settings as they are.

    Args:
        settings: Of the file; empty if there is none.
        flags: On top of it.
        types: The dataclasses that are read.
    """
    named = flag_value(flags, "corpus")
    corpora = corpus_list(named or settings.get("corpus"))
    if len(corpora) < 2 and not all(map(is_public, corpora)):
        return dict(settings)
    kept = dict(settings)
    if named is not None and corpus_list(settings.get("corpus", named)) != corpora:
        foreign = [name for name in _OF_A_CORPUS if kept.pop(name, None) is not None]
        if foreign:
            logger.info("settings for another corpus, not used for %s: %s", named, ", ".join(foreign))
    if not corpora or not all(map(is_public, corpora)):
        return kept
    all_described = [describe(corpus) for corpus in corpora]
    hears = any(item.name == "modalities" for cls in types for item in fields(cls))
    asked = "modalities" in kept or flag_value(flags, "modalities") is not None
    if hears and not asked:
        least = min(all_described, key=lambda described: len(described.modalities))
        kept["modalities"] = least.modalities
        for described in all_described:
            if not described.num_sentences:
                continue
            logger.info("%s has %d fixed sentences, said in every emotion: speech alone is used (--modalities speech)",
                        described.title, described.num_sentences)  # fmt: skip
    return kept


def check_corpus(name: str) -> None:
    """Refuses what is no corpus.

    Raises:
        ValueError: With the names that there are.
    """
    if name not in CORPORA and not is_public(name):
        names = ", ".join([*CORPORA, *public_names()])
        raise ValueError(f"corpus: '{name}' is not one of {names}, or the path of a YAML file")


def corpus_list(given: Any) -> list[str]:
    """Names of corpora, of a text with commas or a list."""
    names = given if isinstance(given, list) else str(given).split(",") if given is not None else []
    return [str(name).strip() for name in names]


def flag_value(flags: Sequence[str], name: str) -> str | None:
    """The (first) value of a flag, `--name value` or `--name=value`, with either kind of hyphen; None without it."""
    for place, flag in enumerate(flags):
        key, equals, value = flag.partition("=")
        if key.startswith("--") and key[2:].replace("-", "_") == name:
            return value if equals else next(iter(flags[place + 1 : place + 2]), None)
    return None
