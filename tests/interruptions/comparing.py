"""Whether two folders hold the same: the same files, and the same in them apart from times and places."""

import csv
import json
import re
from pathlib import Path
from typing import Any

# How long something took, how much memory, on what it was resumed: what two undisturbed runs differ in as well.
VOLATILE = {
    "minutes", "seconds", "seconds_when_made", "stages", "peak_memory_mib", "environment", "environments", "command",
    "host_mib", "gpu_mib", "mib", "train_runtime", "train_samples_per_second", "train_steps_per_second", "eval_runtime",
    "eval_samples_per_second", "eval_steps_per_second",
}  # fmt: skip
_CACHE = "cache"  # of datasets: the same files, whose content is not looked at
# of datasets: locks, files that its own `map` was writing, which the library never removes, and what `map` made, named after
# its function, which is another one in a process that was forked than in a command of its own
_NAMED_BY_CHANCE = re.compile(r"cache/.*\.lock$|cache/(?!hf_mer).*/(tmp\w+|cache-\w+\.arrow)$")


def differences(one: Path, two: Path) -> list[str]:
    """What is in one folder and not in the other, or differs; empty if all is the same."""
    files = [_files(folder) for folder in (one, two)]
    found = [f"missing: {name}" for name in sorted(files[0] - files[1])]
    found += [f"left over: {name}" for name in sorted(files[1] - files[0])]
    for name in sorted(files[0] & files[1]):
        if not name.startswith(f"{_CACHE}/") and _content(one, name) != _content(two, name):
            found.append(f"differs: {name}{_where(one / name, two / name)}")
    return found


def _files(folder: Path) -> set[str]:
    names = {
        str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or not any(path.iterdir())
    }
    return {name for name in names if not _NAMED_BY_CHANCE.match(name)}


def _content(folder: Path, name: str) -> Any:
    path = folder / name
    if path.is_dir():
        return None
    if path.suffix == ".json":
        return _lasting(json.loads(path.read_text(encoding="utf-8").replace(str(folder), "")))
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [_lasting(row) for row in csv.DictReader(file)]
    if path.suffix == ".md":
        return _without_measures(path.read_text(encoding="utf-8").replace(str(folder), ""))
    return path.read_bytes()


def _without_measures(text: str) -> list[list[str]]:
    """The cells of Markdown, less columns and sentences of minutes and memory, and of what was found again."""
    lines, dropped = [], set()
    for line in text.splitlines():
        cells = line.split(" | ")
        if len(cells) == 1:
            dropped = set()
        dropped |= {place for place, cell in enumerate(cells) if re.search("[Mm]inutes|[Mm]emory", cell)}
        if re.search(r"\d (min|s|MiB)\b", line):
            continue
        lines.append([cell for place, cell in enumerate(cells) if place not in dropped])
    return lines


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(item) for name, item in value.items() if name not in VOLATILE}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def _where(one: Path, two: Path) -> str:
    """The first place of a JSON file at which it differs."""
    if one.suffix != ".json":
        return ""
    pairs = [("", *(_lasting(json.loads(path.read_text(encoding="utf-8"))) for path in (one, two)))]
    while pairs:
        place, mine, theirs = pairs.pop(0)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            names = sorted(mine.keys() | theirs.keys())
            pairs = [(f"{place}.{name}", mine.get(name), theirs.get(name)) for name in names] + pairs
        elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
            pairs = [(f"{place}[{i}]", *pair) for i, pair in enumerate(zip(mine, theirs, strict=True))] + pairs
        elif mine != theirs:
            return f" ({place}: {str(mine)[:60]} became {str(theirs)[:60]})"
    return ""
