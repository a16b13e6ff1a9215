"""Settings for a public corpus: those of another one do not count, and fixed sentences are not read."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from hf_mer.data.corpora.public.description import describe, is_public

logger = logging.getLogger(__name__)

_OF_A_CORPUS = (
    "task", "columns", "labels", "encoding", "protocol", "validation", "test_session", "group_column", "num_groups",
    "folds", "modalities",
)  # fmt: skip


def fit_public_corpus(settings: Mapping[str, Any], flags: Sequence[str], types: Sequence[type]) -> dict[str, Any]:
    """The settings of a file, fit for the corpus that the flags or the file name.

    With `--corpus` of a public corpus any file will do: what it says of the corpus that it was written for (classes,
    columns, folds, modalities) does not count. Where all texts are a few fixed sentences, speech alone is heard unless
    somebody asks for more. Both are logged. Other corpora leave the settings as they are.

    Args:
        settings: Of the file; empty if there is none.
        flags: On top of it.
        types: The dataclasses that are read.
    """
    named = flag_value(flags, "corpus")
    corpora = _names_of(named or settings.get("corpus"))
    if not corpora or not all(map(is_public, corpora)):
        return dict(settings)
    kept = dict(settings)
    if named is not None and settings.get("corpus", named) != named:
        foreign = [name for name in _OF_A_CORPUS if kept.pop(name, None) is not None]
        if foreign:
            logger.info("settings of another corpus, not used for %s: %s", named, ", ".join(foreign))
    described = [describe(corpus) for corpus in corpora]
    hears = any(item.name == "modalities" for cls in types for item in fields(cls))
    asked = "modalities" in kept or flag_value(flags, "modalities") is not None
    if hears and not asked:
        kept["modalities"] = min((one.modalities for one in described), key=len)
        for one in described:
            if one.num_sentences:
                logger.info("%s has %d fixed sentences, said in every emotion: speech alone is used "
                            "(--modalities speech)", one.title, one.num_sentences)  # fmt: skip
    return kept


def _names_of(corpus: Any) -> list[str]:
    """Corpora of a setting, as YAML or a flag has them."""
    return (
        []
        if corpus is None
        else [str(name).strip() for name in (corpus if isinstance(corpus, list) else str(corpus).split(","))]
    )


def flag_value(flags: Sequence[str], name: str) -> str | None:
    """The (first) value of a flag, `--name value` or `--name=value`, with either kind of hyphen; None without it."""
    for place, flag in enumerate(flags):
        key, equals, value = flag.partition("=")
        if key.startswith("--") and key[2:].replace("-", "_") == name:
            return value if equals else next(iter(flags[place + 1 : place + 2]), None)
    return None
