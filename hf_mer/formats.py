"""JSON and CSV as every program takes them: no number that JSON lacks, no cell that a spreadsheet would run."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# an apostrophe before what could be one keeps the way back clear; numbers with a sign are left alone
_FIRST = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"  # the last four in full width
_FORMULA = re.compile(rf"(?![-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?\Z)'*[{_FIRST}]")
_ESCAPED = re.compile(rf"'+[{_FIRST}]")


def json_text(content: Any, indent: int | None = None) -> str:
    """JSON in one or more lines; numbers that are not finite, which JSON does not have, become `null`."""
    return json.dumps(_without_nan(content), indent=indent, ensure_ascii=False, allow_nan=False)


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """CSV for spreadsheets: what they would run has an apostrophe before it, which `plain_cell` takes off.

    What is not known (None, NaN) is left empty. Formulas begin with `=`, `+`, `-`, `@`, a tab or a line break (OWASP,
    CSV Injection); numbers are none.
    """
    text = io.StringIO(newline="")
    # this line end makes the writer quote all cells with line breaks; the file itself has the plain one
    writer, lines = csv.writer(text, lineterminator="\r\n"), []
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        lines.append(f"{text.getvalue()[:-2]}\n")
        text.seek(0)
        text.truncate()
    return "".join(lines)


def plain_cell(cell: str) -> str:
    """What `csv_text` was given as a cell."""
    return cell[1:] if _ESCAPED.match(cell) else cell


def read_csv(path: Path) -> list[list[str]]:
    """The cells of a file of `csv_text`, the header first."""
    with path.open(newline="", encoding="utf-8") as lines:
        return [[plain_cell(cell) for cell in cells] for cells in csv.reader(lines)]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    return None if value != value else value  # only NaN differs from itself


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
