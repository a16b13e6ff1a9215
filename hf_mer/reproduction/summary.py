"""One Markdown page over the reports of many tables."""

from collections.abc import Sequence
from typing import Any

from hf_mer.files import markdown_table
from hf_mer.reproduction.markdown import finished, results_table, signed, source
from hf_mer.reproduction.statistics import CONTRADICTED, HOLDS, NOT_MEASURED, VERDICTS

_MARKS = {HOLDS: "**holds**", CONTRADICTED: "**does not hold**"}


def summary(reports: Sequence[dict[str, Any]]) -> str:
    """One page over many tables: scores, time and memory of their rows, and which claims hold.

    Args:
        reports: Of tables, as `report.report` gives them and `results.json` has them.
    """
    parts = [part for report in reports for claim in report["claims"] for part in claim["scores"].values()]
    runs = {run["run"]: run for report in reports for row in report["rows"] for run in row["runs"]}
    asked = sum(len(row["runs"]) for report in reports for row in report["rows"])
    minutes = sum(run["minutes"] or 0.0 for run in runs.values())
    lines = [
        "# All tables",
        f"{len(parts)} claims (one for each score) of {len(reports)} tables: {_count(parts)}. {asked} results come "
        f"from {len(runs)} runs ({minutes:.0f} min), as equal systems are one run.",
        "Scores are in %: mean ± deviation over what counts as a unit (runs, folds or seeds), and the 95 % interval "
        "of the mean. Claims are differences of runs with the same seed and fold, in points, with their 95 % interval "
        "over the units, by the t distribution, corrected for shared training rows (Nadeau and Bengio, 2003). A claim "
        "holds if that interval lies above 0, and does not hold if it lies below. *Utterances* has the interval of "
        "the bootstrap over the dialogues of all tested utterances: what other utterances would give with these very "
        "models.",
    ]
    for report in reports:
        lines += [f"## {report['title']}", f"{source(report)}, set-up `{report['setup']['name']}`: {_state(report)}."]
        lines.append(results_table(report))
        if report["claims"]:
            lines.append(_claims(report))
    return "\n\n".join(lines) + "\n"


def _count(parts: list[dict[str, Any]]) -> str:
    verdicts = [part["verdict"] for part in parts]
    told = [f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts]
    return ", ".join(told) or "none"


def _state(report: dict[str, Any]) -> str:
    minutes = sum(run["minutes"] or 0.0 for row in report["rows"] for run in row["runs"])
    return f"{finished(report)} runs, {minutes:.0f} min"


def _claims(report: dict[str, Any]) -> str:
    """A line for every claim and score: what was measured, and what is published."""
    rows = []
    for claim in report["claims"]:
        rows += [
            [
                claim["claim"],
                f"{claim['better']} over {claim['than']}",
                name.upper(),
                *_measured(claim["scores"][name]),
                signed(claim["published"].get(name), digits=1),
                f"{claim['finished']} of {claim['expected']}",
            ]
            for name in report["scores"]
        ]
    return markdown_table(["Claim", "Rows", "Score", "Verdict", "Difference", "Utterances", "Published", "Runs"], rows)


def _measured(part: dict[str, Any]) -> list[str]:
    if part["verdict"] == NOT_MEASURED:
        return [NOT_MEASURED, "-", "-"]
    resampled = (part.get("utterances") or {}).get("interval_95")
    told = f"{part['difference']:+.1f} {_interval(part['interval_95'])}"
    return [_MARKS.get(part["verdict"], part["verdict"]), told.strip(), _interval(resampled) or "-"]


def _interval(limits: Sequence[float] | None) -> str:
    return f"[{limits[0]:.1f}, {limits[1]:.1f}]" if limits else ""
