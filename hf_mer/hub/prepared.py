"""A prepared corpus: what is in the folder that `hf-mer prepare` wrote, read without its recordings."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub import metadata_load

from hf_mer.hub.cards.facts import CORPORA

if TYPE_CHECKING:
    from datasets import Features
    from pandas import DataFrame, Series

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

    @cached_property
    def rows(self) -> "DataFrame":
        """Rows of all splits, without the recordings; `in_split` and `embedded` tell where a row and its sound are."""
        tables = []
        for split, path in self.files.items():
            file = pq.ParquetFile(path)
            table = file.read(["audio.path" if name == "audio" else name for name in file.schema_arrow.names])
            batches = file.iter_batches(64, columns=["audio.bytes"])  # a few recordings in memory at a time
            embedded = [pc.is_valid(pc.struct_field(batch["audio"], "bytes")) for batch in batches]
            table = table.append_column("in_split", pa.array([split] * len(table)))
            tables.append(table.append_column("embedded", pa.chunked_array(embedded, pa.bool_())))
        return pa.concat_tables(tables, promote_options="permissive").to_pandas()

    @property
    def labels(self) -> list[str]:
        """Names of the classes."""
        return list(self.features["label"].names)

    def values(self, name: str) -> "Series":
        """What a column holds, without empty cells."""
        return self.rows.reindex(columns=[name])[name].dropna()

    @property
    def media(self) -> dict[str, int]:
        """Rows with recordings `embedded` and `referenced` by path, and with videos, also by path."""
        embedded, heard = self.rows["embedded"], self.rows["audio"].notna()
        counts = {"embedded": embedded, "referenced": heard & ~embedded, "video": self.rows["video"].notna()}
        return {name: int(rows.sum()) for name, rows in counts.items()}

    @cached_property
    def is_generated(self) -> bool:
        """Whether this package made it up: it is marked so, and its words are none but the generator's."""
        from hf_mer.data.generated.sentences import could_have_written

        spoken = [*self.values("text"), *self.values("history").explode().dropna()]
        return bool(self.about.get("generated")) and bool(spoken) and could_have_written(spoken)

    @cached_property
    def ids_of(self) -> dict[str, list[str]]:
        """Ids of rows by the published corpus whose ids they are."""
        paths = [audio["path"] for audio in self.values("audio") if audio["path"]]
        ids = [*map(str, self.values("id")), *map(str, self.values("dialogue")), *(Path(path).stem for path in paths)]
        found = {name: [one for one in ids if pattern.fullmatch(one)] for name, pattern in _OF_A_LAYOUT.items()}
        return {name: own for name, own in found.items() if own}

    @cached_property
    def layout(self) -> str | None:
        """`iemocap` or `meld`, by what the folder says or else by the ids of its rows."""
        head = metadata_load(self.folder / "README.md") or {}
        said = {self.named, self.about.get("corpus"), *map(str, head.get("tags") or [])}
        named = next((name for name in _OF_A_LAYOUT if name in said), None)
        return named or next(iter(self.ids_of), None)

    @property
    def corpus(self) -> str:
        """As `CORPORA` names it."""
        if self.layout is None:
            said = self.named or self.about.get("corpus")
            return said if said in CORPORA else "own"
        generated = {"iemocap": "generated", "meld": "generated_meld"}
        return generated[self.layout] if self.is_generated else self.layout


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
        raise ValueError(f"{folder} is a damaged prepared corpus; prepare it again ({error})") from error
    if "label" not in schema.names or "id" not in schema.names or not isinstance(about, dict):
        raise ValueError(f"{folder} is not a corpus that `hf-mer prepare` wrote: it has no columns id and label")
    return PreparedCorpus(folder, files, about, corpus)


def without_columns(path: Path, names: Sequence[str]) -> bytes | None:
    """A Parquet file whose cells of some columns are empty; None where they are so already, or none is named.

    The columns stay, so that the rows keep the schema of every prepared corpus.
    """
    counts = [pq.read_table(path, columns=[name])[name] for name in names]
    if all(cells.null_count == len(cells) for cells in counts):
        return None
    schema = pq.read_schema(path)
    table = pq.read_table(path, columns=[name for name in schema.names if name not in names])
    for name in names:
        table = table.append_column(schema.field(name), pa.nulls(len(table), schema.field(name).type))
    sink = io.BytesIO()
    pq.write_table(table.select(schema.names).replace_schema_metadata(schema.metadata), sink)
    return sink.getvalue()
