"""Predictions as CSV or JSON lines, kept as they come; a second run goes on where the first was killed."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from hf_mer.files import csv_text, json_text, write_json, write_text
from hf_mer.locks import exclusive
from hf_mer.prediction.content import inputs_content
from hf_mer.prediction.sources import Unit

_ADVICE = "name another file, or --overwrite"
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
    and the inputs by their content. From `begin` to `close` the file is one run's alone.

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
        self._settings_path = Path(f"{path}.settings.json")
        self._rows_path = Path(f"{path}.rows.jsonl" if self.kind == "csv" else f"{path}")  # what a run goes on from
        self.stream: IO[str] = sys.stdout
        self._held = ExitStack()

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
        if self.path is None:
            if self.kind == "csv":
                self.stream.write(csv_text([self.columns]))
            return 0
        with ExitStack() as held:
            held.enter_context(exclusive(self.path))
            done = self._open(self.path, units, overwrite, held)
            self._held = held.pop_all()
        return done

    def _open(self, path: Path, units: Sequence[Unit], overwrite: bool, held: ExitStack) -> int:
        done, kept, content = 0, "", inputs_content(units)
        if not overwrite and any(one.exists() and one.stat().st_size for one in (path, self._rows_path)):
            before = self._check_settings(path)
            done, kept = self._what_is_there(path, units)
            self._check_inputs(before, content, units[:done])
        elif self.kind == "csv":
            path.unlink(missing_ok=True)
        write_text(self._rows_path, kept)
        # only now: what other settings made must not stand beside these
        write_json(self._settings_path, {**self.settings, "inputs": content})
        self.stream = held.enter_context(self._rows_path.open("a", encoding="utf-8", errors="backslashreplace"))
        return done

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends what belongs to one unit or several, and lets it reach the disk."""
        as_csv = self.path is None and self.kind == "csv"
        self.stream.write(self._csv(rows) if as_csv else "".join(f"{json_text(row)}\n" for row in rows))
        self.stream.flush()

    def close(self) -> None:
        """Writes the CSV file from the JSON lines, and lets others have it."""
        with self._held:
            if self.path is not None and self.kind == "csv":
                write_text(self.path, csv_text([self.columns]) + self._csv(map(json.loads, self._whole_lines())))

    def _csv(self, rows: Iterable[Mapping[str, Any]]) -> str:
        return csv_text([row.get(name) for name in self.columns] for content in rows for row in csv_rows(content))

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

    def _what_is_there(self, path: Path, units: Sequence[Unit]) -> tuple[int, str]:
        """Number of whole units, and the lines that hold them; what is half-written is done again."""
        if not self._rows_path.exists():
            raise ValueError(
                f"{path} has no {self._rows_path.name} beside it to go on from (older versions wrote none); {_ADVICE}"
            )
        lines = self._whole_lines()
        try:
            inputs = {int(row["number"]): str(row["input"]) for row in map(json.loads, lines)}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self._rows_path} is damaged, or no predictions ({error}); {_ADVICE}") from error
        done, number = 0, 0
        for unit in units:
            if number + len(unit.items) > len(lines):
                break
            for item in unit.items:
                number += 1
                if inputs.get(number) != str(item.shown["input"]):
                    raise ValueError(
                        f"{path} has predictions of other inputs: number {number} is {inputs.get(number)}, and now "
                        f"{item.shown['input']}; {_ADVICE}"
                    )
            done += 1
        return done, "".join(f"{line}\n" for line in lines[:number])

    def _whole_lines(self) -> list[str]:
        """The JSON lines, without one that is cut off."""
        # not splitlines(), which also breaks at characters that JSON allows within a string
        return self._rows_path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


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
