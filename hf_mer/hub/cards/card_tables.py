"""The tables of a model card: scores of the system beside published ones, of its runs, of classes and of parts."""

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
LAYERS_SHOWN = 3
_OWN_SETTINGS = "none of this package; all settings are below"
GROUPS = {"corpus": "Corpus", "gender": "Gender of the speaker"}
_SCORES = ("WA", "UA", "WF1")

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
    return {name: float(np.mean(units(runs, _scores(runs, name))[1])) for name in SCORE_NAMES} if runs else {}


def scores_table(
    title: str, content: Mapping[str, Any], published: Sequence[Mapping[str, Any]], references: Sequence[Mapping]
) -> str:
    """The system's scores, first; then published figures (given in %) and references (given as fractions)."""
    if "summary" in content:
        entries = [content["summary"]["scores"].get(name) for name in SCORE_NAMES]
        own = [_with_deviation(one["mean"], one.get("std")) if one else NOT_RECORDED for one in entries]
    else:
        own = [_own_cell(content["runs"], name) for name in SCORE_NAMES]
    rows = [[f"**{title}, this package**", *own]]
    for row in published:
        cells = [f"{row[name] / 100:.4f}" if name in row else "-" for name in SCORE_NAMES]
        rows.append([f"{row['title']}, published ({row['source']})", *cells])
    for row in references:
        rows.append([row["title"], *(f"{row[name]:.3f}" if name in row else "-" for name in SCORE_NAMES)])
    return markdown_table(["", *_SCORES], rows)


def runs_table(runs: Runs) -> str:
    """Scores of every run with their intervals."""
    rows = [
        [run["seed"], run["fold"], run["rows"]["test"], *(_with_interval(run, name) for name in SCORE_NAMES)]
        for run in runs
    ]
    return markdown_table(["seed", "fold", "utterances", *_SCORES], rows)


def folds_table(runs: Runs) -> str:
    """Sizes of the parts of every fold, and the hashes that tell whether a split and its rows are the same."""
    rows = {}
    for run in runs:
        sizes = [run["rows"].get(part, "-") for part in ("train", "validation", "test")]
        split, data = run.get("split_hash", NOT_RECORDED)[:16], run.get("data_hash", "")[:16]
        rows[tuple(sizes), run["fold"], run.get("split_hash")] = [run["fold"], *sizes, f"`{split}`", f"`{data}`"]
    header = ["fold", "train", "validation", "test", "split hash", "data hash"]
    return markdown_table(header, rows.values())


def training_facts(
    runs: Runs, summary: Mapping[str, Any], recipe: str | None, lora_rank: int | None = None
) -> dict[str, str | None]:
    """Size, time, memory, hardware and versions of the runs, or of their summary; None where nothing tells."""
    adapters = {"adapters": f"LoRA of rank {lora_rank} on the encoders' attention, merged"} if lora_rank else {}
    environments = [run.get("environment", {}) for run in runs]
    devices = _joined(environment.get("device") for environment in environments)
    processes = _joined(environment.get("processes") for environment in environments)
    minutes = sorted({f"{run['minutes']:.1f}" for run in runs if run.get("minutes") is not None}, key=float)
    memory: dict[str, float] = {}
    for run in runs:
        for name, mib in run.get("peak_memory_mib", {}).items():  # a run on a GPU has its memory, too
            memory[name] = max(mib, memory.get(name, 0.0))
    peaks = [f"{mib:.0f} MiB ({name})" for name, mib in sorted(memory.items())]
    return {
        "parameters": _joined(map(_parameters, runs)),
        **_layers(runs),
        **adapters,
        "minutes per run": " to ".join(dict.fromkeys([*minutes[:1], *minutes[-1:]])) or summary.get("minutes"),
        "peak memory": ", ".join(peaks) or summary.get("memory"),
        "hardware": f"{devices}; processes: {processes}"
        if devices and processes
        else devices or summary.get("hardware"),
        "versions": _joined(map(_versions, environments)),
        "recipe": f"`recipes/configs/{recipe}.yaml`" if recipe else _OWN_SETTINGS if runs else None,
    }


def class_tables(runs: Runs) -> list[str]:
    """Of all runs' confusion counts added up: recall, precision and F1 of every class, and the counts themselves."""
    labels = runs[0]["test"]["confusion"]["labels"]
    counts = np.sum([run["test"]["confusion"]["matrix"] for run in runs], axis=0)  # (C, C)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    scores = per_class_scores(cells // len(labels), cells % len(labels), len(labels))
    rows, confusions = [], []
    for i, label in enumerate(labels):
        n = number_of_utterances(runs, [sum(run["test"]["confusion"]["matrix"][i]) for run in runs])
        values = [scores[name][i] for name in ("recall", "precision", "f1")]
        rows.append([label, *("-" if np.isnan(value) else f"{value:.3f}" for value in values), n])
        confusions.append([f"**{label}**", *counts[i]])
    return [
        markdown_table(["class", "recall", "precision", "F1", "utterances"], rows),
        markdown_table(["true \\ predicted", *labels], confusions),
    ]


def part_tables(runs: Runs) -> list[str]:
    """Improvised and scripted speech, texts that training has too, each modality alone; where runs tell them."""
    tables = []
    for key, title in PARTS.items():
        if rows := _subset_rows(runs, key):
            tables.append(markdown_table([title, *_SCORES, "utterances"], rows))
    return tables


def group_tables(runs: Runs) -> list[str]:
    """Scores by corpus and gender, and the range of the speakers'; where runs tell them."""
    tables = []
    for key, title in GROUPS.items():
        found = [{**run, "test": {key: run["test"].get("by_group", {}).get(key, {})}} for run in runs]
        if rows := _subset_rows(found, key):
            tables.append(markdown_table([title, *_SCORES, "utterances"], rows))
    speakers = [one for run in runs for one in run["test"].get("by_group", {}).get("speaker", [])]
    if speakers:
        rows = [
            [name.upper(), *(f"{find([one[name] for one in speakers]):.3f}" for find in (min, np.median, max))]
            for name in SCORE_NAMES
        ]
        counts = sorted(one["n"] for one in speakers)
        each = " to ".join(dict.fromkeys(map(str, (counts[0], counts[-1]))))
        tables.append(markdown_table([f"Speakers ({each} utterances each)", "lowest", "median", "highest"], rows))
    return tables


def _subset_rows(runs: Runs, key: str) -> list[list[Any]]:
    """A line for every subset that runs have scores of under a name."""
    rows = []
    for name in dict.fromkeys(name for run in runs for name in run["test"].get(key, {})):
        having = [run for run in runs if name in run["test"].get(key, {})]
        parts = [run["test"][key][name] for run in having]
        cells = [_mean_cell(having, [part[score] for part in parts]) for score in SCORE_NAMES]
        rows.append([name, *cells, number_of_utterances(having, [part["n"] for part in parts])])
    return rows


def rater_divergence(runs: Runs) -> str:
    """Mean divergence to the raters over the runs that have one, and of how many utterances; empty without."""
    having = [run for run in runs if "rater_divergence" in run["test"]]
    if not having:
        return ""
    found = [run["test"]["rater_divergence"] for run in having]
    utterances = number_of_utterances(having, [one["n"] for one in found])
    return f"{_mean_cell(having, [one['mean'] for one in found])} over {utterances} test utterances with votes"


def label_facts(settings: Mapping[str, Any]) -> dict[str, str]:
    """What skewed classes and many raters changed in the training; empty at the defaults."""
    smoothing, told = settings.get("label_smoothing_factor"), {}
    if settings.get("class_weights", "none") != "none":
        told["class weights"] = f"{settings['class_weights']}, by the rows of each class in the training split"
    if smoothing:
        told["label smoothing"] = f"{smoothing:g}"
    if settings.get("train_sampling_strategy") == "balanced":
        told["sampling"] = "every class equally often in an epoch"
    if settings.get("soft_targets"):
        told["targets"] = "shares of the raters' votes, where an utterance has any"
    return told


def calibration_table(runs: Runs) -> str:
    """Temperatures and calibration errors by what an utterance has, the mean over runs; empty if nobody measured."""
    measured = [(run, _calibration(run["calibration"])) for run in runs if "calibration" in run]
    rows = []
    for key in dict.fromkeys(key for _, found in measured for key in found):
        having = [(run, found[key]) for run, found in measured if key in found]
        columns = zip(*(values for _, values in having), strict=True)
        rows.append([key, *(_mean_cell([run for run, _ in having], column) for column in columns)])
    header = ["given", "temperature", "validation", "validation, calibrated", "test", "test, calibrated"]
    return markdown_table(header, rows) if rows else ""


def is_calibrated(runs: Runs) -> bool:
    """Whether temperatures were fitted in every run."""
    return bool(runs) and all(run.get("calibration", {}).get("temperatures") for run in runs)


def _calibration(calibration: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """A run's cells of the table, by modalities; the test part as it is counts as all of them."""
    temperatures, validation = calibration["temperatures"], calibration.get("validation", {})
    everything = max([*temperatures, *validation], key=len, default="all inputs")
    test = {everything: calibration["test"], **calibration.get("test_with_one_modality", {})}
    found = {}
    for key in dict.fromkeys([everything, *validation, *test, *temperatures]):
        errors = [part.get(key, {}) for part in (validation, test)]
        cells = [(error.get("ece"), error.get("ece_calibrated") if temperatures else None) for error in errors]
        found[key] = [temperatures.get(key), *cells[0], *cells[1]]
    return found


def _scores(runs: Runs, name: str) -> list[float]:
    return [run["test"]["scores"][name] for run in runs]


def _own_cell(runs: Runs, name: str) -> str:
    if not runs:
        return NOT_MEASURED
    if len(runs) == 1:
        return _with_interval(runs[0], name)
    kind, values = units(runs, _scores(runs, name))
    shares = [run["rows"]["test"] / sum(run["rows"].values()) for run in runs]
    interval = mean_interval(values, test_share=float(np.mean(shares)) if kind == "folds" else None)
    cell = _with_deviation(interval.mean, interval.deviation)
    if interval.low is None or interval.high is None:
        return cell
    return f"{cell} [{max(0.0, interval.low):.3f}, {min(1.0, interval.high):.3f}]"  # no score is beyond


def _mean_cell(runs: Runs, scores: Sequence[float | None]) -> str:
    """Mean and deviation over folds or seeds; runs without a score count for nothing."""
    known = [(run, score) for run, score in zip(runs, scores, strict=True) if score is not None]
    if not known:
        return "-"
    values = units([run for run, _ in known], [score for _, score in known])[1]
    return _with_deviation(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


def _with_deviation(mean: float, deviation: float | None) -> str:
    return f"{mean:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def _with_interval(run: Mapping[str, Any], name: str) -> str:
    score, interval = run["test"]["scores"][name], run["test"].get("intervals_95", {}).get(name)
    return f"{score:.3f}" + ("" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]")


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _parameters(run: Mapping[str, Any]) -> str | None:
    if not (counts := run.get("parameters")):
        return None
    all_trained = counts["trained"] == counts["all"]
    return f"{counts['all']:,}, " + ("all trained" if all_trained else f"{counts['trained']:,} trained")


def _layers(runs: Runs) -> dict[str, str]:
    """The layers that learned mixtures use most, the mean over runs; nothing where none are mixed."""
    facts = {}
    for modality in ("text", "speech"):
        found = [run["layer_weights"][modality] for run in runs if modality in run.get("layer_weights", {})]
        if found:
            mean = np.mean(found, axis=0)  # (K,)
            largest = [f"{layer} ({mean[layer]:.2f})" for layer in np.argsort(-mean, kind="stable")[:LAYERS_SHOWN]]
            most = ", ".join(largest)
            facts[f"{modality} layers"] = f"learned mixture of 0 to {len(mean) - 1}, largest weights: {most}"
    return facts


def _versions(environment: Mapping[str, Any]) -> str | None:
    if "versions" not in environment:
        return None
    python = {"Python": environment["python"]} if "python" in environment else {}
    return ", ".join(f"{name} {number}" for name, number in {**python, **environment["versions"]}.items())
