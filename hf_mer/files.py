"""Files that are whole or not there at all, JSON and CSV as every program takes them, Markdown tables and figures.

What killed processes left of a file is removed; no number that JSON lacks is written, and no cell that a spreadsheet
would run.
"""

import csv
import io
import json
import math
import os
import re
import shutil
import socket
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

_MARK = ".unfinished"
_ATTEMPT = r"(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-(?P<token>[0-9a-f]{8})(?P<old>\.old)?" + re.escape(_MARK)
_mine: set[str] = set()  # tokens of what this process is writing
# an apostrophe before what could be one keeps the way back clear; numbers with a sign are left alone
_FIRST = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"  # the last four in full width
_FORMULA = re.compile(rf"(?![-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?\Z)'*[{_FIRST}]")
_ESCAPED = re.compile(rf"'+[{_FIRST}]")

OUR_MARKS = (b"hf_mer figure", b"<!-- Written from ")  # in what people may have files of their own of the same name
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": "hf_mer figure"},
    ".pdf": {"Creator": "hf_mer figure", "CreationDate": None},
    ".svg": {"Creator": "hf_mer figure"},
}


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name for a file or folder, which takes its own at the end of the block and replaces an older one.

    If the block fails, nothing is left and an older one stays. What killed processes of this machine left of the
    same file is removed first; if one was killed while the new took the older one's place, the older is back.

    Args:
        path: Final name. The temporary one is in the same folder and has the same suffix.

    Raises:
        IsADirectoryError: If a file was written where a folder is.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _tidy(target)
    token = uuid.uuid4().hex[:8]
    name = f".{target.stem}.{_machine()}-{os.getpid()}-{token}"
    temporary, old = (target.with_name(f"{name}{kind}{_MARK}{target.suffix}") for kind in ("", ".old"))
    _mine.add(token)
    try:
        yield temporary
        if target.is_dir():
            if not temporary.is_dir():
                raise IsADirectoryError(f"{target} is a folder; name a file")
            os.replace(target, old)
        os.replace(temporary, target)
        _remove(old)
    except BaseException:
        _remove(temporary)
        raise
    finally:
        _mine.discard(token)


def write_atomically(path: str | os.PathLike, write: Callable[[Path], Any]) -> Path:
    """Lets `write` make a file or folder under a temporary name, as `whole` gives it.

    Args:
        path: Final name.
        write: Gets the temporary path, in the same folder and with the same suffix.
    """
    with whole(path) as temporary:
        write(temporary)
    return Path(path)


def write_json(path: str | os.PathLike, content: Any) -> Path:
    """Writes JSON, whole or not at all."""
    return write_text(path, json_text(content, indent=2) + "\n")


def write_csv(path: str | os.PathLike, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes CSV for people, whole or not at all, see `csv_text`; `read_csv` reads what was given."""
    return write_text(path, csv_text([columns, *rows]))


def write_text(path: str | os.PathLike, text: str) -> Path:
    r"""Writes UTF-8, whole or not at all; what is no character, of a file's name, as JSON writes it (`\udce9`)."""
    content = text.encode("utf-8", "backslashreplace")
    return write_atomically(path, lambda temporary: temporary.write_bytes(content))


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


def markdown_table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A table of Markdown, without a line break at its end.

    Args:
        header: Titles of the columns.
        rows: Cells, as many as titles; each becomes text on one line, and `|` in it ends no cell. None is left empty.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_markdown_cell, line))} |" for line in lines)


def plain_cell(cell: str) -> str:
    """What `csv_text` was given as a cell."""
    return cell[1:] if _ESCAPED.match(cell) else cell


def read_csv(path: Path) -> list[list[str]]:
    """The cells of a file of `csv_text`, the header first."""
    with path.open(newline="", encoding="utf-8") as lines:
        return [[plain_cell(cell) for cell in cells] for cells in csv.reader(lines)]


def save_figure(figure: Any, path: str | os.PathLike, dpi: int = 150) -> Path:
    """Saves a figure of matplotlib, whole or not at all; the format is the suffix'.

    The same figure gives the same file: a PDF does not say when it was made. PNG, PDF and SVG carry a mark by which
    `check_replaceable` knows them again.
    """
    metadata = _METADATA.get(Path(path).suffix.lower())
    return write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=dpi, metadata=metadata))


def check_replaceable(paths: Iterable[str | os.PathLike], overwrite: bool = False) -> None:
    """Refuses to replace files that this package did not write; to be called before any work.

    Figures and cards carry a mark, and numbers (CSV) lie beside a figure of the same name. Empty files hold nothing
    that could be lost.

    Args:
        paths: Files that are going to be written.
        overwrite: Whether the user asked for it: nothing is refused.

    Raises:
        FileExistsError: If there are such files; the message names them.
    """
    foreign = [os.fspath(path) for path in map(Path, paths) if not overwrite and path.is_file() and not _is_ours(path)]
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise FileExistsError(
            f"{', '.join(foreign[:3])}{more}: not written by this command, and not overwritten; choose another name, "
            "or give --overwrite"
        )


def _is_ours(path: Path) -> bool:
    if path.suffix == ".csv":
        beside = [path.with_suffix(suffix) for suffix in _METADATA]
        return path.stat().st_size == 0 or any(one.is_file() and _is_ours(one) for one in beside)
    content = path.read_bytes()
    return not content or any(mark in content for mark in OUR_MARKS)


@dataclass
class Drawn:
    """A figure and the numbers behind it.

    Attributes:
        name: Of its files, without suffix.
        figure: The figure.
        columns: Names of the numbers' columns.
        rows: The numbers.
    """

    name: str
    figure: Any
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]] = field(repr=False)

    def save(self, folder: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
        """Writes it for the screen (PNG) and for print (PDF), and its numbers (CSV); gives the paths."""
        paths = [save_figure(self.figure, folder / f"{self.name}.{suffix}") for suffix in formats]
        return [*paths, write_csv(folder / f"{self.name}.csv", self.columns, self.rows)]


def file_name(text: str) -> str:
    """Text as part of a file's name."""
    return "".join(character if character.isalnum() else "_" for character in text)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Removes what killed processes began to write in a folder that nobody else writes in, and never named."""
    for path in Path(folder).glob(f".*{_MARK}*"):
        _remove(path)


def _tidy(target: Path) -> None:
    """Removes, or puts back, what dead processes left of a target; what another machine's left may yet be written."""
    pattern = re.compile(rf"\.{re.escape(target.stem)}\.{_ATTEMPT}{re.escape(target.suffix)}")
    for path in list(target.parent.glob(f".*{_MARK}{target.suffix}")):
        found = pattern.fullmatch(path.name)
        if found is None or found["machine"] != _machine() or _lives(int(found["process"]), found["token"]):
            continue
        if found["old"] and not target.exists():
            os.replace(path, target)
        else:
            _remove(path)


def _lives(process: int, token: str) -> bool:
    if process == os.getpid():  # also that of every earlier container, where this one is its first process
        return token in _mine
    return psutil.pid_exists(process)


def _machine() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    return None if value != value else value  # only NaN differs from itself


def _markdown_cell(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split()).replace("|", "\\|")


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
