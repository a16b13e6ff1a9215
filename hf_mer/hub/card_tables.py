"""The tables of a card: scores of the system beside published ones, of its runs, of classes and of parts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hf_mer.files import markdown_table
from hf_mer.metrics.scores import SCORE_NAMES, per_class_scores
from hf_mer.metrics.significance import mean_interval

NOT_MEASURED = "not measured"
NOT_RECORDED = "not recorded"
PARTS = {
    "scores_by_part": "Part of the corpus",
    "scores_by_text": "Texts",
    "scores_with_one_modality": "The same checkpoint, given one modality alone",
}

Runs = Sequence[Mapping[str, Any]]


def number_of_utterances(runs: Runs, counts: Iterable[int] | None = None) -> int:
    """Utterances over all folds (of the test parts if no counts are given); what several seeds test counts once."""
    numbers = [run["rows"]["test"] for run in runs] if counts is None else counts
    return sum({run["fold"]: count for run, count in zip(runs, numbers, strict=True)}.values())


def units(runs: Runs, scores: Iterable[float]) -> tuple[str, list[float]]:
    """What scores vary over, and their mean for each: folds (over their seeds), or seeds where there is one fold."""
    kind = "folds" if len({run["fold"] for run in runs}) > 1 else "seeds"
    groups: dict[Any, list[float]] = {}
    for run, score in zip(runs, scores, strict=True):
        groups.setdefault(run["fold" if kind == "folds" else "seed"], []).append(score)
    return kind, [float(np.mean(values)) for values in groups.values()]


def mean_scores(content: Mapping[str, Any]) -> dict[str, float]:
    """Mean WA, UA and WF1; empty where nothing was measured."""
    if "summary" in content:
        return {name: entry["mean"] for name, entry in content["summary"]["scores"].items()}
    runs = content["runs"]
    if not runs:
        return {}
    return {name: float(np.mean(units(runs, _scores(runs, name))[1])) for name in SCORE_NAMES}


def scores_table(
    title: str, content: Mapping[str, Any], published: Sequence[Mapping[str, Any]], references: Sequence[Mapping]
) -> str:
    """The system's scores, first; then published figures (given in %) and references (given as fractions)."""
    runs = content["runs"]
    if "summary" in content:
        own, measured = [_summary_cell(content["summary"]["scores"].get(name)) for name in SCORE_NAMES], True
    else:
        own, measured = [_own_cell(runs, name) for name in SCORE_NAMES], bool(runs)
    rows = [[f"**{title}, this package**", *own]]
    for row in published:
        cells = [f"{row[name] / 100:.4f}" if name in row else "-" for name in SCORE_NAMES]
        rows.append([f"{row['title']}, published ({row['source']})", *cells])
    rows += [
        [row["title"], *(f"{row[name]:.3f}" if name in row else "-" for name in SCORE_NAMES)] for row in references
    ]
    table = markdown_table(["", "WA", "UA", "WF1"], rows)
    return f"{table}\n\n{_legend(content) if measured else 'No run of this configuration has been made.'}"


def runs_table(runs: Runs) -> str:
    """Scores of every run with their intervals."""
    rows = []
    for run in runs:
        cells = [_with_interval(run, name) for name in SCORE_NAMES]
        rows.append([str(run["seed"]), run["fold"], str(run["rows"]["test"]), *cells])
    return markdown_table(["seed", "fold", "utterances", "WA", "UA", "WF1"], rows)


def per_class_table(runs: Runs) -> str:
    """Recall, precision and F1 of every class, of all runs' confusion counts added up."""
    labels, counts = _added_up(runs)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    scores = per_class_scores(cells // len(labels), cells % len(labels), len(labels))
    rows = []
    for i, label in enumerate(labels):
        n = number_of_utterances(runs, [sum(run["test"]["confusion"]["matrix"][i]) for run in runs])
        values = [scores[name][i] for name in ("recall", "precision", "f1")]
        rows.append([label, *("-" if np.isnan(value) else f"{value:.3f}" for value in values), str(n)])
    return markdown_table(["class", "recall", "precision", "F1", "utterances"], rows)


def confusion_table(runs: Runs) -> str:
    """Confusion counts of all runs added up: true classes are rows."""
    labels, counts = _added_up(runs)
    rows = [[f"**{label}**", *map(str, row)] for label, row in zip(labels, counts.tolist(), strict=True)]
    return markdown_table(["true \\ predicted", *labels], rows)


def part_tables(runs: Runs) -> list[str]:
    """Improvised and scripted speech, texts that training has too, each modality alone; where runs tell them."""
    tables = []
    for key, title in PARTS.items():
        names = list(dict.fromkeys(name for run in runs for name in run["test"].get(key, {})))
        rows = []
        for name in names:
            having = [run for run in runs if name in run["test"].get(key, {})]
            parts = [run["test"][key][name] for run in having]
            cells = [_mean_cell(having, [part[score] for part in parts]) for score in SCORE_NAMES]
            rows.append([name, *cells, str(number_of_utterances(having, [part["n"] for part in parts]))])
        if rows:
            tables.append(markdown_table([title, "WA", "UA", "WF1", "utterances"], rows))
    return tables


def calibration_table(runs: Runs) -> str:
    """Temperatures and calibration errors by what an utterance has, the mean over runs; empty if nobody measured."""
    measured = [run for run in runs if "calibration" in run]
    rows = []
    for key in list(dict.fromkeys(key for run in measured for key in _calibrated_inputs(run))):
        entries = [(run, _calibrated_inputs(run)[key]) for run in measured if key in _calibrated_inputs(run)]
        cells = []
        for name in ("temperature", "validation_before", "validation_after", "test_before", "test_after"):
            having = [(run, entry[name]) for run, entry in entries if name in entry]
            cells.append(_mean_cell(*map(list, zip(*having, strict=True))) if having else "-")
        rows.append([key, *cells])
    header = ["given", "temperature", "validation", "validation, calibrated", "test", "test, calibrated"]
    return markdown_table(header, rows) if rows else ""


def is_calibrated(runs: Runs) -> bool:
    """Whether temperatures were fitted in every run."""
    return bool(runs) and all(run.get("calibration", {}).get("temperatures") for run in runs)


def _calibrated_inputs(run: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Temperature and calibration errors of a run, by modalities; the test part as it is counts as all of them."""
    calibration = run["calibration"]
    found: dict[str, dict[str, float]] = {}

    def add(key: str, part: str, scores: Mapping[str, float]) -> None:
        entry = found.setdefault(key, {})
        entry[f"{part}_before"] = scores["ece"]
        if calibration["temperatures"]:
            entry[f"{part}_after"] = scores["ece_calibrated"]

    alone = calibration.get("test_with_one_modality", {})
    everything = max([*calibration["temperatures"], *calibration.get("validation", {})], key=len, default="all inputs")
    add(everything, "test", calibration["test"])
    for part, several in (("validation", calibration.get("validation", {})), ("test", alone)):
        for key, scores in several.items():
            add(key, part, scores)
    for key, temperature in calibration["temperatures"].items():
        found.setdefault(key, {})["temperature"] = temperature
    return found


def _scores(runs: Runs, name: str) -> list[float]:
    return [run["test"]["scores"][name] for run in runs]


def _added_up(runs: Runs) -> tuple[list[str], np.ndarray]:
    """Classes, and confusion counts of all runs together. Shape `(C, C)`."""
    matrices = [run["test"]["confusion"]["matrix"] for run in runs]
    return runs[0]["test"]["confusion"]["labels"], np.sum(matrices, axis=0)


def _own_cell(runs: Runs, name: str) -> str:
    if not runs:
        return NOT_MEASURED
    if len(runs) == 1:
        return _with_interval(runs[0], name)
    kind, values = units(runs, _scores(runs, name))
    shares = [run["rows"]["test"] / sum(run["rows"].values()) for run in runs]
    interval = mean_interval(values, test_share=float(np.mean(shares)) if kind == "folds" else None)
    cell = f"{interval.mean:.3f}" + ("" if interval.deviation is None else f" ± {interval.deviation:.3f}")
    if interval.low is None or interval.high is None:
        return cell
    return f"{cell} [{max(0.0, interval.low):.3f}, {min(1.0, interval.high):.3f}]"  # no score is beyond


def _summary_cell(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return NOT_RECORDED
    return f"{entry['mean']:.3f}" + ("" if entry.get("std") is None else f" ± {entry['std']:.3f}")


def _mean_cell(runs: Runs, scores: Sequence[float]) -> str:
    values = units(runs, scores)[1]
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def _with_interval(run: Mapping[str, Any], name: str) -> str:
    score, interval = run["test"]["scores"][name], run["test"].get("intervals_95", {}).get(name)
    return f"{score:.3f}" + ("" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]")


def _legend(content: Mapping[str, Any]) -> str:
    """What ± and brackets are, and over what."""
    if "summary" in content:
        summary = content["summary"]
        n = max(entry["n"] for entry in summary["scores"].values())
        return (
            f"Mean ± standard deviation over {n} {summary['over']}, from {summary['source']}; the results files of "
            f"its runs are not kept here, so that intervals, classes and parts are {NOT_RECORDED}."
        )
    runs = content["runs"]
    n = number_of_utterances(runs)
    if len(runs) == 1:
        run = runs[0]
        return (
            f"One run: seed {run['seed']}, fold {run['fold']}, {n} test utterances. In brackets the 95 % bootstrap "
            "interval over these; other seeds are no part of these results."
        )
    kind, values = units(runs, _scores(runs, "wa"))
    seeds = len({run["seed"] for run in runs})
    over = f"{len(values)} {kind}" + (
        f", each the mean over its seeds ({seeds} in all)" if kind == "folds" and seeds > 1 else ""
    )
    folds = "corrected for training parts that overlap"
    correction = f", {folds}" if kind == "folds" else " (about other seeds, not about other utterances)"
    return (
        f"Mean ± standard deviation over {over}; {len(runs)} runs, {n} test utterances. In brackets the 95 % interval "
        f"of the mean by Student's t{correction}; the bootstrap intervals of the runs are below."
    )
