"""The figures of an evaluation under conditions, of one checkpoint or of several side by side."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_mer.files import Drawn
from hf_mer.plots.conditions import condition_bars, condition_curves

SWEEPS = {
    "words": ("word_errors", "word error rate of transcript and history (%)"),
    "white": ("white_noise", "white noise: signal-to-noise ratio (dB)"),
    "babble": ("babble", "babble of other speakers: signal-to-noise ratio (dB)"),
    "seconds": ("seconds", "seconds kept from the start of a clip"),
}
FIGURES = ("modalities", *(file for file, _ in SWEEPS.values()))


def draw_conditions(folder: Path, reports: Mapping[str, Mapping[str, Any]], score: str = "ua") -> list[Path]:
    """Writes the figures as PNG and PDF, and their numbers as CSV; gives the paths.

    Args:
        folder: Where to.
        reports: Of `evaluate_conditions`, by the name of the checkpoint.
        score: `wa`, `ua` or `wf1`.
    """
    return [path for drawn in condition_figures(reports, score) for path in drawn.save(folder)]


def condition_figures(reports: Mapping[str, Mapping[str, Any]], score: str = "ua") -> Iterator[Drawn]:
    """Bars of the modalities, and a score over word errors, noise and seconds, with the numbers behind each."""
    named = {name: [entry for entry in report["conditions"] if "scores" in entry] for name, report in reports.items()}
    bars = {
        name: {
            entry["name"]: _triple(entry, score) for entry in entries if entry["kind"] in ("all", "alone", "missing")
        }
        for name, entries in named.items()
    }
    if max(map(len, bars.values())) > 1:
        yield _drawn("modalities", condition_bars(bars, xlabel=score.upper()), "condition", _rows(bars))
    for kind, (file, xlabel) in SWEEPS.items():
        curves = {name: _curve(entries, kind, score) for name, entries in named.items()}
        curves = {name: points for name, points in curves.items() if points}
        if not curves:
            continue
        unchanged = {name: _triple(named[name][0], score) for name in curves}
        figure = condition_curves(curves, unchanged, xlabel=xlabel, ylabel=score.upper(), worse_right=kind != "words")
        numbers = {name: {"everything": unchanged[name], **curves[name]} for name in curves}
        yield _drawn(file, figure, "value", _rows(numbers))


def _drawn(name: str, figure: Any, first: str, rows: list[Sequence[Any]]) -> Drawn:
    return Drawn(name, figure, ("checkpoint", first, "score", "low", "high"), rows)


def _rows(numbers: Mapping[str, Mapping[Any, tuple[float, float, float]]]) -> list[Sequence[Any]]:
    return [(name, key, *triple) for name, triples in numbers.items() for key, triple in triples.items()]


def _curve(entries: Sequence[Mapping[str, Any]], kind: str, score: str) -> dict[float, tuple[float, float, float]]:
    """By strength; word errors by the rate that came about, in %."""
    return {
        round(100 * entry["realised"], 1) if kind == "words" else entry["value"]: _triple(entry, score)
        for entry in entries
        if entry["kind"] == kind
    }


def _triple(entry: Mapping[str, Any], score: str) -> tuple[float, float, float]:
    low, high = entry["intervals_95"][score]
    return entry["scores"][score], low, high
