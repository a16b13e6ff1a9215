"""Dataset cards of prepared corpora: every number is counted in the rows, the rest is known of the corpus."""

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData

from hf_mer.files import markdown_table
from hf_mer.hub.cards.card_results import machine_paths
from hf_mer.hub.cards.facts import COLUMNS, CORPORA
from hf_mer.hub.prepared import PreparedCorpus

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
        without_video: Whether videos are left out.

    Raises:
        ValueError: If the card would name a path of this machine.
    """
    facts, columns = CORPORA[corpus.corpus], _filled(corpus)
    left_out = {one for one, out in (("audio", without_audio), ("video", without_video)) if out}
    rows = [
        [f"`{column}`", COLUMNS.get(column, ""), "all" if filled == len(corpus.rows) else filled]
        for column, filled in columns.items()
        if filled and column not in left_out
    ]
    card = DatasetCard.from_template(
        _metadata(corpus, files or {split: path.name for split, path in corpus.files.items()}, left_out),
        template_path=str(Path(__file__).with_name("dataset_card.md")),
        corpus=corpus,
        facts=facts,
        name=name,
        title=title or f"{facts['title']}, prepared",
        notes=notes,
        left_out=left_out,
        counts_table=_counts(corpus),
        people={one: corpus.values(one).nunique() for one in ("speaker", "dialogue", "session")},
        seconds=corpus.values("duration").astype(float),
        columns_table=markdown_table(["column", "content", "filled rows"], rows),
        empty=sorted(column for column, filled in columns.items() if not filled or column in left_out),
    )
    if paths := machine_paths(str(card)):
        raise ValueError(f"the card of {name} would name paths of this machine: {', '.join(paths[:5])}")
    return str(card)


def _metadata(corpus: PreparedCorpus, files: Mapping[str, str], left_out: set[str]) -> DatasetCardData:
    from hf_mer.data.prepare import loading_metadata

    facts, rows = CORPORA[corpus.corpus], len(corpus.rows)
    generated = (corpus.about.get("generated") or {}).get("settings", {}) if corpus.is_generated else {}
    heard = corpus.media["embedded"] and "audio" not in left_out
    further = {
        "pretty_name": f"{facts['title']}, prepared by hf_mer",
        "language": generated.get("language", facts["language"]),
        "license": facts["licence_id"],
        "task_categories": ["audio-classification"] if heard else ["text-classification"],
        "size_categories": [next((size for size, limit in _SIZES if rows < limit), "n>1M")],
        "tags": ["emotion-recognition", "multimodal-emotion-recognition",
                 corpus.corpus.replace("_", "-"), *([] if facts["real"] else ["generated-corpus"])],
    }  # fmt: skip
    known = {name: value for name, value in further.items() if value is not None}
    return loading_metadata(corpus.features, files, **known)


def _counts(corpus: PreparedCorpus) -> str:
    """Rows and classes of every split, and of all where there are several."""
    counted = corpus.rows.groupby("in_split")["label"].value_counts().unstack(fill_value=0)
    counts = counted.reindex(index=list(corpus.files), columns=range(len(corpus.labels)), fill_value=0)
    if len(counts) > 1:
        counts.loc["all"] = counts.sum()
    sizes = counts.sum(axis=1)
    rows = [[split, sizes[split], *counts.loc[split]] for split in counts.index]
    return markdown_table(["split", "rows", *corpus.labels], rows)


def _filled(corpus: PreparedCorpus) -> dict[str, int]:
    """Rows that have something in a column; of recordings, in the file itself."""
    filled = {name: len(corpus.values(name)) for name in corpus.features}
    histories = sum(len(history) > 0 for history in corpus.values("history"))
    return {**filled, "history": histories, "audio": corpus.media["embedded"]}
