"""Scores of a fold's test part, and everything a results file says about them."""

import contextlib
import platform
import resource
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from hf_mer.data.protocols.folds import repeated_texts
from hf_mer.data.schema import column
from hf_mer.files import read_csv, write_csv
from hf_mer.metrics.scores import bootstrap_intervals, confusion, emotion_scores, per_class_scores, scores_by
from hf_mer.version import __version__

PACKAGES = ("torch", "transformers", "datasets", "accelerate")


def test_results(
    rows: Dataset, fold: Any, test: Dataset, logits: np.ndarray, labels: list[str], resamples: int, seed: int
) -> dict[str, Any]:
    """Everything that is reported of a test part.

    Args:
        rows: All rows, for texts that also occur in training.
        fold: The fold.
        test: Test rows in the order of the logits.
        logits: Shape `(N, C)`.
        labels: Class names.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    truth = np.array(column(test, "label"))
    predictions = logits.argmax(axis=1)
    intervals = bootstrap_intervals(truth, predictions, len(labels), num_resamples=resamples, seed=seed)
    per_class = per_class_scores(truth, predictions, len(labels))
    results: dict[str, Any] = {
        "scores": emotion_scores(truth, predictions, len(labels)),
        "intervals_95": {name: list(interval) for name, interval in intervals.items()},
        "confusion": {"labels": labels, "matrix": confusion(truth, predictions, len(labels)).tolist()},
        "per_class": {
            label: {name: _number(values[i]) for name, values in per_class.items()} for i, label in enumerate(labels)
        },
    }
    parts = column(test, "part")
    if any(parts):
        results["scores_by_part"] = scores_by(parts, truth, predictions, len(labels))
    if any(column(test, "text")):
        ids = column(rows, "id")
        repeated = dict(zip([ids[i] for i in fold.test], repeated_texts(rows, fold), strict=True))
        names = ["text also in training" if repeated[row_id] else "text only in test" for row_id in column(test, "id")]
        results["scores_by_text"] = scores_by(names, truth, predictions, len(labels))
        results["counts_by_text"] = {name: names.count(name) for name in sorted(set(names))}
    return results


def write_predictions(path: str | Path, test: Dataset, logits: np.ndarray, labels: list[str]) -> None:
    """One line per test utterance: id, true and predicted class, and every class' probability.

    Args:
        path: The file.
        test: Test rows in the order of the logits.
        logits: Divided by their temperatures where the system has any, so that probabilities are the calibrated ones.
            Shape `(N, C)`.
        labels: Class names.
    """
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)

    lines = [
        [row_id, labels[label], labels[int(row.argmax())], *(f"{value:.8f}" for value in row)]
        for row_id, label, row in zip(column(test, "id"), column(test, "label"), probabilities, strict=True)
    ]
    write_csv(path, ["id", "label", "prediction", *labels], lines)


def predicted_ids(path: Path) -> set[str]:
    """The utterances of a file of `write_predictions`."""
    header, *lines = read_csv(path)
    return {cells[header.index("id")] for cells in lines}


def environment(num_processes: int) -> dict[str, Any]:
    """What a run was made with."""
    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    )
    return {
        "command": " ".join(sys.argv),
        "device": device,
        "processes": num_processes,
        "python": platform.python_version(),
        "versions": {"hf_mer": __version__, **{name: version(name) for name in PACKAGES}},
    }


def reset_peak_memory() -> None:
    """Starts the count of `peak_memory_mib` anew, at what is held now."""
    with contextlib.suppress(OSError):  # not Linux, or a container that forbids it
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory_mib() -> dict[str, float]:
    """Largest memory of this process and of its GPU since `reset_peak_memory`.

    Returns:
        `host`: The largest resident set, what was held at the start included. Where the system does not let a process
            start the count anew (other than Linux, some containers), the largest since the process began.
        `gpu`: The most that PyTorch had allocated on the current device, where there is one.
    """
    peak = {"host": _peak_resident_mib()}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_allocated() / 2**20
    return {name: round(value, 1) for name, value in peak.items()}


def _peak_resident_mib() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere


def parameter_counts(model: torch.nn.Module) -> dict[str, int]:
    """Parameters, all and trained ones."""
    return {
        "all": sum(parameter.numel() for parameter in model.parameters()),
        "trained": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
    }


def results_table(folds: Sequence[dict[str, Any]], summary: dict[str, Any], labels: list[str]) -> str:
    """Scores of every fold and their mean, as a Markdown table."""
    lines = ["| fold | utterances | WA | UA | WF1 |", "|---|---|---|---|---|"]
    for fold in folds:
        scores, intervals = fold["test"]["scores"], fold["test"]["intervals_95"]
        cells = [
            f"{scores[name]:.3f} [{intervals[name][0]:.3f}, {intervals[name][1]:.3f}]" for name in ("wa", "ua", "wf1")
        ]
        lines.append(f"| {fold['fold']} | {fold['rows']['test']} | {' | '.join(cells)} |")
    if len(folds) > 1:
        cells = [f"{summary[name]['mean']:.3f} ± {summary[name]['std']:.3f}" for name in ("wa", "ua", "wf1")]
        lines.append(f"| mean ± deviation | | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: Any) -> float | int | None:
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and np.isnan(number) else number
