"""Predictions as CSV or JSON lines, written as they come; a second run goes on where the first was killed."""

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from hf_mer.training.files import write_json

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class PredictionFile:
    """A table of predictions.

    CSV has the columns `number` (of the input, from 1), `input`, of a table's row also `line`, `id` and `file`, of
    windows and segments `start` and `end` (seconds; empty in the row of a whole recording, which comes first),
    `label`, `score`, `score_<class>` for every class, of recognised words `text`, `warnings` (what was cut, silent or
    guessed; several are divided by ` | `), and of inputs that could not be used `error`.
    JSON lines have one object per input with the same names, `scores` and `timeline` as the pipeline gives them.

    Beside the file lies `<name>.settings.json`, by which a second run knows that it would give the same predictions.

    Args:
        path: `.csv` or `.jsonl`; None for standard output, which cannot be gone on with.
        kind: `csv` or `jsonl`; that of the path if not given.
        columns: Of CSV.
        settings: What the predictions depend on, ready for JSON.
    """

    def __init__(
        self, path: Path | None, columns: Sequence[str], settings: Mapping[str, Any], kind: str | None = None
    ):
        if path is not None and path.suffix.lower() not in FORMATS:
            raise ValueError(f"{path}: predictions end in {', '.join(FORMATS)}, not {path.suffix or 'nothing'!r}")
        self.path = path
        self.kind = kind or (FORMATS[path.suffix.lower()] if path is not None else "csv")
        self.columns, self.settings = list(columns), json.loads(json.dumps(settings))
        self.stream: TextIO = sys.stdout

    @property
    def _settings_path(self) -> Path:
        return Path(f"{self.path}.settings.json")

    def begin(self, inputs: Sequence[Sequence[Mapping[str, Any]]], overwrite: bool = False) -> int:
        """Opens the file.

        Args:
            inputs: What tells the items of every unit.
            overwrite: Start anew, whatever is there.

        Returns:
            The number of units whose predictions are there.

        Raises:
            ValueError: If the file holds predictions of something else, or was made with other settings.
        """
        done, kept = 0, b""
        if self.path is not None and self.path.exists() and not overwrite:
            self._check_settings()
            done, kept = self._what_is_there(inputs)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if done == 0:
                write_json(self._settings_path, self.settings)
            self.stream = self.path.open(
                "r+" if done else "w", encoding="utf-8", newline="", errors="backslashreplace"
            )
            self.stream.seek(len(kept))
            self.stream.truncate()
        if self.kind == "csv" and done == 0:
            self._write_csv([dict(zip(self.columns, self.columns, strict=True))])
        return done

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends what belongs to one unit or several, and lets it reach the disk."""
        if self.kind == "csv":
            self._write_csv([row for content in rows for row in csv_rows(content)])
        else:
            self.stream.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
        self.stream.flush()

    def close(self) -> None:
        """Closes the file."""
        if self.stream is not sys.stdout:
            self.stream.close()

    def _write_csv(self, rows: Sequence[Mapping[str, Any]]) -> None:
        text = io.StringIO()
        csv.DictWriter(text, self.columns, lineterminator="\n", extrasaction="ignore").writerows(rows)
        self.stream.write(text.getvalue())

    def _check_settings(self) -> None:
        try:
            before = json.loads(self._settings_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{self.path} is there, and no {self._settings_path.name} beside it tells how it was made; name "
                "another file, or --overwrite"
            ) from error
        differing = [name for name in {**self.settings, **before} if before.get(name) != self.settings.get(name)]
        if differing:
            told = ", ".join(f"{name} {before.get(name)!r} (now {self.settings.get(name)!r})" for name in differing)
            raise ValueError(f"{self.path} was made with {told}; name another file, or --overwrite")

    def _what_is_there(self, inputs: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[int, bytes]:
        """Number of whole units, and the bytes that hold them; what is half-written is done again."""
        content = self.path.read_bytes() if self.path is not None else b""
        ends = self._ends_of_items(content)
        if self.kind == "csv" and ends:
            ends.pop(max(ends))  # its windows may not all be there
        done, number, kept = 0, 0, b""
        for unit in inputs:
            if any(number + place not in ends for place in range(1, len(unit) + 1)):
                break
            for shown in unit:
                number += 1
                end, row = ends[number]
                if str(row.get("input")) != str(shown["input"]) or str(row.get("line") or "") != str(
                    shown.get("line") or ""
                ):
                    raise ValueError(
                        f"{self.path} has predictions of other inputs: number {number} is {row.get('input')}, and now "
                        f"{shown['input']}; name another file, or --overwrite"
                    )
            done, kept = done + 1, content[:end]
        return done, kept

    def _ends_of_items(self, content: bytes) -> dict[int, tuple[int, Mapping[str, Any]]]:
        """By the number of an item, the byte at which it ends and its first row; not what is cut off."""
        whole = content[: content.rfind(b"\n") + 1]
        ends: dict[int, tuple[int, Mapping[str, Any]]] = {}
        for end, row in _json_rows(whole) if self.kind == "jsonl" else _csv_rows(whole):
            number = int(row["number"])
            ends[number] = (end, ends[number][1] if number in ends else row)
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
            rows.append((ends[reader.line_num], dict(zip(header, cells, strict=True))))
    return rows
