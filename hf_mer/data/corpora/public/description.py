"""What a public corpus is: a YAML file, checked to its last key. Light: neither torch nor datasets is imported.

A description of one's own has the same keys; `ravdess.yaml` beside this file is one to begin with.
"""

from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hf_mer.data.corpora.public.checking import description_problems
from hf_mer.data.errors import CorpusError

_FOLDER = Path(__file__).parent
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class PublicCorpus:
    """A description.

    Attributes:
        name: By which the corpus is asked for: of the package's file, or the path of one's own.
        title: Its name for people.
        files: Regular expression of the end of a recording's path, case aside, with the named groups `emotion`,
            `speaker` and `sentence` (codes), as far as they are not in the table.
        labels: Code of an emotion to the name of its class.
        example: A path that `files` matches, for messages.
        left_out: Regular expressions of other files of the release by what they are, for the log.
        unusable: Names of recordings that are left out to why; published counts hold them.
        sentences: Code of a sentence to its words.
        fixed_sentences: How many sentences are said in every emotion, so that words tell nothing; 0 if words may.
        speakers: Codes of all speakers by gender; a speaker that is none of them is an error.
        groups: How many folds; speakers in order, cut into so many groups that are alike in size.
        table: `file` (name of a table in the release), `key` (column with the names of recordings), and `columns`:
            any of text, emotion, speaker and gender to the column that has it.
        counts: Published recordings of every class; empty where nobody knows them.
        num_speakers: Published number of speakers, where `speakers` does not name them.
        address: Where the corpus can be had.
        download: What is to be had there.
        language, about, limits, licence, licence_id, sharing, protocol, citation: For cards, as in `facts.yaml`.
        redistributable: Whether its licence lets a prepared copy be handed on.
    """

    name: str
    title: str
    files: str
    labels: dict[str, str]
    example: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    sentences: dict[str, str] = field(default_factory=dict)
    fixed_sentences: int = 0
    speakers: dict[str, list[str]] = field(default_factory=dict)
    groups: int = 5
    table: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    num_speakers: int = 0
    address: str = ""
    download: str = ""
    language: str | None = None
    about: str = ""
    limits: str = ""
    licence: str = ""
    licence_id: str | None = None
    sharing: str = ""
    protocol: str = ""
    citation: str = ""
    redistributable: bool = False

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in alphabetical order as of a table that nobody gave classes for."""
        return sorted(set(self.labels.values()))

    @property
    def num_sentences(self) -> int:
        """How many sentences are said in every emotion; 0 where words may tell something."""
        return self.fixed_sentences or len(self.sentences)

    @property
    def modalities(self) -> list[str]:
        """What a system should see of it: the text only where it may tell something."""
        has_text = "text" in self.table.get("columns", {}) and not self.num_sentences
        return ["text", "speech"] if has_text else ["speech"]

    @property
    def genders(self) -> dict[str, str]:
        """Gender of every speaker that is named."""
        return {speaker: gender for gender, speakers in self.speakers.items() for speaker in speakers}

    @property
    def where_to_get(self) -> str:
        """One line for those who do not have it."""
        where = f"{self.title} is available at {self.address}" if self.address else f"Get {self.title}"
        what = f" ({self.download})" if self.download else ""
        return f"{where}{what}; name the folder that it was unzipped into"

    def facts(self) -> dict[str, Any]:
        """What cards say of it, by the names of `facts.yaml`."""
        names = ("title", "language", "about", "limits", "licence", "licence_id", "sharing", "protocol", "citation")
        said = {name: getattr(self, name) for name in (*names, "redistributable")}
        return {**said, "dataset": self.name, "real": True}


def is_public(corpus: str | None) -> bool:
    """Whether a corpus is one of the package's public ones, or a description of one's own; several are not."""
    if corpus is None or "," in corpus:
        return False
    return corpus in public_names() or corpus.lower().endswith(_SUFFIXES)


@cache
def public_names() -> tuple[str, ...]:
    """Names of the package's public corpora."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def describe(corpus: str) -> PublicCorpus:
    """The description of a public corpus.

    Args:
        corpus: One of `public_names`, or the path of a YAML file.

    Raises:
        CorpusError: If there is none, or a key is unknown, missing or not what it should be; all in one message.
    """
    path = _FOLDER / f"{corpus}.yaml" if corpus in public_names() else Path(corpus).expanduser()
    if path.suffix.lower() not in _SUFFIXES:
        close = get_close_matches(corpus, public_names(), n=1)
        known = f"did you mean {close[0]}?" if close else f"public corpora: {', '.join(public_names())}."
        raise CorpusError(f"corpus '{corpus}' is not known; {known} A YAML file describes one of your own")
    if not path.is_file():
        raise CorpusError(f"{corpus}: no such description of a corpus")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CorpusError(f"{corpus}: not YAML in UTF-8 ({' '.join(str(error).split())})") from error
    problems = description_problems(content, PublicCorpus)
    if problems:
        raise CorpusError.from_problems(f"{corpus}: description of a corpus", problems)
    return PublicCorpus(name=corpus, **content)
