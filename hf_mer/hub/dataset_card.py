"""Dataset cards of prepared corpora: every number is counted in the rows, the rest is known of the corpus."""

from collections import Counter
from collections.abc import Mapping
from importlib import resources
from string import Template

import numpy as np

from hf_mer.files import markdown_table
from hf_mer.hub.card_facts import CORPORA
from hf_mer.hub.card_results import machine_paths
from hf_mer.hub.card_tables import NOT_MEASURED
from hf_mer.hub.prepared import PreparedCorpus

MEANING = {
    "id": "name of the utterance",
    "audio": "recording",
    "audio_start": "seconds at which it begins in the recording, where it is a segment of one",
    "audio_end": "seconds at which it ends in the recording",
    "video": "film, with the span and the half of the screen that belong to the utterance",
    "text": "what is said",
    "history": "earlier texts of the dialogue, oldest first",
    "speaker": "who speaks",
    "dialogue": "dialogue it belongs to",
    "turn": "place in the dialogue",
    "session": "recording session",
    "part": "improvised or scripted",
    "split": "part of the corpus' own split",
    "group": "group that folds keep together",
    "label": "class",
    "duration": "seconds of sound",
    "start": "seconds at which it begins in the dialogue",
    "end": "seconds at which it ends",
    "valence": "how pleasant, as raters say",
    "arousal": "how excited, as raters say",
    "dominance": "how dominant, as raters say",
}
_SIZES = (("n<1K", 1_000), ("1K<n<10K", 10_000), ("10K<n<100K", 100_000), ("100K<n<1M", 1_000_000))


def dataset_card(
    corpus: PreparedCorpus,
    name: str,
    files: Mapping[str, str] | None = None,
    *,
    title: str | None = None,
    notes: str = "",
    without_audio: bool = False,
    without_video: bool = False,
) -> str:
    """The card.

    Args:
        corpus: The prepared corpus.
        name: Of the repository.
        files: Name of the file in `data` by split, as it is in the repository; those of the folder if not given.
        title: Of the card; the corpus' if not given.
        notes: What a reader should know. Markdown.
        without_audio: Whether recordings are left out.
        without_video: Whether films are left out.

    Raises:
        ValueError: If the card would name a path of this machine.
    """
    facts = CORPORA[corpus.corpus]
    left_out = {one for one, out in (("audio", without_audio), ("video", without_video)) if out}
    text = Template(resources.files(__package__).joinpath("dataset_card_template.md").read_text("utf-8")).substitute(
        metadata=_metadata(corpus, files or {split: path.name for split, path in corpus.files.items()}, left_out),
        title=title or f"{facts.title}, prepared",
        about=facts.about,
        notes=notes,
        counts=_counts(corpus),
        durations=_durations(corpus),
        media=_media(corpus, left_out),
        columns=_columns(corpus, left_out),
        name=name,
        made=_made(corpus),
        protocol=_protocol(corpus),
        limits=facts.limits,
        licence=facts.sharing,
    )
    if paths := machine_paths(text):
        raise ValueError(f"the card of {name} would name paths of this machine: {', '.join(paths[:5])}")
    return text


def _metadata(corpus: PreparedCorpus, files: Mapping[str, str], left_out: set[str]) -> str:
    facts, rows = CORPORA[corpus.corpus], sum(corpus_rows(corpus).values())
    settings = corpus.about.get("generated") or {}
    language = settings.get("settings", {}).get("language", facts.language) if corpus.is_generated else facts.language
    heard = corpus.media["embedded"] and "audio" not in left_out
    further = {
        "pretty_name": f"{facts.title}, prepared by hf_mer",
        "language": language,
        "license": facts.licence_id,
        "task_categories": ["audio-classification"] if heard else ["text-classification"],
        "size_categories": [next((size for size, limit in _SIZES if rows < limit), "n>1M")],
        "tags": ["emotion-recognition", "multimodal-emotion-recognition",
                 corpus.corpus.replace("_", "-"), *([] if facts.real else ["generated-corpus"])],
    }  # fmt: skip
    known = {name: value for name, value in further.items() if value is not None}
    from hf_mer.data.prepare import loading_metadata

    return str(loading_metadata(corpus.features, files, **known))


def corpus_rows(corpus: PreparedCorpus) -> dict[str, int]:
    """Number of rows by split."""
    return {split: len(values) for split, values in corpus.values("label").items()}


def _counts(corpus: PreparedCorpus) -> str:
    labels = corpus.labels
    rows = []
    total: Counter[int] = Counter()
    for split, values in corpus.values("label").items():
        counts = Counter(values)
        total += counts
        rows.append([split, str(len(values)), *(str(counts[index]) for index in range(len(labels)))])
    if len(rows) > 1:
        rows.append(["all", str(sum(total.values())), *(str(total[index]) for index in range(len(labels)))])
    people = {name: len(set(corpus.all_values(name))) for name in ("speaker", "dialogue", "session")}
    told = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in people.items() if count)
    table = markdown_table(["split", "rows", *labels], rows)
    return f"{table}\n\n{told[0].upper()}{told[1:]}." if told else table


def _durations(corpus: PreparedCorpus) -> str:
    seconds = corpus.durations()
    rows = sum(corpus_rows(corpus).values())
    if not len(seconds):
        return f"Durations: {NOT_MEASURED}."
    of = "" if len(seconds) == rows else f" (known of {len(seconds)} of {rows} rows)"
    return (
        f"{seconds.sum() / 3600:.2f} hours{of}; an utterance lasts {np.median(seconds):.2f} s (median), 95 % last at "
        f"most {np.quantile(seconds, 0.95):.1f} s, the longest {seconds.max():.1f} s."
    )


def _media(corpus: PreparedCorpus, left_out: set[str]) -> str:
    media = corpus.media
    told = []
    if media["embedded"] and "audio" not in left_out:
        told.append(f"{media['embedded']} recordings are in the files.")
    if "audio" in left_out and media["embedded"] + media["referenced"]:
        told.append(f"Its {media['embedded'] + media['referenced']} recordings are not part of this repository.")
    if "video" in left_out and media["video"]:
        told.append(f"Its {media['video']} films are not part of this repository.")
    return " ".join(told) or "There are no recordings, words alone."


def _columns(corpus: PreparedCorpus, left_out: set[str]) -> str:
    total = sum(corpus_rows(corpus).values())
    rows: list[list[str]] = []
    for name in corpus.features:
        if name in left_out:
            continue
        filled = corpus.media["embedded"] if name == "audio" else sum(
            value not in (None, []) for value in corpus.all_values(name)
        )  # fmt: skip
        if filled:
            rows.append([f"`{name}`", MEANING.get(name, ""), "all" if filled == total else str(filled)])
    empty = sorted(set(corpus.features) - {row[0].strip("`") for row in rows})
    table = markdown_table(["column", "what", "filled"], rows)
    return f"{table}\n\nEmpty: {', '.join(f'`{name}`' for name in empty)}." if empty else table


def _made(corpus: PreparedCorpus) -> str:
    about = corpus.about
    lines = [f"Prepared by hf_mer {about['hf_mer']}." if about.get("hf_mer") else "Prepared by hf_mer."]
    if about.get("command"):
        lines.append(f"\n```\n{about['command']}\n```")
    if about.get("generated"):
        settings = about["generated"].get("settings", {})
        told = ", ".join(f"{name} {value}" for name, value in settings.items() if not isinstance(value, dict))
        lines.append(f"\nGenerated by `hf-mer generate`, version {about['generated'].get('version')}: {told}.")
    return "\n".join(lines)


def _protocol(corpus: PreparedCorpus) -> str:
    splits = list(corpus.files)
    if corpus.about.get("splits") == "official":
        first = "The splits are the corpus' own."
    elif splits == ["train"]:
        first = "`train` holds all rows: it is no training part, and there is no test part until folds are made."
    else:
        first = f"The splits {', '.join(f'`{split}`' for split in splits)} are those that were given."
    return f"{first} {CORPORA[corpus.corpus].protocol}"
