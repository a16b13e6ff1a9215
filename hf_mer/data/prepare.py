"""A loaded corpus as a folder that plain `datasets.load_dataset(folder)` reads."""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from datasets import Dataset, Features
from datasets.info import DatasetInfo, DatasetInfosDict
from datasets.table import embed_table_storage
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from hf_mer.data.schema import SAMPLING_RATE, CorpusError, column
from hf_mer.files import json_text, markdown_table, whole
from hf_mer.version import __version__

ABOUT = "corpus.json"
"""What a prepared folder is of, for those who hand it on."""

_WRITTEN = {"README.md", ABOUT, "data"}
_NOT_EMPTY = "{} is not empty; pass overwrite=True to replace it"


def prepare(
    rows: Dataset | Mapping[str, Dataset],
    out_dir: str | os.PathLike,
    embed_audio: bool = False,
    overwrite: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Writes rows as Parquet with a dataset card, so that classes and column types survive.

    Audio and video stay where they are: rows keep absolute paths, and the folder is of use on this machine only.
    Embed audio where the corpus's licence lets you copy it (IEMOCAP's does not let you hand it on); of a video that
    is the whole file, while `video` always keeps its path. Of a row that is a segment of a recording only the
    segment is embedded; a row that refers to its file keeps `audio_start` and `audio_end`. The folder appears whole
    or not at all.

    Args:
        rows: A dataset (becomes the split `train`) or one per split, such as a fold.
        out_dir: Folder to write; must not hold anything yet but what the same call wrote.
        embed_audio: Whether the recordings go into the Parquet files.
        overwrite: Replace a folder that this function wrote before. Anything else is never replaced.
        about: What the rows are of, ready for JSON: `corpus` (`iemocap`, `meld`, `manifest`), `task`, `generated`
            (version and settings of a generated corpus), `command`. Without paths of this machine: it is handed on.

    Returns:
        The folder.

    Raises:
        CorpusError: If there is nothing to write, or a recording to embed is missing.
        FileExistsError: If the folder holds something that must not be replaced.
    """
    splits = {"train": rows} if isinstance(rows, Dataset) else dict(rows)
    if not splits or any(len(part) == 0 for part in splits.values()):
        empty = ", ".join(name for name, part in splits.items() if len(part) == 0) or "no splits"
        raise CorpusError(f"nothing to write: {empty} without rows")
    target = Path(out_dir).expanduser().absolute()
    described = {"hf_mer": __version__, **(about or {})}
    older = _older(target, overwrite)
    if older is not None and json.loads((target / ABOUT).read_text(encoding="utf-8")) != described:
        raise FileExistsError(_NOT_EMPTY.format(target))  # before any work
    with whole(target) as folder:
        (folder / "data").mkdir(parents=True)
        files = {}
        for name, part in splits.items():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                embedded = _embed(part, Path(work)) if embed_audio else part
                files[name] = _write_parquet(embedded, folder / "data", name)
        (folder / "README.md").write_text(_card(splits, files, embed_audio), encoding="utf-8")
        (folder / ABOUT).write_text(f"{json_text(described, indent=1)}\n", encoding="utf-8")
        if older is not None and older != set(files.values()):  # names tell the content
            raise FileExistsError(_NOT_EMPTY.format(target))
    return target


def _older(target: Path, overwrite: bool) -> set[str] | None:
    """The data files of a prepared corpus that only the same one may replace; None if anything may."""
    if not target.exists():
        return None
    if not target.is_dir():
        raise FileExistsError(f"{target} is a file")
    there = {entry.name for entry in target.iterdir()}
    if not there:
        return None
    foreign = sorted(there - _WRITTEN)
    if foreign or "README.md" not in there:
        raise FileExistsError(
            f"{target} is not a prepared corpus (it contains {', '.join(foreign or sorted(there))}); "
            "name another folder"
        )
    if overwrite:
        return None
    if there != _WRITTEN:
        raise FileExistsError(_NOT_EMPTY.format(target))
    return {entry.name for entry in (target / "data").iterdir()}


def _write_parquet(rows: Dataset, folder: Path, split: str) -> str:
    """Writes one split and gives the file's name.

    The name carries a hash of the content: `load_dataset` caches a folder by what its card says, and would give old
    rows for a folder that was written anew.
    """
    path = folder / f"{split}.parquet"
    rows.to_parquet(path)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    name = f"{split}-{digest.hexdigest()[:16]}.parquet"
    os.replace(path, folder / name)
    return name


def _embed(rows: Dataset, work: Path) -> Dataset:
    """The rows with what is in their files now, kept in `work`: the cache of `datasets` knows files by name alone."""
    missing = [
        f"row {row_id}: no audio file {audio['path']}"
        for row_id, audio in zip(rows["id"], rows["audio"], strict=True)
        if audio is not None and audio["bytes"] is None and not os.path.isfile(audio["path"])
    ]
    if missing:
        raise CorpusError.from_problems("embedding audio", missing)
    rows = rows.map(_cut_segment, features=rows.features, cache_file_name=str(work / "cut.arrow"))
    embed: Any = {"batched": True, "batch_size": 100, "cache_file_name": str(work / "embedded.arrow")}
    return rows.with_format("arrow").map(embed_table_storage, **embed).with_format(None)


def _cut_segment(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose audio is a segment of a file, with the segment as a file of its own, with one channel.

    FLAC of 24 bits, or WAV of floats for what lies beyond full scale, which FLAC would clip.
    """
    from hf_mer.models.audio_mer import load_audio, probe_audio
    from hf_mer.models.segments_mer import SEGMENT, audio_of

    if row["audio"] is None or all(row.get(name) is None for name in SEGMENT):
        return row
    content, path = row["audio"]["bytes"], row["audio"]["path"]
    rate = SAMPLING_RATE if content is not None else probe_audio(path).sampling_rate
    if rate > 655_350 or (rate > 65_535 and rate % 10):  # which the header of FLAC has no room for
        rate = SAMPLING_RATE
    sink, samples = io.BytesIO(), load_audio(audio_of(row), rate)
    beyond = np.abs(samples).max() > 1
    form, subtype = ("WAV", "FLOAT") if beyond else ("FLAC", "PCM_24")
    soundfile.write(sink, samples, rate, format=form, subtype=subtype)
    name = "".join(character if character.isalnum() or character in "._-" else "_" for character in row["id"])
    return {**row, "audio": {"bytes": sink.getvalue(), "path": f"{name}.{form.lower()}"}, **dict.fromkeys(SEGMENT)}


def loading_metadata(features: Features, files: Mapping[str, str], **further: Any) -> DatasetCardData:
    """The head of a dataset card that `load_dataset` reads.

    Args:
        features: Of all splits.
        files: File in `data` by split.
        **further: Fields of `DatasetCardData`.
    """
    settings = {"task_categories": ["audio-classification"], "tags": ["emotion-recognition"], **further}
    data = DatasetCardData(**settings)
    DatasetInfosDict({"default": DatasetInfo(features=features)}).to_dataset_card_data(data)
    data_files = [{"split": split, "path": f"data/{name}"} for split, name in files.items()]
    MetadataConfigs({"default": {"data_files": data_files}}).to_dataset_card_data(data)
    return data


def _card(splits: Mapping[str, Dataset], files: Mapping[str, str], embedded: bool) -> str:
    """A short card: what `load_dataset` needs, and a table of the classes for people. The Hub's is written later."""
    from hf_mer.models.segments_mer import SEGMENT

    features = next(iter(splits.values())).features
    data = loading_metadata(features, files)
    names = features["label"].names
    rows = []
    for name, part in splits.items():
        labels = column(part, "label")
        rows.append([name, len(part), *(labels.count(i) for i in range(len(names)))])
    where = (
        "The recordings are embedded: share this folder only if the corpus's licence allows it."
        if embedded
        else "The recordings are referenced by absolute path and not part of this folder."
    )
    if not embedded and any(
        border is not None for part in splits.values() for name in SEGMENT if name in part.column_names
        for border in column(part, name)
    ):  # fmt: skip
        where += (
            " Rows with `audio_start` or `audio_end` (seconds) are that segment of their file, not the whole file."
        )
    if any(video is not None for part in splits.values() for video in column(part, "video")):
        where += " Videos are referenced by absolute path and not part of this folder."
    table = markdown_table(["split", "rows", *names], rows)
    return f"---\n{data}\n---\n\n# Prepared corpus\n\n{where}\n\n{table}\n"
