"""Reading manifests into lines that remember where they stand."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_mer.data.schema import CorpusError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aiff", ".aif")
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".wmv")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_SPLITS = {"train", "training", "validation", "valid", "val", "dev", "test"}


@dataclass(frozen=True)
class Line:
    """One row of a manifest.

    Attributes:
        values: Column names to cells.
        where: File and line, for messages.
        number: Line in the file, from 1.
    """

    values: dict[str, Any]
    where: str
    number: int


def read_manifest(path: Path, encoding: str = "utf-8") -> tuple[list[Line], Path]:
    """Reads a table or a folder of recordings.

    Returns:
        The lines, and the folder that relative audio paths are relative to.

    Raises:
        CorpusError: If there is no such file or folder, its kind is unknown, it cannot be decoded, or it has no rows.
    """
    path = path.expanduser()
    if path.is_dir():
        tables = [path / f"metadata{suffix}" for suffix in _TABLES if (path / f"metadata{suffix}").is_file()]
        if not tables:
            return _folder_lines(path), path
        path = tables[0]
    if not path.is_file():
        raise CorpusError(
            f"{path}: no such manifest; expected a file ({', '.join(_TABLES)}) or a folder of recordings"
        )
    suffix = path.suffix.lower()
    if suffix not in _TABLES:
        raise CorpusError(f"{path}: manifests end in {', '.join(_TABLES)}, not {path.suffix or 'nothing'!r}")
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    try:
        with path.open(encoding=encoding, newline="") as stream:
            lines = list(_csv_lines(stream, path) if suffix in (".csv", ".tsv") else _json_lines(stream, path))
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: not {error.encoding} at byte {error.start}; pass encoding='cp1252' or what it is in"
        ) from error
    if not lines:
        raise CorpusError(f"{path}: no rows")
    return lines, path.parent


def _csv_lines(stream: Any, path: Path) -> Iterator[Line]:
    header_text = stream.readline()
    stream.seek(0)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header_text.count)
    reader = csv.reader(stream, delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise CorpusError(f"{path}, line 1: columns {twice} occur twice")
    number = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            if len(cells) != len(header):
                raise CorpusError(
                    f"{path}, line {number}: {len(cells)} cells, but the header has {len(header)} columns; "
                    f"quote cells that hold {delimiter!r}"
                )
            yield Line(dict(zip(header, cells, strict=True)), f"{path}, line {number}", number)
        number = reader.line_num + 1


def _json_lines(stream: Any, path: Path) -> Iterator[Line]:
    for number, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise CorpusError(f"{path}, line {number}: not JSON ({error.msg}); write one object per line") from error
        if not isinstance(values, dict):
            raise CorpusError(f"{path}, line {number}: a JSON {type(values).__name__}; write one object per line")
        yield Line(values, f"{path}, line {number}", number)


def _folder_lines(folder: Path) -> list[Line]:
    """`<label>/*.wav`, or `<split>/<label>/*.wav` where every folder at the top is a split."""
    tops = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    by_split = bool(tops) and all(top.name.lower() in _SPLITS for top in tops)
    pattern = "*/*/*" if by_split else "*/*"
    files = sorted(
        file
        for file in folder.glob(pattern)
        if file.suffix.lower() in AUDIO_SUFFIXES + FILM_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if not files:
        raise CorpusError(
            f"{folder}: no metadata.csv (.tsv, .jsonl), and no recordings at <label>/*.wav or <split>/<label>/*.wav"
        )
    lines = []
    for number, file in enumerate(files, start=1):
        values = {"audio": file.relative_to(folder).as_posix(), "label": file.parent.name}
        if by_split:
            values["split"] = file.parent.parent.name
        lines.append(Line(values, str(file), number))
    return lines
