"""Tables of text (CSV, TSV, JSON lines) as rows that remember where they stand; no row is lost in another one."""

import csv
import io
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_mer.data.errors import CorpusError

logger = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_UTF_8 = ("utf-8", "utf8", "utf-8-sig")


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


@dataclass(frozen=True)
class _Record:
    """Cells, and the lines of the file that they are from."""

    cells: list[str]
    first: int
    last: int


def read_table(path: Path, encoding: str | None = "utf-8", problems: list[str] | None = None) -> list[Line]:
    """Reads a table.

    A quote that opens a cell and is never closed on its line is read as a character, with a warning that names the
    line, if that is the only way in which every row has a cell for every column.

    Args:
        path: CSV or TSV by its suffix, else JSON lines.
        encoding: Byte-order marks of UTF-8 and UTF-16 are heeded. None is UTF-8 where the caller lets nobody say
            another.
        problems: Of CSV and TSV, rows with too few or too many cells are added here and left out, so that they are
            reported beside what else is wrong; an error if not given.

    Raises:
        CorpusError: With every line that cannot be read, and what to do.
    """
    text = _decode(path, encoding)
    return _csv_table(text, path, problems) if path.suffix.lower() in (".csv", ".tsv") else _json_lines(text, path)


def _decode(path: Path, wanted: str | None) -> str:
    content, encoding = path.read_bytes(), wanted or "utf-8"
    if encoding.lower().replace("_", "-") in _UTF_8:
        encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except LookupError:
        raise CorpusError(
            f"{path}: encoding '{encoding}' is not known; use one such as utf-8, cp1252 or utf-16"
        ) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}, line {line}: not {error.encoding} at byte {error.start}; {_advice('cp1252', wanted)}"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CorpusError(f"{path}, line {line}: a NUL character; {_advice('utf-16-le', wanted)}")
    return text.removeprefix("\ufeff")


def _advice(perhaps: str, wanted: str | None) -> str:
    told = f", or give its encoding, such as --encoding {perhaps} (in Python encoding='{perhaps}')"
    return f"save it as UTF-8{told if wanted else ''}"


def _csv_table(text: str, path: Path, problems: list[str] | None) -> list[Line]:
    lines = list(io.StringIO(text, newline=""))
    skipped = 0
    delimiters: tuple[str, ...] = ("\t", ",", ";") if path.suffix.lower() == ".tsv" else (",", ";", "\t")
    if lines and (told := re.fullmatch(r"\"?sep=(.)\"?\s*", lines[0])):  # of spreadsheet programs
        skipped, delimiters = 1, (told[1],)
    while skipped < len(lines) and not lines[skipped].strip():
        skipped += 1
    if skipped == len(lines):
        return []
    counts = [lines[skipped].count(delimiter) for delimiter in delimiters]
    ranked = sorted(zip(delimiters, counts, strict=True), key=lambda pair: -pair[1])
    if path.suffix.lower() == ".tsv" and counts[0]:
        ranked = [("\t", counts[0])]
    failures: list[CorpusError] = []
    for delimiter, count in ranked:
        if count or not failures:
            try:
                found = _read_delimited(lines, skipped, delimiter, path, problems)
            except CorpusError as error:
                failures.append(error)
                continue
            if failures:
                logger.warning("%s: read with the delimiter %r, the only one that fits all rows", path, delimiter)
            return found
    raise failures[0]


def _read_delimited(
    lines: Sequence[str], skipped: int, delimiter: str, path: Path, problems: list[str] | None
) -> list[Line]:
    records, failure = _quoted(lines, skipped, delimiter)
    width = len(records[0].cells) if records else len(next(csv.reader(lines[skipped : skipped + 1],
                                                                      delimiter=delimiter)))  # fmt: skip
    bad = [record for record in records if len(record.cells) != width]
    swallowed = [record for record in records if _is_suspicious(record, lines, width, delimiter)]
    if failure is not None or bad or swallowed:
        alone = [_alone(text, number, width, delimiter) for number, text in enumerate(lines, start=1)
                 if number > skipped and text.strip()]  # fmt: skip
        whole = [record for record in alone if record is not None]
        if len(whole) == len(alone) and (failure is not None or bad or delimiter == "\t"):
            odd = [record.first for record in whole if any('"' in cell for cell in record.cells)]
            logger.warning("%s: quotes inside cells are read as characters, such as in line %d (%d lines with "
                           "quotes)", path, (odd or [skipped + 1])[0], len(odd))  # fmt: skip
            records = whole
        elif problems is not None and failure is None and not swallowed:
            problems += _widths(bad, width, path)
            records = [record for record in records if len(record.cells) == width]
        else:
            _refuse(path, failure, bad, swallowed, width, delimiter)
    joined = [record for record in records if width == 1 and record.first != record.last]
    if joined:
        one = joined[0]
        logger.warning("%s: quotes join lines, lines %d to %d are one row", path, one.first, one.last)
    return _named(records, path)


def _quoted(lines: Sequence[str], skipped: int, delimiter: str) -> tuple[list[_Record], tuple[int, str] | None]:
    """Records by the rules of CSV, and the line and words of what breaks them."""
    reader = csv.reader(lines[skipped:], delimiter=delimiter, strict=True)
    records: list[_Record] = []
    first = skipped + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append(_Record(cells, first, skipped + reader.line_num))
            first = skipped + reader.line_num + 1
    except csv.Error as error:
        return records, (first, str(error))
    return records, None


def _is_suspicious(record: _Record, lines: Sequence[str], width: int, delimiter: str) -> bool:
    """Whether the lines of a record could be rows of their own, so that a quote may have swallowed them."""
    if record.first == record.last or width == 1:
        return False
    own = [lines[number - 1].count(delimiter) + 1 == width for number in range(record.first, record.last + 1)]
    # a tab is hardly ever part of what is said
    return all(own) or (delimiter == "\t" and any(own[1:]))


def _alone(text: str, number: int, width: int, delimiter: str) -> _Record | None:
    """One line as a record: by the rules of CSV, else with its quotes as characters; None if cells are missing."""
    try:
        found = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        found = []
    if not found or len(found[0]) != width:
        found = [text.rstrip("\r\n").split(delimiter)]
    return _Record(found[0], number, number) if len(found[0]) == width else None


def _refuse(
    path: Path,
    failure: tuple[int, str] | None,
    bad: Sequence[_Record],
    swallowed: Sequence[_Record],
    width: int,
    delimiter: str,
) -> None:
    problems = [
        f"{path}, lines {one.first} to {one.last}: a quote joins them into one row, but each could be a row of its own"
        for one in swallowed
    ]
    problems += _widths([one for one in bad if one not in swallowed], width, path)
    if failure is not None:
        problems.append(f"{path}, line {failure[0]}: a quote is not closed where its cell ends ({failure[1]})")
    raise CorpusError.from_problems(
        str(path),
        problems,
        hint=f"Quote cells that contain {delimiter!r}, a quote or a line break, and double the quotes in them",
    )


def _widths(bad: Sequence[_Record], width: int, path: Path) -> list[str]:
    return [f"{path}, line {one.first}: {len(one.cells)} cells, but the header has {width} columns" for one in bad]


def _named(records: Sequence[_Record], path: Path) -> list[Line]:
    header = [name.strip() for name in records[0].cells]
    where = f"{path}, line {records[0].first}"
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise CorpusError(f"{where}: columns {twice} occur twice; rename or remove one of each")
    nameless = [place for place, name in enumerate(header, start=1) if not name]
    filled = [place for place in nameless if any(record.cells[place - 1].strip() for record in records[1:])]
    if filled:
        logger.info("%s: column %s has no name and is left out", where, ", ".join(map(str, filled)))
    return [
        Line(
            {name: cell for name, cell in zip(header, record.cells, strict=True) if name},
            f"{path}, line {record.first}",
            record.first,
        )
        for record in records[1:]
    ]


def _json_lines(text: str, path: Path) -> list[Line]:
    problems: list[str] = []
    found = list(_objects(text, path, problems))
    if problems:
        raise CorpusError.from_problems(str(path), problems, hint="write one object per line, every key once")
    return found


def _objects(text: str, path: Path, problems: list[str]) -> Iterator[Line]:
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        twice: list[str] = []

        def once(pairs: list[tuple[str, Any]], twice: list[str] = twice) -> dict[str, Any]:
            keys = [key for key, _ in pairs]
            twice += sorted({key for key in keys if keys.count(key) > 1})
            return dict(pairs)

        try:
            values = json.loads(line, object_pairs_hook=once)
        except json.JSONDecodeError as error:
            problems.append(f"{where}: not JSON ({error.msg}); write one object per line")
            continue
        if not isinstance(values, dict):
            problems.append(f"{where}: a JSON {type(values).__name__}; write one object per line")
        elif twice:
            problems.append(f"{where}: keys {twice} occur twice")
        else:
            yield Line(values, where, number)
