"""A prepared corpus: what is in the folder that `hf-mer prepare` wrote, read without its recordings."""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from hf_mer.hub.card_facts import CORPORA

if TYPE_CHECKING:
    from datasets import Features

_FILE = re.compile(r"(?P<split>.+)-[0-9a-f]{16}\.parquet")
_OF_A_LAYOUT = {
    "iemocap": re.compile(r"Ses0[1-5][FM]_(?:impro\d\d[ab]?|script\d\d_\d[ab]?)(?:_[FM](?:\d{3}|XX\d+))?"),
    "meld": re.compile(r"(?:train|dev|test)_dia\d+_utt\d+|(?:final_videos_test)?dia\d+_utt\d+"),
}


@dataclass(frozen=True)
class PreparedCorpus:
    """The folder's files and what they say of themselves.

    Attributes:
        folder: The folder.
        files: Parquet file by split.
        about: What `prepare` was told of the corpus.
        named: The corpus that a person names; it cannot take back what the rows tell.
    """

    folder: Path
    files: Mapping[str, Path]
    about: Mapping[str, Any] = field(default_factory=dict)
    named: str | None = None

    @cached_property
    def features(self) -> "Features":
        """Columns of all splits."""
        from datasets import Features

        return Features.from_arrow_schema(pq.read_schema(next(iter(self.files.values()))))

    @property
    def labels(self) -> list[str]:
        """Names of the classes."""
        return list(self.features["label"].names)

    def values(self, name: str) -> dict[str, list[Any]]:
        """A column by split."""
        if name not in self.features:
            return {split: [] for split in self.files}
        return {split: pq.read_table(path, columns=[name])[name].to_pylist() for split, path in self.files.items()}

    def all_values(self, *names: str) -> Iterator[Any]:
        """What columns hold in all splits; empty cells are left out."""
        for name in names:
            for values in self.values(name).values():
                yield from (value for value in values if value is not None)

    def audio_paths(self) -> Iterator[str]:
        """Names of recordings: absolute paths, or what an embedded one was called."""
        for path in self.files.values():
            for audio in pq.ParquetFile(path).read(columns=["audio.path"])["audio"].to_pylist():
                if audio is not None and audio["path"]:
                    yield audio["path"]

    @cached_property
    def media(self) -> dict[str, int]:
        """Rows with recordings `embedded` and `referenced` by path, and with films (`video`), by path too."""
        counts = {"embedded": 0, "referenced": 0, "video": 0}
        for path in self.files.values():
            for batch in pq.ParquetFile(path).iter_batches(64, columns=["audio", "video"]):
                audio, video = batch.column("audio"), batch.column("video")
                embedded = pc.sum(pc.is_valid(pc.struct_field(audio, "bytes"))).as_py() or 0
                counts["embedded"] += embedded
                counts["referenced"] += len(audio) - audio.null_count - embedded
                counts["video"] += len(video) - video.null_count
        return counts

    @cached_property
    def is_generated(self) -> bool:
        """Whether this package made it up: it is marked so, and its words are none but the generator's."""
        texts = [text for name in ("text", "history") for text in self.all_values(name)]
        spoken = [one for text in texts for one in (text if isinstance(text, list) else [text])]
        from hf_mer.data.generated.sentences import could_have_written

        return bool(self.about.get("generated")) and bool(spoken) and could_have_written(spoken)

    @cached_property
    def ids_of(self) -> dict[str, list[str]]:
        """Ids of rows by the published corpus whose ids they are."""
        ids = [str(value) for value in self.all_values("id", "dialogue")]
        ids += [Path(path).stem for path in self.audio_paths()]
        found = {name: [one for one in ids if pattern.fullmatch(one)] for name, pattern in _OF_A_LAYOUT.items()}
        return {name: own for name, own in found.items() if own}

    @cached_property
    def layout(self) -> str | None:
        """`iemocap` or `meld`, by what the folder says or else by the ids of its rows."""
        said = {self.named, self.about.get("corpus"), *self._tags}
        named = next((name for name in _OF_A_LAYOUT if name in said), None)
        return named or next(iter(self.ids_of), None)

    @property
    def corpus(self) -> str:
        """As `CORPORA` names it."""
        if self.layout is None:
            return self.named or "own"
        generated = {"iemocap": "generated", "meld": "generated_meld"}
        return generated[self.layout] if self.is_generated else self.layout

    @property
    def _tags(self) -> list[str]:
        head = re.match(r"---\n(.*?)\n---\n", (self.folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
        content = yaml.safe_load(head[1]) if head else None
        return [str(tag) for tag in (content or {}).get("tags") or []] if isinstance(content, dict) else []

    def durations(self) -> np.ndarray:
        """Seconds of every row of which they are known."""
        return np.array(list(self.all_values("duration")), dtype=float)


def find_prepared(path: str | Path, corpus: str | None = None) -> PreparedCorpus | None:
    """The prepared corpus in a folder; None if there is none.

    Args:
        path: The folder.
        corpus: One of `CORPORA`, where a person says what it is.

    Raises:
        ValueError: If there is no such corpus, or the folder's own description is damaged.
    """
    folder = Path(path)
    files = {found["split"]: file for file in sorted(folder.glob("data/*.parquet"))
             if (found := _FILE.fullmatch(file.name))}  # fmt: skip
    if not files or not (folder / "README.md").is_file():
        return None
    if corpus is not None and corpus not in CORPORA:
        raise ValueError(f"corpus '{corpus}' is not one of {', '.join(CORPORA)}")
    order = {name: place for place, name in enumerate(("train", "validation", "test"))}
    files = dict(sorted(files.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
    from hf_mer.data.prepare import ABOUT

    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8")) if (folder / ABOUT).is_file() else {}
        schema = pq.read_schema(next(iter(files.values())))
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{folder} is a damaged prepared corpus; prepare it anew ({error})") from error
    if "label" not in schema.names or "id" not in schema.names or not isinstance(about, dict):
        raise ValueError(f"{folder} is no corpus that `hf-mer prepare` wrote: it has no columns id and label")
    return PreparedCorpus(folder, files, about, corpus)


def without_columns(path: Path, names: Sequence[str]) -> bytes | None:
    """A Parquet file whose cells of some columns are empty; None where they are so already, or none is named.

    The columns stay, so that the rows keep the schema of every prepared corpus.
    """
    schema = pq.read_schema(path)
    kept = [name for name in schema.names if name not in names]
    counts = {name: pq.read_table(path, columns=[name])[name] for name in names}
    if all(cells.null_count == len(cells) for cells in counts.values()):
        return None
    table = pq.read_table(path, columns=kept)
    for place, entry in enumerate(schema):
        if entry.name in names:
            table = table.add_column(place, entry, pa.nulls(len(table), entry.type))
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(schema.metadata), sink)
    return sink.getvalue()
