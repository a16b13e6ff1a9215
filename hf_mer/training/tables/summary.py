"""One Markdown page over the reports of many tables."""

from collections.abc import Sequence
from typing import Any

from hf_mer.training.tables.markdown import difference, finished, markdown_table, signed, source
from hf_mer.training.tables.statistics import CONTRADICTED, HOLDS, NOT_MEASURED, VERDICTS

_MARKS = {HOLDS: "**holds**", CONTRADICTED: "**does not hold**"}


def summary(reports: Sequence[dict[str, Any]]) -> str:
    """One page over many tables: which claims hold, which do not, which are undecided or not measured.

    Args:
        reports: Of tables, as `report.report` gives them and `results.json` has them.
    """
    parts = [part for report in reports for claim in report["claims"] for part in claim["scores"].values()]
    told = _count([part["verdict"] for part in parts])
    runs = {run["run"]: run for report in reports for row in report["rows"] for run in row["runs"]}
    asked = sum(len(row["runs"]) for report in reports for row in report["rows"])
    minutes = sum(run["minutes"] or 0.0 for run in runs.values())
    lines = [
        "# What holds",
        f"{len(parts)} claims (one for each score) of {len(reports)} tables: {told}.",
        "Differences of runs with the same seed and fold, in points of %, with their 95 % interval. A claim holds if "
        "the interval lies above 0, and does not hold if it lies below. Claims with fewer runs than wanted are as "
        "they stand so far.",
        f"{asked} results come from {len(runs)} runs ({minutes:.0f} min), as equal systems are one run.",
    ]
    for report in reports:
        lines += [f"## {report['title']}", f"{source(report)}, set-up `{report['setup']['name']}`: {_state(report)}."]
        if report["claims"]:
            lines.append(_claims(report))
    return "\n\n".join(lines) + "\n"


def _count(verdicts: list[str]) -> str:
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts) or "none"


def _state(report: dict[str, Any]) -> str:
    minutes = sum(run["minutes"] or 0.0 for row in report["rows"] for run in row["runs"])
    return f"{finished(report)} runs, {minutes:.0f} min"


def _claims(report: dict[str, Any]) -> str:
    """A line for every claim, with two cells for each score: what was measured, and what is published."""
    scores = list(report["scores"])
    published = [name for name in scores if any(name in claim["published"] for claim in report["claims"])]
    rows = []
    for claim in report["claims"]:
        cells = []
        for name in scores:
            cells.append(_measured(claim["scores"][name]))
            if name in published:
                cells.append(signed(claim["published"].get(name)))
        runs = f"{claim['finished']} of {claim['expected']}"
        rows.append([claim["claim"], f"{claim['better']} over {claim['than']}", *cells, runs])
    heads = [head for name in scores for head in (name.upper(), "published")[: 2 if name in published else 1]]
    return markdown_table(["Claim", "Rows", *heads, "Runs"], rows)


def _measured(part: dict[str, Any]) -> str:
    if part["verdict"] == NOT_MEASURED:
        return NOT_MEASURED
    return f"{difference(part)} {_MARKS.get(part['verdict'], part['verdict'])}"
