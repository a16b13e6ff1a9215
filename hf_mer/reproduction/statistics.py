"""Numbers of a table's report: rows with intervals, claims with paired tests. Scores are in %."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from hf_mer.metrics.significance import holm, mean_interval, paired_difference
from hf_mer.reproduction.predictions import compare_predictions
from hf_mer.reproduction.table import Claim, RowRuns, Run, TableRuns

HOLDS, CONTRADICTED, UNDECIDED, NOT_MEASURED = "holds", "does not hold", "not decided", "not measured"
VERDICTS = (HOLDS, CONTRADICTED, UNDECIDED, NOT_MEASURED)

ByRun = Mapping[tuple[int, str], float]
"""Numbers by seed and fold."""


@dataclass(frozen=True)
class Units:
    """What counts as one observation in a table.

    - `runs`: every seed tests a fold of its own, each run is a unit.
    - `folds`: seeds run several folds each; a unit is a fold, averaged over seeds.
    - `seeds`: there is one fold (an official split); a unit is a seed.

    Attributes:
        kind: One of the three.
        seeds: That have runs.
        folds: That have runs.
        test_share: Tested / all utterances of a fold. Where units are several folds, their training parts overlap and
            intervals are corrected for it; None where that is not so, or not known.
    """

    kind: str
    seeds: list[int]
    folds: list[str]
    test_share: float | None

    def average(self, values: ByRun) -> list[float]:
        """One number a unit, in the order of seeds and folds."""
        if self.kind == "runs":
            return [values[key] for key in sorted(values)]
        return list(_means(values, 1 if self.kind == "folds" else 0).values())

    def deviations(self, values: ByRun) -> dict[str, float | None]:
        """Standard deviation in % over what can be told apart: `runs`, `seeds`, or `seeds` and `folds`.

        Where seeds run several folds, only seeds that ran all of them are compared, so that a deviation over seeds is
        not one over folds.
        """
        if self.kind != "folds":
            return {self.kind: _deviation(self.average(values))}
        folds = {fold for _, fold in values}
        complete = {seed for seed, _ in values if all((seed, fold) in values for fold in folds)}
        over_seeds = _means({key: value for key, value in values.items() if key[0] in complete}, 0)
        return {"seeds": _deviation(list(over_seeds.values())), "folds": _deviation(self.average(values))}


def units_of(table: TableRuns) -> Units:
    """What counts as one observation, by the seeds and folds of the runs that are there."""
    runs = [run for row in table.rows for run in row.runs]
    folds = sorted({run.fold for run in runs})
    seeds = sorted({run.seed for run in runs})
    if len(folds) < 2:
        return Units("seeds", seeds, folds, None)
    one_each = len({(run.seed, run.fold) for run in runs}) == len(seeds)
    shares = [run.results["rows"]["test"] / sum(run.results["rows"].values()) for run in runs if "rows" in run.results]
    return Units("runs" if one_each else "folds", seeds, folds, float(np.mean(shares)) if shares else None)


def row_statistics(row: RowRuns, scores: Sequence[str], units: Units) -> dict[str, Any]:
    """Scores of a row over its runs, and what a run cost."""
    first = row.runs[0].results if row.runs else {}
    minutes = [run.results["minutes"] for run in row.runs if "minutes" in run.results]
    memory: dict[str, float] = {}
    for run in row.runs:
        for name, value in run.results.get("peak_memory_mib", {}).items():
            memory[name] = max(value, memory.get(name, 0.0))
    return {
        "row": row.row.name,
        "title": row.row.title,
        "system": row.row.system,
        "finished": len(row.runs),
        "expected": row.expected,
        "scores": {name: _score(_by_run(row, name), units) for name in scores} if row.runs else None,
        "published": row.row.published or {},
        "parameters": first.get("parameters"),
        "minutes": float(np.mean(minutes)) if minutes else None,
        "peak_memory_mib": memory or None,
        "runs": [_run(run, scores) for run in row.runs],
    }


def claim_statistics(table: TableRuns, units: Units, num_resamples: int) -> list[dict[str, Any]]:
    """Every claim of a table against the runs that both its rows have; p values are corrected within a score."""
    rows = {row.row.name: row for row in table.rows}
    found = [_claim(claim, table, rows, units, num_resamples) for claim in table.table.claims]
    for name in table.table.scores:
        parts = [claim["scores"][name] for claim in found]
        for part, p_value in zip(parts, holm([part.get("p") for part in parts]), strict=True):
            if part["verdict"] != NOT_MEASURED:
                part["p_holm"] = p_value
    return found


def run_name(run: Run) -> str:
    """The end of a run's folder, `<system>-<hash>/seed<N>/<fold>`, which is the same wherever the outputs lie."""
    return "/".join(run.folder.parts[-3:])


def _means(values: ByRun, part: int) -> dict[Any, float]:
    """Mean by seed (part 0) or by fold (part 1)."""
    return {
        name: float(np.mean([value for key, value in values.items() if key[part] == name]))
        for name in sorted({key[part] for key in values})
    }


def _deviation(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _by_run(row: RowRuns, score: str) -> dict[tuple[int, str], float]:
    return {(run.seed, run.fold): 100 * run.results["test"]["scores"][score] for run in row.runs}


def _interval(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def _score(values: ByRun, units: Units) -> dict[str, Any]:
    found = mean_interval(units.average(values), test_share=units.test_share)
    return {
        "mean": found.mean,
        "deviation": units.deviations(values),
        "interval_95": _interval(found.low, found.high),
        "units": found.n,
    }


def _run(run: Run, scores: Sequence[str]) -> dict[str, Any]:
    results = run.results
    return {
        "seed": run.seed,
        "fold": run.fold,
        "run": run_name(run),
        "scores": {name: 100 * results["test"]["scores"][name] for name in scores},
        "test_utterances": results.get("rows", {}).get("test"),
        "minutes": results.get("minutes"),
        "peak_memory_mib": results.get("peak_memory_mib"),
        "stages": results.get("stages"),
    }


def _claim(
    claim: Claim, table: TableRuns, rows: Mapping[str, RowRuns], units: Units, num_resamples: int
) -> dict[str, Any]:
    better, than = rows.get(claim.better), rows.get(claim.than)
    found: dict[str, Any] = {
        "claim": claim.claim,
        "better": claim.better,
        "than": claim.than,
        "titles": [table.table.row(claim.better).title, table.table.row(claim.than).title],
        "finished": 0,
        "expected": min(row.expected for row in (better, than)) if better and than else 0,
        "published": _published_difference(claim, table),
        "scores": {name: {"verdict": NOT_MEASURED} for name in table.table.scores},
    }
    if better is None or than is None:
        return found
    folders = [{(run.seed, run.fold): run.folder for run in row.runs} for row in (better, than)]
    common = sorted(folders[0].keys() & folders[1].keys())
    if not common:
        return found
    found["finished"] = len(common)
    pairs = [(folders[0][key] / "predictions.csv", folders[1][key] / "predictions.csv") for key in common]
    utterances = compare_predictions(pairs, num_resamples)
    for name in table.table.scores:
        scores = [_by_run(row, name) for row in (better, than)]
        a, b = (tuple(units.average({key: values[key] for key in common})) for values in scores)
        found["scores"][name] = {**_paired(a, b, units.test_share), "utterances": utterances.get(name)}
    return found


def _published_difference(claim: Claim, table: TableRuns) -> dict[str, float]:
    better, than = (table.table.row(name).published or {} for name in (claim.better, claim.than))
    return {name: round(better[name] - than[name], 6) for name in table.table.scores if name in better.keys() & than}


@lru_cache(maxsize=4096)  # reports are written after every run, which changes few of a table's claims
def _paired(a: tuple[float, ...], b: tuple[float, ...], test_share: float | None) -> Mapping[str, Any]:
    """The difference of a claim's rows; the verdict is the interval's, which knows of overlapping training parts."""
    found, plain = paired_difference(a, b, test_share=test_share), paired_difference(a, b)
    verdict = UNDECIDED
    if found.low is not None and found.high is not None:
        verdict = HOLDS if found.low > 0 else CONTRADICTED if found.high < 0 else UNDECIDED
    return {
        "difference": found.difference,
        "deviation": found.deviation,
        "interval_95": _interval(found.low, found.high),
        "p": found.p_value,
        "p_sign_flip": found.p_sign_flip,
        "interval_95_uncorrected": _interval(plain.low, plain.high),
        "p_uncorrected": plain.p_value,
        "units": found.n,
        "verdict": verdict,
    }
