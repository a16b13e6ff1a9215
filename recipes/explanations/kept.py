"""What is measured of utterances, kept one by one: who stops a measurement goes on with it later."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hf_mer.files import json_text, write_json, write_text


class Kept:
    """Records of utterances, in a file of JSON lines.

    Args:
        path: Of the file; None keeps nothing.
        asked: What the records depend on; those of a file with other settings are not taken.
    """

    def __init__(self, path: Path | None = None, asked: Mapping[str, Any] | None = None):
        self.path, self.asked = path, dict(asked or {})

    def records(
        self, rows: Sequence[Mapping[str, Any]], measure: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """One record a row, measured now where there is none, in the order of the rows.

        Args:
            rows: With `id`.
            measure: Gives the record of a row, with its `id`.
        """
        found = self._there()
        for row in tqdm(rows, unit="utt"):
            if row["id"] not in found:
                found[row["id"]] = measure(row)
                if self.path is not None:
                    with self.path.open("a", encoding="utf-8") as stream:
                        stream.write(json_text(found[row["id"]]) + "\n")
        return [found[row["id"]] for row in rows]

    def _there(self) -> dict[str, dict[str, Any]]:
        """Records of an earlier run; a line that it could not finish is taken out of the file."""
        if self.path is None:
            return {}
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.is_file() else []
        lines = [line for line in lines if line.endswith("\n")]
        if not lines or json.loads(lines[0]) != self.asked:
            lines = [json_text(self.asked) + "\n"]
        write_text(self.path, "".join(lines))
        return {record["id"]: record for record in map(json.loads, lines[1:])}


def finished_or(path: Path, asked: dict[str, Any], measure: Callable[[Kept], dict[str, Any]]) -> dict[str, Any]:
    """A part out of its file; measured and written, if there is none or it was measured with other settings.

    Args:
        path: Of the part, JSON.
        asked: What it depends on, ready for JSON; `utterances`, their number, does not change their records, so that
            more or fewer of them begin with those that are there.
        measure: Measures it, and is given where records are kept.
    """
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["asked"] == asked:
            return found
        print(f"{path} was measured with {found['asked']}, and is now with {asked}")
    path.parent.mkdir(parents=True, exist_ok=True)
    depends = {name: value for name, value in asked.items() if name != "utterances"}
    found = {"asked": asked, **measure(Kept(path.with_suffix(".jsonl"), depends))}
    write_json(path, found)
    return found
