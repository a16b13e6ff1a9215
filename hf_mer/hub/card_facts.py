"""What is known of systems and corpora whatever the run: papers, citations, licences. Read from `card_facts.yaml`."""

from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml


@dataclass(frozen=True)
class SystemFacts:
    """A system and its paper.

    Attributes:
        title: Its name.
        modalities: Of its full form.
        class_name: Of the model.
        paper: Authors, title and place.
        arxiv: Number of the preprint.
        about: What it does.
        citation: BibTeX.
    """

    title: str
    modalities: list[str]
    class_name: str
    paper: str
    arxiv: str
    about: str
    citation: str


@dataclass(frozen=True)
class CorpusFacts:
    """A corpus.

    Attributes:
        title: Its name.
        dataset: Its name as metadata of the Hub; None where it is nobody's data set.
        language: ISO 639 code; None if not known.
        real: Whether people speak.
        about: What it is.
        limits: What follows from that for a model.
        licence: Terms, for a model that was trained on it.
        licence_id: The licence's name as metadata of the Hub, of a prepared copy; None if not known.
        sharing: Terms, for a prepared copy.
        protocol: How it is usually cut into parts.
    """

    title: str
    dataset: str | None
    language: str | None
    real: bool
    about: str
    limits: str
    licence: str
    licence_id: str | None
    sharing: str
    protocol: str


def _read() -> dict[str, Any]:
    return yaml.safe_load((resources.files(__package__) / "card_facts.yaml").read_text(encoding="utf-8"))


SYSTEMS: dict[str, SystemFacts] = {name: SystemFacts(**facts) for name, facts in _read()["systems"].items()}
CORPORA: dict[str, CorpusFacts] = {name: CorpusFacts(**facts) for name, facts in _read()["corpora"].items()}
