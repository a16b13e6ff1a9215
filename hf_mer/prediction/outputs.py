"""Predictions as CSV or JSON lines, written as they come; a second run goes on where the first was killed."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from hf_mer.files import csv_text, json_text, plain_cell, write_json
from hf_mer.locks import exclusive
from hf_mer.prediction.content import inputs_content
from hf_mer.prediction.sources import Unit

_ADVICE = "name another file, or --overwrite"
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class PredictionFile:
    """A table of predictions.

    CSV has the columns `number` (of the input, from 1), `input`, of a table's row also `line`, `id` and `file`, of
    windows and segments `start` and `end` (seconds; empty in the row of a whole recording, which comes first),
    `label`, `score`, `score_<class>` for every class, of recognised words `text`, `warnings` (what was cut, silent or
    guessed; several are divided by ` | `), and of inputs that could not be used `error`.
    Cells that a spreadsheet would run (`=...`, in file names, words and labels) have an apostrophe before them.
    JSON lines have one object per input with the same names, `scores` and `timeline` as the pipeline gives them.

    Beside the file lies `<name>.settings.json`, by which a second run knows that it would give the same predictions:
    settings, and the inputs by their content. From `begin` to `close` the file is one run's alone.

    Args:
        path: `.csv` or `.jsonl`; None for standard output, which cannot be gone on with.
        kind: `csv` or `jsonl`; that of the path if not given.
        columns: Of CSV.
        settings: What the predictions depend on, ready for JSON, the checkpoint by its content.
    """

    def __init__(
        self, path: Path | None, columns: Sequence[str], settings: Mapping[str, Any], kind: str | None = None
    ):
        if path is not None and path.suffix.lower() not in FORMATS:
            raise ValueError(f"{path}: predictions end in {', '.join(FORMATS)}, not {path.suffix or 'nothing'!r}")
        self.path = path
        self.kind = kind or (FORMATS[path.suffix.lower()] if path is not None else "csv")
        self.columns, self.settings = list(columns), json.loads(json.dumps(settings))
        self.stream: IO[str] = sys.stdout
        self._held = ExitStack()

    @property
    def _settings_path(self) -> Path:
        return Path(f"{self.path}.settings.json")

    def begin(self, units: Sequence[Unit], overwrite: bool = False) -> int:
        """Opens the file.

        Args:
            units: What is to be recognised.
            overwrite: Start anew, whatever is there.

        Returns:
            The number of units whose predictions are there.

        Raises:
            BusyError: If another run is writing the file.
            ValueError: If the file holds predictions of something else, or was made with other settings.
        """
        done = 0
        if self.path is not None:
            with ExitStack() as held:
                held.enter_context(exclusive(self.path))
                done = self._open(self.path, units, overwrite, held)
                self._held = held.pop_all()
        if self.kind == "csv" and done == 0:
            self._write_csv([dict(zip(self.columns, self.columns, strict=True))])
        return done

    def _open(self, path: Path, units: Sequence[Unit], overwrite: bool, held: ExitStack) -> int:
        done, kept, content = 0, b"", inputs_content(units)
        if path.exists() and path.stat().st_size and not overwrite:
            before = self._check_settings(path)
            done, kept = self._what_is_there(path, units)
            self._check_inputs(before, content, units[:done])
        mode = "r+" if done else "w"
        self.stream = held.enter_context(path.open(mode, encoding="utf-8", newline="", errors="backslashreplace"))
        self.stream.seek(len(kept))
        self.stream.truncate()
        # only now: what other settings made must not stand beside these
        write_json(self._settings_path, {**self.settings, "inputs": content})
        return done

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends what belongs to one unit or several, and lets it reach the disk."""
        if self.kind == "csv":
            self._write_csv([row for content in rows for row in csv_rows(content)])
        else:
            self.stream.write("".join(f"{json_text(row)}\n" for row in rows))
        self.stream.flush()

    def close(self) -> None:
        """Closes the file."""
        self._held.close()

    def _write_csv(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.stream.write(csv_text([row.get(name) for name in self.columns] for row in rows))

    def _check_settings(self, path: Path) -> list[str]:
        """The inputs that the file was made of, by their content."""
        try:
            before = json.loads(self._settings_path.read_text(encoding="utf-8"))
            inputs = before.pop("inputs").split()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} is there, and no {self._settings_path.name} beside it tells how it was made; {_ADVICE}"
            ) from error
        differing = [name for name in {**self.settings, **before} if before.get(name) != self.settings.get(name)]
        if differing:
            told = ", ".join(f"{name} {before.get(name)!r} (now {self.settings.get(name)!r})" for name in differing)
            raise ValueError(f"{path} was made with {told}; {_ADVICE}")
        return inputs

    def _check_inputs(self, before: Sequence[str], now: str, units: Sequence[Unit]) -> None:
        for unit, old, new in zip(units, before, now.split(), strict=False):
            if old != new:
                raise ValueError(
                    f"{unit.items[0].where}: the input or its recording is not what it was when {self.path} was "
                    f"written; {_ADVICE}"
                )

    def _what_is_there(self, path: Path, units: Sequence[Unit]) -> tuple[int, bytes]:
        """Number of whole units, and the bytes that hold them; what is half-written is done again."""
        content = path.read_bytes()
        ends = self._ends_of_items(content)
        if self.kind == "csv" and ends:
            ends.pop(max(ends))  # its windows may not all be there
        done, number, kept = 0, 0, b""
        for unit in units:
            if any(number + place not in ends for place in range(1, len(unit.items) + 1)):
                break
            for item in unit.items:
                number += 1
                end, row = ends[number]
                if str(row.get("input")) != str(item.shown["input"]):
                    raise ValueError(
                        f"{path} has predictions of other inputs: number {number} is {row.get('input')}, and now "
                        f"{item.shown['input']}; {_ADVICE}"
                    )
            done, kept = done + 1, content[:end]
        return done, kept

    def _ends_of_items(self, content: bytes) -> dict[int, tuple[int, Mapping[str, Any]]]:
        """By the number of an item, the byte at which it ends and its first row; not what is cut off."""
        whole = content[: content.rfind(b"\n") + 1]
        ends: dict[int, tuple[int, Mapping[str, Any]]] = {}
        try:
            for end, row in _json_rows(whole) if self.kind == "jsonl" else _csv_rows(whole):
                number = int(row["number"])
                ends[number] = (end, ends[number][1] if number in ends else row)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is damaged, or no table of predictions ({error}); {_ADVICE}") from error
        return ends


def csv_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object of JSON lines as rows of CSV: the whole, then its windows."""
    told = {name: value for name, value in content.items() if name not in ("scores", "timeline", "warnings")}
    rows = [{**told, **_cells(content)}]
    for window in content.get("timeline") or []:
        own = {name: told.get(name) for name in ("number", "input", "line", "id", "file")}
        times = {name: round(window[name], 3) for name in ("start", "end")}
        rows.append({**own, **times, "label": window["label"], "text": window.get("text"), **_cells(window)})
    return rows


def _cells(content: Mapping[str, Any]) -> dict[str, Any]:
    scores = content.get("scores") or []
    cells = {f"score_{item['label']}": f"{item['score']:.6f}" for item in scores}
    if content.get("warnings"):
        cells["warnings"] = " | ".join(content["warnings"])
    return {**cells, **({"score": f"{scores[0]['score']:.6f}"} if scores else {})}


def _json_rows(content: bytes) -> list[tuple[int, Mapping[str, Any]]]:
    rows, end = [], 0
    for line in content.splitlines(keepends=True):
        end += len(line)
        rows.append((end, json.loads(line)))
    return rows


def _csv_rows(content: bytes) -> list[tuple[int, Mapping[str, Any]]]:
    """Rows with the byte at which each ends; a cell may hold line breaks."""
    rows: list[tuple[int, Mapping[str, Any]]] = []
    lines = content.splitlines(keepends=True)
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    reader = csv.reader((line.decode("utf-8") for line in lines), strict=False)
    header: list[str] = next(reader, [])
    for cells in reader:
        if len(cells) == len(header):
            rows.append((ends[reader.line_num], dict(zip(header, map(plain_cell, cells), strict=True))))
    return rows
