"""One Markdown page over the reports of many tables."""

from collections.abc import Sequence
from typing import Any

from hf_mer.training.table_markdown import difference, finished, markdown_table, signed, source
from hf_mer.training.table_statistics import CONTRADICTED, HOLDS, NOT_MEASURED, UNDECIDED, VERDICTS

_HEADINGS = {
    HOLDS: "Holds",
    CONTRADICTED: "Does not hold",
    UNDECIDED: "Not decided",
    NOT_MEASURED: "Not measured",
}


def summary(reports: Sequence[dict[str, Any]]) -> str:
    """One page over many tables: which claims hold, which do not, which are undecided or not measured.

    Args:
        reports: Of tables, as `table_report.report` gives them and `results.json` has them.
    """
    cases = [
        (part["verdict"], report, claim, score, part)
        for report in reports
        for claim in report["claims"]
        for score, part in claim["scores"].items()
    ]
    counts = {verdict: sum(case[0] == verdict for case in cases) for verdict in VERDICTS}
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    runs = {run["run"]: run for report in reports for row in report["rows"] for run in row["runs"]}
    asked = sum(len(row["runs"]) for report in reports for row in report["rows"])
    minutes = sum(run["minutes"] or 0.0 for run in runs.values())
    lines = [
        "# What holds",
        f"{len(cases)} claims (one for each score) of {len(reports)} tables: {told}.",
        "A claim holds if the 95 % interval of the paired difference lies above 0, and does not hold if it lies "
        "below. Differences are in points of %; p is corrected by Holm's method within a table's score. Claims with "
        "fewer runs than wanted are as they stand so far.",
        f"{asked} results come from {len(runs)} runs ({minutes:.0f} min), as equal systems are one run.",
        _overview(reports),
    ]
    for verdict in VERDICTS:
        chosen = [case[1:] for case in cases if case[0] == verdict]
        if chosen:
            lines += [f"## {_HEADINGS[verdict]}", _cases(chosen)]
    return "\n\n".join(lines) + "\n"


def _overview(reports: Sequence[dict[str, Any]]) -> str:
    rows = []
    for report in reports:
        verdicts = [part["verdict"] for claim in report["claims"] for part in claim["scores"].values()]
        counts = [str(verdicts.count(verdict)) for verdict in VERDICTS]
        rows.append([source(report), f"`{report['setup']['name']}`", finished(report), *counts])
    return markdown_table(["Table", "Set-up", "Runs", *(_HEADINGS[verdict] for verdict in VERDICTS)], rows)


def _cases(cases: Sequence[tuple[dict[str, Any], dict[str, Any], str, dict[str, Any]]]) -> str:
    rows = []
    for report, claim, score, part in cases:
        rows.append(
            [
                claim["claim"],
                f"{claim['better']} over {claim['than']}",
                f"{source(report)}, `{report['setup']['name']}`",
                score.upper(),
                difference(part) if "difference" in part else "-",
                "-" if part.get("p_holm") is None else f"{part['p_holm']:.3f}",
                signed(claim["published"].get(score)),
                f"{claim['finished']} of {claim['expected']}",
            ]
        )
    return markdown_table(["Claim", "Rows", "Table", "Score", "Difference", "p (Holm)", "Published", "Runs"], rows)
