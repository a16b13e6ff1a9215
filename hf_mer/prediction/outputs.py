"""Predictions as CSV or JSON lines, kept as they come; a second run goes on where the first was killed."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from hf_mer.files import csv_text, json_text, whole, write_json
from hf_mer.locks import exclusive
from hf_mer.prediction.content import inputs_content
from hf_mer.prediction.lines import OtherInputError, Place, find_rows, read_rows, write_in_order
from hf_mer.prediction.sources import Unit, item_numbers

_ADVICE = "name another file, or give --overwrite"
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class PredictionFile:
    """A table of predictions.

    CSV has the columns `number` (of the input, from 1), `input`, of a table's row also `line`, `id` and `file`, of
    windows and segments `start` and `end` (seconds; empty in the row of a whole recording, which comes first),
    `label`, `score`, `score_<class>` for every class, of explanations `explained` (the class) and `value_<modality>`
    (natural logarithm of the factor by which it changes the probability of that class), of recognised words `text`,
    `warnings` (what was cut, silent or guessed; several are divided by ` | `), and of inputs that could not be used
    `error`.
    Cells that a spreadsheet would run (`=...`, in file names, words and labels) have an apostrophe before them.
    JSON lines have one object per input with the same names, `scores` and `timeline` as the pipeline gives them.

    While a run lasts, JSON lines are appended to `<name>.rows.jsonl` beside a CSV file, which is written from them
    when the run ends, fails or is interrupted; a run that was killed goes on from them. A file of JSON lines is
    appended to itself. By `<name>.settings.json` a second run knows that it would give the same predictions: settings,
    and the inputs by their content. What several processes left in `<name>.parts`, see `SharedPredictions`, is taken
    over by the next run, of however many. From `begin` to `close` the file is one run's alone.

    Args:
        path: `.csv` or `.jsonl`; None for standard output, which cannot be gone on with.
        kind: `csv` or `jsonl`; that of the path if not given.
        columns: Of CSV.
        settings: What the predictions depend on, ready for JSON, the checkpoint by its content.

    Attributes:
        parts: Folder in which several processes write.
        failed: How many of the inputs that are in the file could not be used.
        new: How many units this run has to recognise.
    """

    def __init__(
        self, path: Path | None, columns: Sequence[str], settings: Mapping[str, Any], kind: str | None = None
    ):
        if path is not None and path.suffix.lower() not in FORMATS:
            raise ValueError(f"{path}: predictions end in {', '.join(FORMATS)}, not {path.suffix or 'nothing'!r}")
        self.path = path
        self.kind = kind or (FORMATS[path.suffix.lower()] if path is not None else "csv")
        self.columns, self.settings = list(columns), json.loads(json.dumps(settings))
        self._settings_path = Path(f"{path}.settings.json")
        self._rows_path = Path(f"{path}.rows.jsonl" if self.kind == "csv" else f"{path}")  # what a run goes on from
        self.parts = Path(f"{path}.parts")
        self.stream: IO[str] = sys.stdout
        self.failed = self.new = 0
        self._is_in_order = True
        self._held = ExitStack()

    def begin(self, units: Sequence[Unit], overwrite: bool = False) -> list[int]:
        """Opens the file.

        Args:
            units: What is to be recognised.
            overwrite: Start anew, whatever is there.

        Returns:
            Positions of the units whose predictions are not there yet.

        Raises:
            BusyError: If another run is writing the file.
            ValueError: If the file holds predictions of something else, or was made with other settings.
        """
        if self.path is None:
            if self.kind == "csv":
                self.stream.write(csv_text([self.columns]))
            self.new = len(units)
            return list(range(len(units)))
        with ExitStack() as held:
            held.enter_context(exclusive(self.path))
            waiting = self._open(self.path, units, overwrite, held)
            self._held = held.pop_all()
        self.new = len(waiting)
        return waiting

    def _open(self, path: Path, units: Sequence[Unit], overwrite: bool, held: ExitStack) -> list[int]:
        content, places = inputs_content(units), dict[int, Place]()
        parts = self._idle_parts()
        if not overwrite and any(one.exists() and one.stat().st_size for one in (path, self._rows_path, *parts)):
            before = self._check_settings(path)
            places = self._what_is_there(path, parts, units)
            done = _done(units, places)
            self._check_inputs(before, content.split(), units, done)
        else:
            done = []
            shutil.rmtree(self.parts, ignore_errors=True)
            if self.kind == "csv":
                path.unlink(missing_ok=True)
        write_in_order(self._rows_path, places)
        # only now: what other settings made must not stand beside these
        write_json(self._settings_path, {**self.settings, "inputs": content})
        shutil.rmtree(self.parts, ignore_errors=True)
        self.failed = sum(place.is_bad for place in places.values())
        self._is_in_order = done == list(range(len(done)))
        self.stream = held.enter_context(self._rows_path.open("a", encoding="utf-8", errors="backslashreplace"))
        return sorted(set(range(len(units))).difference(done))

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends what belongs to one unit or several, and lets it reach the disk."""
        self.failed += sum("error" in row for row in rows)
        as_csv = self.path is None and self.kind == "csv"
        self.stream.write(self._csv(rows) if as_csv else "".join(f"{json_text(row)}\n" for row in rows))
        self.stream.flush()

    def close(self) -> None:
        """Puts the rows in the order of the inputs, writes the CSV file from them, and lets others have it."""
        with self._held:
            if self.path is None:
                return
            if not self._is_in_order:  # what several processes had left was not the beginning
                self.stream.close()
                write_in_order(self._rows_path, find_rows([self._rows_path]))
            if self.kind == "csv":
                self._write_csv(self.path)

    def join(self, units: Sequence[Unit]) -> None:
        """Takes over the parts, whose processes have ended, if with them all is there.

        Raises:
            ValueError: If a unit's predictions are nowhere; what there is stays where it is.
        """
        parts = self._idle_parts()
        places = find_rows([self._rows_path, *parts])
        if lacking := len(units) - len(_done(units, places)):
            raise ValueError(
                f"{self.path}: {lacking} of {len(units)} inputs have no predictions, since a process ended early; "
                "run the same command again to continue"
            )
        self.failed = sum(place.is_bad for place in places.values())
        self.stream.close()
        write_in_order(self._rows_path, places)
        self._is_in_order = True
        shutil.rmtree(self.parts, ignore_errors=True)  # what stays says nothing new to the next run

    def release(self) -> None:
        """Lets others have the file, which is left as it is."""
        self._held.close()

    def _write_csv(self, path: Path) -> None:
        with whole(path) as temporary, temporary.open("wb") as file:
            file.write(csv_text([self.columns]).encode("utf-8", "backslashreplace"))
            for row in read_rows(self._rows_path):
                file.write(self._csv([row]).encode("utf-8", "backslashreplace"))

    def _idle_parts(self) -> list[Path]:
        """Files of rows that several processes left; if one of them is still at work, it is left alone."""
        parts = sorted(self.parts.glob("*.jsonl"))
        for part in parts:
            with exclusive(part):
                pass
        return parts

    def _csv(self, rows: Iterable[Mapping[str, Any]]) -> str:
        return csv_text([row.get(name) for name in self.columns] for content in rows for row in csv_rows(content))

    def _check_settings(self, path: Path) -> list[str]:
        """The inputs that the file was made of, by their content."""
        try:
            before = json.loads(self._settings_path.read_text(encoding="utf-8"))
            inputs = before.pop("inputs").split()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} exists, but no {self._settings_path.name} beside it says how it was made; {_ADVICE}"
            ) from error
        differing = [name for name in {**self.settings, **before} if before.get(name) != self.settings.get(name)]
        if differing:
            told = ", ".join(f"{name} {before.get(name)!r} (now {self.settings.get(name)!r})" for name in differing)
            raise ValueError(f"{path} was made with {told}; {_ADVICE}")
        return inputs

    def _check_inputs(
        self, before: Sequence[str], now: Sequence[str], units: Sequence[Unit], done: Sequence[int]
    ) -> None:
        for position in done:
            if before[position : position + 1] != now[position : position + 1]:
                raise ValueError(
                    f"{units[position].items[0].where}: the input or its recording has changed since "
                    f"{self.path} was written; {_ADVICE}"
                )

    def _what_is_there(self, path: Path, parts: Sequence[Path], units: Sequence[Unit]) -> dict[int, Place]:
        """Where the rows of whole units lie; what is half-written is done again."""
        if not self._rows_path.exists():
            raise ValueError(f"{path} has no {self._rows_path.name} beside it to continue from; {_ADVICE}")
        try:
            places = find_rows(
                [self._rows_path, *parts], [str(item.shown["input"]) for unit in units for item in unit.items]
            )
        except OtherInputError as error:
            raise ValueError(f"{path} has predictions of other inputs: {error}; {_ADVICE}") from error
        except ValueError as error:
            raise ValueError(f"{error}; {_ADVICE}") from error
        if "error" not in self.columns:  # they are no longer to be skipped
            places = {number: place for number, place in places.items() if not place.is_bad}
        numbers = item_numbers(units)
        return {number: places[number] for position in _done(units, places) for number in numbers[position]}


def _done(units: Sequence[Unit], places: Mapping[int, Place]) -> list[int]:
    """Positions of the units all of whose rows are there."""
    numbered = enumerate(item_numbers(units))
    return [position for position, numbers in numbered if all(number in places for number in numbers)]


def csv_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object of JSON lines as rows of CSV: the whole, then its windows."""
    nested = ("scores", "timeline", "warnings", "explanation")
    told = {name: value for name, value in content.items() if name not in nested}
    rows = [{**told, **_cells(content)}]
    for window in content.get("timeline") or []:
        own = {name: told.get(name) for name in ("number", "input", "line", "id", "file")}
        times = {name: round(window[name], 3) for name in ("start", "end")}
        rows.append({**own, **times, "label": window["label"], "text": window.get("text"), **_cells(window)})
    return rows


def _cells(content: Mapping[str, Any]) -> dict[str, Any]:
    scores = content.get("scores") or []
    cells = {f"score_{item['label']}": _digits(item["score"]) for item in scores}
    if content.get("warnings"):
        cells["warnings"] = " | ".join(content["warnings"])
    if content.get("explanation"):
        cells["explained"] = content["explanation"]["label"]
        cells |= {f"value_{name}": _digits(value) for name, value in content["explanation"]["modalities"].items()}
    return {**cells, **({"score": _digits(scores[0]["score"])} if scores else {})}


def _digits(score: float | None) -> str:
    """Six decimals; empty for what is no number, which JSON writes as null."""
    return "" if score is None else f"{score:.6f}"
