"""A table's report as a Markdown page."""

from typing import Any

from hf_mer.files import markdown_table
from hf_mer.reproduction.statistics import HOLDS, NOT_MEASURED


def page(report: dict[str, Any]) -> str:
    """The report of a table, as `report.report` gives it, as a Markdown page."""
    parts = [
        f"# {report['title']}",
        _introduction(report),
        results_table(report),
        _others(report),
        _claims(report),
        _origin(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def source(report: dict[str, Any]) -> str:
    """Where the table stands in print, and its name here."""
    return f"{report['source']} (`{report['table']}`)"


def finished(report: dict[str, Any]) -> str:
    """How many runs of a table there are."""
    return f"{sum(row['finished'] for row in report['rows'])} of {sum(row['expected'] for row in report['rows'])}"


def _introduction(report: dict[str, Any]) -> str:
    setup, protocol = report["setup"], report["protocol"]
    configs = setup["config"].values() if isinstance(setup["config"], dict) else [setup["config"]]
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(configs))
    lines = [f"{report['source']} (`{report['table']}`), run again.", ""]
    lines.append(f"- Set-up: `{setup['name']}`, settings {names}")
    if protocol["name"]:
        lines.append(f"- Protocol: {protocol['name']}")
    if protocol["seeds"]:
        seeds = ", ".join(str(seed) for seed in protocol["seeds"])
        lines.append(f"- Seeds {seeds}; folds {', '.join(protocol['folds'])}")
    lines.append(f"- Runs: {finished(report)}")
    return "\n".join([*lines, "", _how_to_read(protocol)])


def _how_to_read(protocol: dict[str, Any]) -> str:
    if not protocol["seeds"]:
        return "No run is finished yet."
    share = protocol["test_share"]
    corrected = (
        f"corrected for the training rows that folds share (Nadeau and Bengio, 2003; test share {share:.2f})"
        if share
        else "not corrected for the training rows that folds share, as their number is not known"
    )
    told = {
        "runs": "Every seed tests a fold of its own, so that a run is a unit: ± is the deviation over the runs, [ ] "
        f"the 95 % interval of the mean by the t distribution, {corrected}.",
        "folds": "Every seed runs all folds: ± is the deviation over seeds (of their means over folds), then over "
        "folds (of their means over seeds); [ ] is the 95 % interval of the mean by the t distribution over the "
        f"folds, each averaged over seeds, {corrected}.",
        "seeds": "All runs test the same fold, so that a seed is a unit: ± is the deviation over the seeds, [ ] the "
        "95 % interval of the mean by the t distribution. It says what other seeds would give, not what other "
        "utterances would; that is what the bootstrap of the claims is for.",
    }
    return f"Scores are in %. {told[protocol['units']]}"


def results_table(report: dict[str, Any]) -> str:
    """A line for every row: scores beside the published ones, runs, parameters, minutes, memory."""
    scores = report["scores"]
    head = ["", "System", *(cell for name in scores for cell in (name.upper(), "published"))]
    head += ["Runs", "Parameters (trained)", "Minutes a run", "Peak memory, MiB"]
    rows = []
    for row in report["rows"]:
        cells = [row["row"], row["title"]]
        for name in scores:
            measured = _measured(row["scores"][name]) if row["scores"] else NOT_MEASURED
            cells += [measured, _number(row["published"].get(name))]
        cells += [f"{row['finished']} of {row['expected']}", _parameters(row["parameters"])]
        cells += [_number(row["minutes"], 1), _memory(row["peak_memory_mib"])]
        rows.append(cells)
    return markdown_table(head, rows)


def _others(report: dict[str, Any]) -> str:
    if not report["published_only"]:
        return ""
    rows = [
        [system["title"], *(_number(system.get(name)) for name in report["scores"])]
        for system in report["published_only"]
    ]
    return "## Published systems of others\n\n" + markdown_table(
        ["System", *(name.upper() for name in report["scores"])], rows
    )


def _claims(report: dict[str, Any]) -> str:
    if not report["claims"]:
        return ""
    lines = ["## Claims", ""]
    lines += [
        "Differences of runs with the same seed and fold, in points of %, and their 95 % interval. A claim holds if "
        "it lies above 0 and does not hold if it lies below. p is of the paired t test over the same units as above, "
        "corrected for the number of claims by Holm's method within a score, then of the exact test that flips "
        "signs. The bootstrap draws dialogues out of all tested utterances together.",
        "",
    ]
    for claim in report["claims"]:
        lines += [
            f"- {claim['claim']}: {claim['better']} ({claim['titles'][0]}) over {claim['than']} "
            f"({claim['titles'][1]}), {claim['finished']} of {claim['expected']} runs"
        ]
        complete = claim["finished"] >= claim["expected"]
        for name, part in claim["scores"].items():
            lines.append(f"  - {name.upper()} {_claim(part, claim['published'].get(name), complete)}")
    return "\n".join(lines)


def _claim(part: dict[str, Any], published: float | None, complete: bool) -> str:
    told = "" if published is None else f" (published: {signed(published)})"
    if part["verdict"] == NOT_MEASURED:
        return f"{NOT_MEASURED}{told}"
    tests = []
    if part["p"] is not None:
        tests.append(f"{_p(part['p'])} (Holm {part['p_holm']:.3f})")
    if part["p_sign_flip"] is not None:
        tests.append(f"sign flips {_p(part['p_sign_flip'])}")
    if part["utterances"]:
        tests.append(f"bootstrap {difference(part['utterances'])}, {_p(part['utterances']['p'])}")
        if "p_mcnemar" in part["utterances"]:
            tests.append(f"McNemar {_p(part['utterances']['p_mcnemar'])}")
    verdict = f"**{part['verdict']}**" + ("" if complete else " so far")
    if part["verdict"] == HOLDS and part["p_holm"] > 0.05:
        verdict += ", but not after the correction for several claims"
    return "; ".join([f"{difference(part)}{told}", *tests, verdict])


def _origin(report: dict[str, Any]) -> str:
    lines = ["## How it was made", "", "```bash", report["command"], "```"]
    for environment in report["environments"]:
        versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
        processes = f", {environment['processes']} processes" if environment["processes"] != 1 else ""
        runs = "1 run" if environment["runs"] == 1 else f"{environment['runs']} runs"
        place = f"{environment['device']}{processes}"
        lines += ["", f"{runs} on {place}: Python {environment['python']}, {versions}."]
    return "\n".join(lines)


def _measured(score: dict[str, Any]) -> str:
    deviations, interval = score["deviation"].values(), score["interval_95"]
    told = f"{score['mean']:.2f}"
    if any(value is not None for value in deviations):
        told += f" ± {' / '.join(_number(value) for value in deviations)}"
    return told + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def difference(part: dict[str, Any]) -> str:
    """A difference in points of % with its interval."""
    interval = part["interval_95"]
    told = f"[{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "(no interval)"
    return f"{part['difference']:+.2f} {told}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def signed(value: float | None, digits: int = 2) -> str:
    """A number with its sign; `-` for none."""
    return "-" if value is None else f"{value:+.{digits}f}"


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _parameters(counts: dict[str, int] | None) -> str:
    return f"{_count(counts['all'])} ({_count(counts['trained'])})" if counts else "-"


def _count(number: int) -> str:
    for size, letter in ((1_000_000, " M"), (1_000, " k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return str(number)


def _memory(peak: dict[str, float] | None) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in peak.items()) if peak else "-"
