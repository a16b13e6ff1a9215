"""People's own corpora: a table (CSV, TSV, JSON lines) or a folder of recordings per label.

`load_corpus("corpus.csv")` finds the columns by their usual names; whatever is missing, ambiguous or wrong is said
with file and line, all at once.
"""

import logging
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_mer.console import readable
from hf_mer.data.corpora.manifest_files import read_manifest
from hf_mer.data.corpora.manifest_history import history_list, set_histories
from hf_mer.data.corpora.manifest_segments import set_segments
from hf_mer.data.corpora.manifest_video import existing_file, fill_from_film, read_video
from hf_mer.data.corpora.manifest_votes import flat_columns, read_votes, set_votes
from hf_mer.data.corpora.text_tables import Line
from hf_mer.data.schema import (
    COLUMNS,
    CorpusError,
    as_name,
    canonical_gender,
    canonical_label,
    label_ids,
    make_record,
    records_to_dataset,
)

logger = logging.getLogger(__name__)

# Usual names, without case, spaces and underscores. The name of the schema itself comes first and wins.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "uttid", "uid", "utteranceid", "segmentid"),
    "corpus": ("corpus", "database"),
    "audio": ("audio", "file", "filename", "filepath", "path", "wav", "wavpath", "wavfile", "audiopath", "audiofile"),
    "audio_start": ("audiostart", "offset"),
    "audio_end": ("audioend",),
    "video": ("video", "videopath", "videofile", "film"),
    "video_start": ("videostart",),
    "video_end": ("videoend",),
    "video_side": ("videoside",),
    "text": ("text", "transcript", "transcription", "sentence", "utterance"),
    "label": ("label", "emotion", "emotionlabel", "class"),
    "votes": (),  # a column of that name may be a mere number of votes: it is read where it is named
    "history": ("history", "context"),
    "speaker": ("speaker", "speakerid", "spk", "spkid", "actor"),
    "gender": ("gender", "sex", "speakergender"),
    "dialogue": ("dialogue", "dialogueid", "dialog", "dialogid", "conversation", "conversationid"),
    "turn": ("turn", "turnid", "turnindex"),
    "session": ("session", "sessionid"),
    "part": ("part",),
    "split": ("split", "subset", "partition"),
    "group": ("group", "fold"),
    "duration": ("duration", "seconds"),
    "start": ("start", "starttime"),
    "end": ("end", "endtime"),
    "valence": ("valence",),
    "arousal": ("arousal", "activation"),
    "dominance": ("dominance",),
}
_NAN = frozenset({"nan", "NaN", "NAN", "-nan", "<NA>", "NaT", "#N/A", "#NA"})
_NONE = frozenset({"None", "none", "null", "NULL", "NA", "N/A", "n/a"})
_PLAIN = ("corpus", "speaker", "session", "part", "group")
_SECONDS = ("duration", "start", "end", "audio_start", "audio_end", "video_start", "video_end")
_NUMBERS = ("valence", "arousal", "dominance")


def load_corpus(
    manifest: str | os.PathLike | Mapping[str, str | os.PathLike],
    *,
    columns: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    max_history: int = 10,
    audio_root: str | os.PathLike | None = None,
    unlabelled: str = "error",
    encoding: str = "utf-8",
) -> Dataset:
    """Loads a corpus that a manifest describes.

    Audio, video and text, or some of them, may be there; a single row may lack each. `id` is made from the file's name
    if there is no such column (else from dialogue and turn, else from the line). History comes from dialogue and turn
    (order of the file without turns), else from a column `history` (a list, or a JSON list), else it is empty.

    One video is enough for sound and picture: of `audio` and `video` the column that is not there at all is filled
    from the other one, where that is a video (`.mp4`, `.mkv`, ...). The picture costs nothing until a model asks for
    it; `columns={"video": None}` or `{"audio": None}` leaves one out. `video_start` and `video_end` (seconds or
    `00:01:02.5`) say which span of a long video belongs to a row, `video_side` which half of a split screen, `left` or
    `right`; where the video also gives the sound, it is the sound of that span.

    Rows may be segments of long recordings: `audio_start` and `audio_end` (seconds; or `offset`, with `duration` for
    its length) say which part of the file belongs to a row. `start` and `end` may be that too, or places in a
    dialogue, which never cut: if `columns` does not say which, they are segments where every row fits inside its
    file (a line in the log says so), and an error where not.

    Args:
        manifest: `.csv`, `.tsv`, `.jsonl` (`.ndjson`, `.json` with one object per line); or a folder `<label>/*.wav`
            (or `<split>/<label>/*.wav`), or a folder with `metadata.csv` (`.tsv`, `.jsonl`). Or one of these per
            official split, `{"train": ..., "validation": ..., "test": ...}`: then `split` is that name, and dialogues
            and made-up ids begin with it.
        columns: Names of the schema to the manifest's column names, `{"audio": "file", "label": "emotion", "group":
            "actor"}`; needed only where the name is not a usual one. The value None leaves a column out. Raters' votes
            are read where `votes` is named: a column of JSON objects (`{"angry": 2, "sad": 1}`), or one per class,
            `{"votes": {"angry": "n_angry", "sad": "n_sad"}}`; those for no class are left out.
        labels: Class names in the order of their ids; others are an error. Found labels in alphabetical order if not
            given. Case does not count.
        max_history: Longest history, in utterances.
        audio_root: What relative paths of audio and video are relative to; the manifest's folder if not given.
        unlabelled: What to do with rows without a label: `error`, or `history` (no row of the result, but part of the
            history of others).
        encoding: Of the manifest; a byte-order mark is fine.

    Returns:
        Rows of the schema; audio by absolute path.

    Raises:
        CorpusError: With every bad row (unknown or empty label, missing file, duplicated id, unreadable number or
            span), or what is wrong with the columns.
    """
    if unlabelled not in ("error", "history"):
        raise ValueError(f"unlabelled is {unlabelled!r}; it must be 'error' or 'history'")
    if max_history < 0:
        raise ValueError(f"max_history is {max_history}; it must be 0 (no history) or more")
    if labels is not None:
        label_ids(labels)
    sources = dict(manifest) if isinstance(manifest, Mapping) else {None: manifest}
    entries: list[dict[str, Any]] = []
    problems: list[str] = []
    for split, path in sources.items():
        lines, folder = read_manifest(Path(path), encoding)
        names = resolve_columns(lines, columns or {}, os.fspath(path))
        _log_markers(lines, names, os.fspath(path))
        root = Path(audio_root) if audio_root is not None else folder
        without = {name for name, given in (columns or {}).items() if given is None}
        table = [read_entry(line, names, split, root.absolute(), problems) for line in lines]
        set_segments(table, names, columns or {}, os.fspath(path), problems)
        for line, entry in zip(lines, table, strict=True):
            fill_from_film(entry, names, without, line.values.get(names.get("video", "")))
            if entry["audio"] is None and entry["video"] is None and entry["text"] is None:
                problems.append(f"{line.where}: neither audio nor video nor text")
            entries.append(entry)
    class_names = list(labels) if labels is not None else sorted({e["label"] for e in entries if e["label"]})
    _check_entries(entries, class_names, unlabelled, problems)
    set_histories(entries, max_history, (columns or {}).get("history") is not None, problems)
    _set_ids(entries, problems)
    title = ", ".join(os.fspath(path) for path in sources.values())
    set_votes(entries, class_names, title, problems)
    if problems:
        raise CorpusError.from_problems(title, problems)
    if len(class_names) == 1:
        logger.warning("%s: every label is %r; training needs two or more classes", title, class_names[0])
    ids = label_ids(class_names)
    records = (
        make_record(**{name: entry[name] for name in COLUMNS if name != "label"}, label=ids[entry["label"]])
        for entry in entries
        if entry["label"]
    )
    return records_to_dataset(records, class_names)


def resolve_columns(
    lines: Sequence[Line], columns: Mapping[str, Any], source: str, labelled: bool = True
) -> dict[str, str]:
    """Which column of a manifest holds which column of the schema.

    Args:
        lines: The manifest.
        columns: What the user says; it wins over the usual names.
        source: Name of the manifest, for messages.
        labelled: Whether there must be a label.

    Returns:
        Names of the schema to names in the manifest.

    Raises:
        CorpusError: If a given column does not exist, a name is ambiguous, there is no label, or neither audio nor
            video nor text.
    """
    present = list(dict.fromkeys(name for line in lines for name in line.values))
    listing = f"the columns are: {', '.join(present)}"
    unknown = sorted(set(columns) - set(ALIASES))
    if unknown:
        raise CorpusError(f"columns={unknown}: unknown names; valid are {', '.join(ALIASES)}")
    columns = flat_columns(columns)
    absent = [f"{name}={given!r}" for name, given in columns.items() if given is not None and given not in present]
    if absent:
        raise CorpusError(f"{source}: no column for {', '.join(absent)}; {listing}")
    resolved = {name: given for name, given in columns.items() if given is not None}
    free = [name for name in present if name not in resolved.values()]
    for name, aliases in ALIASES.items():
        if name in columns:
            continue
        found = [column for column in free if _plain(column) in aliases]
        exact = [column for column in found if _plain(column) == name]
        if len(found) > 1 and len(exact) != 1:
            raise CorpusError(
                f"{source}: {name!r} could be any of {', '.join(found)}; "
                f"pass columns={{{name!r}: {found[0]!r}}} or another"
            )
        if found:
            resolved[name] = (exact or found)[0]
    if labelled and "label" not in resolved:
        raise CorpusError(f"{source}: no column with the label; {listing}. Pass columns={{'label': '<its name>'}}")
    if not {"audio", "video", "text"} & set(resolved):
        raise CorpusError(
            f"{source}: neither audio nor video nor text; {listing}. "
            f"Pass columns={{'audio': '<its name>'}}, columns={{'text': '<its name>'}} or several"
        )
    return resolved


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-.]", "", name).lower()


def cell_of(line: Line, names: Mapping[str, str], name: str) -> Any:
    """The value of a cell; None if it is empty, not there, or says that there is none.

    Args:
        line: Of the manifest.
        names: Of `resolve_columns`.
        name: Of the schema.
    """
    if name not in names:  # nearly all of the schema's, in most tables
        return None
    from hf_mer.models.words_mer import is_missing, words_of  # here, since torch comes with it

    value = line.values.get(names[name])
    if isinstance(value, str):
        value = value.strip() if name in ("audio", "video") else words_of(value)
    if is_missing(value) or (isinstance(value, str) and value in _markers_of(name)):
        return None
    return value


def _markers_of(name: str) -> frozenset[str]:
    """What tables write where a cell is empty, but for what may be said, or be the name of a class."""
    return _NAN if name in ("text", "history", "label") else _NAN | _NONE


def _log_markers(lines: Sequence[Line], names: Mapping[str, str], source: str) -> None:
    """Says how many cells were read as empty because of what is written in them."""
    found: dict[str, int] = {}
    for name, column in names.items():
        cells = (line.values.get(column) for line in lines)
        count = sum(
            (isinstance(cell, str) and cell.strip() in _markers_of(name)) or (isinstance(cell, float) and cell != cell)
            for cell in cells
        )
        if count:
            found[column] = count
    if found:
        told = ", ".join(f"{count} of {column!r}" for column, count in found.items())
        logger.warning("%s: cells that say nan, null or the like are read as empty: %s", source, told)


def read_entry(
    line: Line, names: Mapping[str, str], split: str | None, root: Path, problems: list[str]
) -> dict[str, Any]:
    """One line as a dictionary of the schema's columns, still with the label's name, and where it stands."""
    cells = {name: cell_of(line, names, name) for name in ALIASES}
    entry: dict[str, Any] = {"where": line.where, "line": line.number, "audio_file": None}
    entry.update(
        {name: None if cells[name] is None else as_name(cells[name]) for name in (*_PLAIN, "id", "dialogue", "split")}
    )
    entry["gender"] = None if cells["gender"] is None else canonical_gender(cells["gender"])
    entry["text"] = None if cells["text"] is None else str(cells["text"])
    if split is not None:
        entry["split"] = split
        entry["dialogue"] = entry["dialogue"] and f"{split}/{entry['dialogue']}"
    entry["prefix"] = f"{split}/" if split is not None else ""
    entry["label"] = "" if cells["label"] is None else canonical_label(cells["label"])
    for name in (*_SECONDS, *_NUMBERS):
        entry[name] = _number(cells[name], name, line.where, problems)
    turn = _number(cells["turn"], "turn", line.where, problems)
    if turn is not None and not turn.is_integer():
        problems.append(f"{line.where}: turn {cells['turn']!r} is not a whole number")
    entry["turn"] = None if turn is None else int(turn)
    entry["history"] = history_list(cells["history"], line.where, problems)
    for said in (entry["text"] or "", *entry["history"]):
        if readable(said) != said:
            problems.append(f"{line.where}: '{readable(said)}' contains an invalid character (a lone surrogate)")
    votes = {name: cell_of(line, names, name) for name in names if name.startswith("votes")}
    entry["votes"] = read_votes(votes, names, line.where, problems)
    entry["audio"] = None
    if cells["audio"] is not None:
        entry["audio"] = existing_file(root, cells["audio"], "audio", line.where, problems)
        entry["audio_file"] = str(cells["audio"])
    entry["video"] = read_video(cells, entry, root, line.where, problems)
    return entry


def _number(value: Any, name: str, where: str, problems: list[str]) -> float | None:
    """A number; for times also `00:01:02.5`, `00:01:02,5` and pandas' `0 days 00:01:02.500000`."""
    if value is None:
        return None
    try:
        if isinstance(value, str) and ":" in value and name in _SECONDS:
            days, _, clock = value.rpartition(" days ") if " days " in value else value.rpartition(" day ")
            seconds = 0.0
            for field in clock.replace(",", ".").split(":"):
                seconds = 60 * seconds + float(field)
            return seconds + 86400 * float(days or 0)
        number = float(value)
    except (TypeError, ValueError):
        problems.append(f"{where}: {name} {value!r} is not a number")
        return None
    if not math.isfinite(number):
        problems.append(f"{where}: {name} {value!r} is not a finite number")
        return None
    return number


def _check_entries(
    entries: Iterable[dict[str, Any]], class_names: Sequence[str], unlabelled: str, problems: list[str]
) -> None:
    known = {canonical_label(name) for name in class_names}
    for entry in entries:
        if not entry["label"] and unlabelled == "error":
            problems.append(
                f"{entry['where']}: the label is empty (unlabelled='history' keeps such rows as history of others)"
            )
        elif entry["label"] and entry["label"] not in known:
            problems.append(f"{entry['where']}: label {entry['label']!r} is not one of {', '.join(class_names)}")
    if not known:
        problems.append("no row has a label")


def _set_ids(entries: Sequence[dict[str, Any]], problems: list[str]) -> None:
    """Fills the ids that are not given and reports the ones that occur twice."""
    files = {entry["audio_file"] for entry in entries if entry["audio_file"]}
    unique_stems = len({Path(file).stem for file in files}) == len(files)
    first: dict[str, str] = {}
    for entry in entries:
        hint = "; give the rows an `id` column"
        if entry["id"] is None:
            entry["id"] = entry["prefix"] + _made_up_id(entry, unique_stems)
        else:
            hint = "; columns={'id': None} generates ids"
        if entry["id"] in first:
            problems.append(f"{entry['where']}: id {entry['id']!r} is already used in {first[entry['id']]}{hint}")
        first.setdefault(entry["id"], entry["where"])


def _made_up_id(entry: Mapping[str, Any], unique_stems: bool) -> str:
    if entry["audio_file"]:
        path = Path(entry["audio_file"])
        name = path.stem if unique_stems else path.with_suffix("").as_posix()
        start, end = entry["audio_start"], entry["audio_end"]
        return name if start is None and end is None else f"{name}_{_border(start, '0')}-{_border(end, 'end')}"
    if entry["dialogue"] is not None and entry["turn"] is not None:
        return f"{entry['dialogue'].removeprefix(entry['prefix'])}_{entry['turn']}"
    return f"line{entry['line']}"


def _border(seconds: float | None, missing: str) -> str:
    """A time as part of an id, to the microsecond."""
    return missing if seconds is None else f"{seconds:.6f}".rstrip("0").rstrip(".")
