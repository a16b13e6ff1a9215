"""What a checkpoint says of the corpus that it was trained on: its results, or its card."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEMONSTRATION = (
    "a demonstration, trained on synthetic speech with made-up sentences: it knows nothing about real voices"
)
"""What is said of a model of a generated corpus."""
_LANGUAGES = {"en": "English", "de": "German", "pl": "Polish", "zh": "Chinese", "fr": "French", "es": "Spanish"}


@dataclass(frozen=True)
class Corpus:
    """A training corpus, as far as a checkpoint tells.

    Attributes:
        title: Its name; empty where it is not known.
        generated: Whether a program wrote it.
        language: Its language in English; empty where it is not known.
        limits: What follows for the model, in sentences; empty where nobody has said so.
    """

    title: str = ""
    generated: bool = False
    language: str = ""
    limits: str = ""


def corpus_of(checkpoint: str | os.PathLike, revision: str | None = None) -> Corpus:
    """The training corpus of a checkpoint; nothing is known of one that has neither results nor card.

    Args:
        checkpoint: Folder of a fold, a model or an export, or repository on the Hub.
        revision: Branch, tag or commit of the repository.
    """
    folder = Path(checkpoint)
    if not folder.exists():
        return _of_card(_fetched_card(os.fspath(checkpoint), revision))
    folder = folder if folder.is_dir() else folder.parent
    return _of_results(folder) or _of_card(folder / "README.md")


def _of_results(folder: Path) -> Corpus | None:
    from hf_mer.hub.cards.facts import CORPORA  # read from a file
    from hf_mer.hub.checkpoints import find_checkpoint

    try:
        checkpoint = find_checkpoint(folder)
        name = checkpoint.corpus
    except (ValueError, KeyError):  # an export, or results of another kind
        return None
    told = checkpoint.results[0].get("corpus_language") if checkpoint.results else None
    return None if name == "own" else _of_facts(CORPORA[name], told)


def _of_facts(facts: Mapping[str, Any], language: str | None) -> Corpus:
    return Corpus(
        title=facts["title"],
        generated=not facts["real"],
        language=_language(language or facts.get("language")),
        limits=" ".join((facts.get("limits") or "").split()),
    )


def _of_card(path: Path | None) -> Corpus:
    """What the metadata of a card say."""
    from huggingface_hub import ModelCard

    if path is None or not path.is_file():
        return Corpus()
    try:
        data = ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict()
    except ValueError:  # a README that is no card
        return Corpus()
    return Corpus(
        title=", ".join(data.get("datasets") or ()),
        generated="generated-corpus" in (data.get("tags") or ()),
        language=_language(data.get("language")),
    )


def _fetched_card(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from hf_mer.hub.errors import hub_or_cache

    with hub_or_cache():  # the libraries would ask for half a minute
        try:
            return Path(hf_hub_download(name, "README.md", revision=revision))
        except (EntryNotFoundError, LocalEntryNotFoundError):  # it has none, or the Hub cannot be reached now
            return None


def _language(code: Any) -> str:
    """A language's name; its code where the name is not known; empty for none."""
    codes = [code] if isinstance(code, str) else list(code or ())
    return " and ".join(_LANGUAGES.get(one, one) for one in codes)
