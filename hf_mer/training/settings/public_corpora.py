"""Settings for a public corpus: those of another one do not count, and fixed sentences are not read."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from hf_mer.data.corpora.public.description import PublicCorpus, describe, is_public

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
    names, theirs = _names(named or settings.get("corpus")), _names(settings.get("corpus") or named)
    if not names or not all(map(is_public, names)):
        return dict(settings)
    kept = dict(settings)
    if names != theirs:
        foreign = [name for name in _OF_A_CORPUS if kept.pop(name, None) is not None]
        if foreign:
            logger.info("settings of another corpus, not used for %s: %s", named, ", ".join(foreign))
    hears = any(item.name == "modalities" for cls in types for item in fields(cls))
    if hears and "modalities" not in kept and flag_value(flags, "modalities") is None:
        kept["modalities"] = _modalities([describe(name) for name in names])
    return kept


def _modalities(corpora: Sequence[PublicCorpus]) -> list[str]:
    """What a system should see: text where it may tell something in one of the corpora."""
    found = max((corpus.modalities for corpus in corpora), key=len)
    done = "speech alone is used (--modalities speech)" if found == ["speech"] else "its text tells nothing"
    for corpus in corpora:
        if corpus.num_sentences:
            logger.info(
                "%s has %d fixed sentences, said in every emotion: %s", corpus.title, corpus.num_sentences, done
            )
    return found


def _names(corpus: Any) -> list[str]:
    """Corpora, as a list or with commas between them."""
    names = corpus if isinstance(corpus, list) else str(corpus or "").split(",")
    return [name for one in names if (name := str(one).strip())]


def flag_value(flags: Sequence[str], name: str) -> str | None:
    """The (first) value of a flag, `--name value` or `--name=value`, with either kind of hyphen; None without it."""
    for place, flag in enumerate(flags):
        key, equals, value = flag.partition("=")
        if key.startswith("--") and key[2:].replace("-", "_") == name:
            return value if equals else next(iter(flags[place + 1 : place + 2]), None)
    return None
