"""What is to be recognised: files, folders of files, rows of tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from hf_mer.console import readable
from hf_mer.data.corpora.manifest_files import AUDIO_SUFFIXES, VIDEO_SUFFIXES, recordings_in
from hf_mer.data.corpora.text_tables import TABLE_SUFFIXES
from hf_mer.data.errors import CorpusError

MAX_HISTORY = 10  # earlier utterances that a checkpoint reads if it does not say


@dataclass
class Item:
    """One utterance.

    Attributes:
        row: What the pipeline takes.
        where: File, or table and line, for messages.
        shown: What tells it in the output: `input`, and of a table's row `line`, `id` and `file`,
            of a segment `start` and `end` (seconds).
        problem: What is wrong with it, known before anything is loaded.
    """

    row: dict[str, Any]
    where: str
    shown: dict[str, Any]
    problem: str | None = None


@dataclass
class Unit:
    """What is recognised together: one utterance, or the turns of a dialogue whose words are yet to be recognised."""

    items: list[Item]

    @property
    def input(self) -> dict[str, Any]:
        """What the pipeline takes."""
        return {"dialogue": [item.row for item in self.items]} if len(self.items) > 1 else self.items[0].row

    @property
    def problem(self) -> str | None:
        """What is wrong with one of its items."""
        return next((item.problem for item in self.items if item.problem), None)


def collect_units(
    sources: Sequence[str],
    columns: Mapping[str, str | None] | None = None,
    recognises_words: bool = False,
    encoding: str = "utf-8",
    max_history: int = MAX_HISTORY,
) -> list[Unit]:
    """Everything that files, folders and tables name, in order.

    Args:
        sources: Audio or video files; folders, all of whose such files count, at any depth; tables (CSV,
            TSV, JSON lines) with the columns of a manifest, `audio` or `video`, `text`, `history` or `dialogue` and
            `turn`.
        columns: Names of the schema to a table's column names, where they are not the usual ones.
        recognises_words: Whether a speech recogniser fills missing words in. Dialogues with missing words are then
            kept together, in the order of their turns, since what is heard is history of what follows.
        encoding: Of tables.
        max_history: Earlier utterances of an utterance of a table, the latest ones; that of the checkpoint.

    Raises:
        CorpusError: If a source is not there, a folder has no recordings, or a table cannot be read.
    """
    units: list[Unit] = []
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            units += [Unit([_of_file(file)]) for file in _recordings(path)]
        elif path.suffix.lower() in TABLE_SUFFIXES:
            units += _of_table(path, columns or {}, recognises_words, encoding, max_history)
        else:
            units.append(Unit([_of_file(path)]))
    return units


def item_numbers(units: Sequence[Unit]) -> list[range]:
    """The numbers of every unit's items in the output, which begin at 1."""
    last = list(accumulate((len(unit.items) for unit in units), initial=0))
    return [range(first + 1, end + 1) for first, end in pairwise(last)]


def is_single(sources: Sequence[str]) -> bool:
    """Whether the sources are one file that is no table."""
    return (
        len(sources) == 1 and not Path(sources[0]).is_dir() and Path(sources[0]).suffix.lower() not in TABLE_SUFFIXES
    )


def _of_file(path: Path) -> Item:
    name = readable(path)
    problem = None if path.is_file() else f"{name}: no such file or folder"
    return Item({"audio": str(path)}, name, {"input": name}, problem)


def _recordings(folder: Path) -> list[Path]:
    found = recordings_in(folder, "**/*")
    if not found:
        raise CorpusError(f"{folder}: no audio or video files ({', '.join(AUDIO_SUFFIXES + VIDEO_SUFFIXES)})")
    return found


def _of_table(
    path: Path, columns: Mapping[str, str | None], recognises_words: bool, encoding: str, max_history: int
) -> list[Unit]:
    from hf_mer.data.corpora.manifest import read_entry, resolve_columns
    from hf_mer.data.corpora.manifest_files import read_manifest
    from hf_mer.data.corpora.manifest_history import set_histories
    from hf_mer.data.corpora.manifest_segments import set_segments

    lines, folder = read_manifest(path, encoding)
    names = resolve_columns(lines, columns, str(path), labelled=False)
    problems: list[str] = []
    entries = [read_entry(line, names, None, folder.absolute(), problems) for line in lines]
    set_segments(entries, names, columns, str(path), problems)
    set_histories(entries, max_history, columns.get("history") is not None, problems)
    told = _by_line(problems)
    items = {id(entry): _of_entry(entry, names, str(path), told) for entry in entries}
    if problems := [problem for problem in told.values() if problem is not None and problem not in
                    {item.problem for item in items.values()}]:  # fmt: skip
        raise CorpusError.from_problems(str(path), problems)
    units = []
    for members in _dialogues(entries, recognises_words):
        own = [items[id(entry)] for entry in members]
        if len(members) > 1:
            for item in own:
                del item.row["history"]
        units.append(Unit(own))
    return units


def _by_line(problems: Sequence[str]) -> dict[str, str]:
    """The first problem of every line, by `file, line n`."""
    told: dict[str, str] = {}
    for problem in problems:
        told.setdefault(problem.partition(": ")[0], problem)
    return told


def _of_entry(entry: Mapping[str, Any], names: Mapping[str, str], table: str, told: Mapping[str, str]) -> Item:
    # a column that is not there at all is filled from the other one's video; an empty cell means without
    row = {name: entry[name] for name in ("audio", "video") if name in names}
    segment = {name: entry[name] for name in ("audio_start", "audio_end") if entry[name] is not None}
    row.update(segment)
    row.update(text=entry["text"], history=entry["history"] or None)
    problem = told.get(entry["where"])
    if problem is None and all(row.get(name) is None for name in ("audio", "video", "text")):
        problem = f"{entry['where']}: neither audio nor video nor text"
    video = entry["video"] and entry["video"]["path"]
    file = entry["audio"] or video
    shown = {"input": readable(table), "line": entry["line"], "id": entry["id"], "file": file and readable(file)}
    shown.update({name.removeprefix("audio_"): value for name, value in segment.items()})
    return Item(row, entry["where"], {name: value for name, value in shown.items() if name != "id" or "id" in names},
                problem)  # fmt: skip


def _dialogues(entries: Sequence[dict[str, Any]], recognises_words: bool) -> list[list[dict[str, Any]]]:
    """Entries one by one; those of a dialogue with missing words together, at the place of its first one."""
    waiting: dict[str, list[dict[str, Any]]] = {}
    if recognises_words:
        for entry in entries:
            if entry["dialogue"] is not None:
                waiting.setdefault(entry["dialogue"], []).append(entry)
    waiting = {name: sorted(members, key=lambda entry: entry["turn"] or 0) for name, members in waiting.items()
               if any(entry["text"] is None for entry in members)}  # fmt: skip
    groups = []
    for entry in entries:
        if entry["dialogue"] not in waiting:
            groups.append([entry])
        elif waiting[entry["dialogue"]]:
            groups.append(waiting[entry["dialogue"]])
            waiting[entry["dialogue"]] = []
    return groups
