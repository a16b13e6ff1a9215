"""What is known of a table: one JSON file with everything, CSV files for other programs, a Markdown page for people.

```python
write_report(runs, Path("runs/tables/le_mer/table1/generated"), command="accelerate launch recipes/reproduce.py ...")
Path("recipes/tables/README.md").write_text(summary([read_report(folder) for folder in folders]))
```

All scores are in %, like the published figures beside them. Nothing is in a report that was not measured: rows without
runs have no scores, and claims without common runs are not measured.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hf_mer.files import write_csv, write_json, write_text
from hf_mer.reproduction.markdown import page
from hf_mer.reproduction.statistics import claim_statistics, row_statistics, units_of
from hf_mer.reproduction.summary import summary
from hf_mer.reproduction.table import Run, TableRuns

__all__ = ["read_report", "report", "summary", "write_report"]

BOOTSTRAP_RESAMPLES = 1000


def report(runs: TableRuns, command: str, *, num_resamples: int = BOOTSTRAP_RESAMPLES) -> dict[str, Any]:
    """Everything that is known of a table, ready for JSON.

    Args:
        runs: The finished runs; any number may be missing.
        command: That made them.
        num_resamples: Of the bootstrap over utterances.

    Returns:
        `table`, `title`, `source`, `scores`; `setup`; `protocol` (its name, `units`, `seeds`, `folds`, `test_share`,
        see `statistics.Units`); `rows`, `published_only`, `claims`; `command`, `environments`.

    Raises:
        ValueError: If the predictions of two rows do not agree on the label of an utterance.
    """
    table, units = runs.table, units_of(runs)
    finished = [run for row in runs.rows for run in row.runs]
    return {
        "table": table.name,
        "title": table.title,
        "source": table.source,
        "scores": list(table.scores),
        "setup": asdict(table.setups[runs.setup]),
        "protocol": {
            "name": _protocol(finished),
            "units": units.kind,
            "seeds": units.seeds,
            "folds": units.folds,
            "test_share": units.test_share,
        },
        "rows": [row_statistics(row, table.scores, units) for row in runs.rows],
        "published_only": list(table.published_only),
        "claims": claim_statistics(runs, units, num_resamples),
        "command": command,
        "environments": _environments(finished),
    }


def write_report(
    runs: TableRuns, folder: str | os.PathLike, command: str, *, num_resamples: int = BOOTSTRAP_RESAMPLES
) -> None:
    """Writes `results.json`, `results.csv`, `runs.csv` and `results.md`, each whole or not at all.

    `results.csv` has one line for each row, score and statistic, `runs.csv` one for each row and run.

    Args:
        runs: The finished runs.
        folder: Where the files go; older ones are replaced.
        command: That made the runs.
        num_resamples: Of the bootstrap over utterances. Comparisons whose runs are the same as in an earlier call of
            this process are remembered, so that a report after every run is cheap.

    Raises:
        ValueError: As [`report`].
    """
    content, target = report(runs, command, num_resamples=num_resamples), Path(folder)
    write_json(target / "results.json", content)
    columns = ("table", "setup", "row", "title", "score", "statistic", "value")
    write_csv(target / "results.csv", columns, _rounded(_long(content)))
    write_csv(target / "runs.csv", _run_columns(content), _rounded(_runs(content)))
    text = page(content)
    write_text(target / "results.md", text)


def read_report(folder: str | os.PathLike) -> dict[str, Any]:
    """The report that was written into a folder."""
    content: dict[str, Any] = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))
    return content


def _protocol(runs: Sequence[Run]) -> str | None:
    """The protocols of the runs; rows of a table may have different ones."""
    found = {run.results.get("settings", {}).get("data", {}).get("protocol") for run in runs} - {None}
    return ", ".join(sorted(found)) or None


def _environments(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The different devices and versions of runs, and how many runs each made; the command is the table's."""
    found: dict[str, dict[str, Any]] = {}
    for run in {run.folder: run for run in runs}.values():
        environment = {key: value for key, value in run.results.get("environment", {}).items() if key != "command"}
        if environment:
            entry = found.setdefault(json.dumps(environment, sort_keys=True), {**environment, "runs": 0})
            entry["runs"] += 1
    return list(found.values())


def _long(content: dict[str, Any]) -> Iterable[list[Any]]:
    place = [content["table"], content["setup"]["name"]]
    for row in content["rows"]:
        for name in content["scores"]:
            for statistic, value in _statistics(row, name):
                if value is not None:
                    yield [*place, row["row"], row["title"], name, statistic, value]
    for system in content["published_only"]:
        for name in content["scores"]:
            if name in system:
                yield [*place, "", system["title"], name, "published", system[name]]


def _statistics(row: dict[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    if row["scores"]:
        score = row["scores"][name]
        yield "mean", score["mean"]
        for over, value in score["deviation"].items():
            yield f"deviation_over_{over}", value
        low, high = score["interval_95"] or (None, None)
        yield from (("interval_95_low", low), ("interval_95_high", high), ("units", score["units"]))
    yield from (("runs", row["finished"]), ("expected_runs", row["expected"]))
    yield "published", row["published"].get(name)


def _run_columns(content: dict[str, Any]) -> tuple[str, ...]:
    return (
        "row",
        "title",
        "seed",
        "fold",
        *content["scores"],
        "test_utterances",
        "minutes",
        "host_mib",
        "gpu_mib",
        "run",
    )


def _runs(content: dict[str, Any]) -> Iterable[list[Any]]:
    for row in content["rows"]:
        for run in row["runs"]:
            memory = run["peak_memory_mib"] or {}
            values = {**run, **run["scores"], "row": row["row"], "title": row["title"]}
            values |= {"host_mib": memory.get("host"), "gpu_mib": memory.get("gpu")}
            yield [values[name] for name in _run_columns(content)]


def _rounded(lines: Iterable[Sequence[Any]]) -> Iterable[list[Any]]:
    return ([round(cell, 4) if isinstance(cell, float) else cell for cell in line] for line in lines)
