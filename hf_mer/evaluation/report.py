"""What an evaluation under conditions leaves: a table for people, one for spreadsheets, and everything as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_mer.evaluation.other_corpus import told
from hf_mer.files import markdown_table, write_csv, write_json, write_text
from hf_mer.metrics.scores import SCORE_NAMES
from hf_mer.training.group_scores import groups_table

FILES = ("conditions.md", "conditions.csv", "conditions.json")


def is_report(folder: Path) -> bool:
    """Whether a folder holds an earlier report."""
    try:
        return "conditions" in json.loads((folder / FILES[2]).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def write_report(folder: Path, report: Mapping[str, Any]) -> list[Path]:
    """Writes `conditions.md`, `.csv` and `.json`; gives their paths."""
    text = markdown(report)
    return [
        write_text(folder / FILES[0], text),
        _write_csv(folder / FILES[1], report["conditions"]),
        write_json(folder / FILES[2], report),
    ]


def markdown(report: Mapping[str, Any]) -> str:
    """The table with what it is of, and how to read it."""
    model, rows = report["model"], report["rows"]
    groups = groups_table(report.get("by_group", {}))
    lines = [
        f"# {model['type']} under {len(report['conditions'])} conditions",
        f"{rows['utterances']} utterances ({rows['name']}), {len(model['labels'])} classes "
        f"({', '.join(model['labels'])}), inputs {', '.join(model['modalities'])}.",
        *told(rows),
        conditions_table(report["conditions"]),
        LEGEND,
        *([f"## Groups\n\n{groups}", GROUPS_LEGEND] if groups else []),
    ]
    return "\n\n".join(lines) + "\n"


LEGEND = """\
In brackets 95 % bootstrap intervals over utterances. Difference: UA minus that with all inputs, on the same utterances
(paired bootstrap). ECE: expected calibration error of the checkpoint's probabilities, 15 bins. Wrong words are in the
history too, their rate is measured on the texts. Decibels: mean power of the clip over that of the noise. Clips end
early together with their words, in proportion."""


GROUPS_LEGEND = """\
With all inputs. UA and WF1 of a group are over the classes that occur in it; of few utterances they say little."""


def conditions_table(conditions: Sequence[Mapping[str, Any]]) -> str:
    """A row per condition, in Markdown."""
    header = ["condition", "utterances", "WA", "UA", "WF1", "difference in UA", "ECE"]
    rows = []
    for entry in conditions:
        if "scores" not in entry:
            rows.append([_name(entry), "0", "-", "-", "-", "-", "-"])
            continue
        cells = [f"{entry['scores'][name]:.3f} {_interval(entry['intervals_95'][name])}" for name in SCORE_NAMES]
        gap = entry.get("difference", {}).get("ua")
        difference = "-" if gap is None else f"{gap['value']:+.3f} {_interval(gap['interval_95'], '+')}"
        rows.append([_name(entry), str(entry["utterances"]), *cells, difference, f"{entry['ece']:.3f}"])
    return markdown_table(header, rows)


def comparison_table(reports: Mapping[str, Mapping[str, Any]], score: str = "ua") -> str:
    """A score of several evaluations under the conditions that any of them has, in Markdown."""
    found = {name: {entry["name"]: entry for entry in report["conditions"]} for name, report in reports.items()}
    names = list(dict.fromkeys(condition for entries in found.values() for condition in entries))
    header = [f"condition ({score.upper()})", *found]
    rows = []
    for condition in names:
        entries = [entries.get(condition, {}) for entries in found.values()]
        cells = [
            f"{entry['scores'][score]:.3f} {_interval(entry['intervals_95'][score])}" if "scores" in entry else "-"
            for entry in entries
        ]
        rows.append([condition, *cells])
    return markdown_table(header, rows)


def _name(entry: Mapping[str, Any]) -> str:
    realised = entry.get("realised")
    return entry["name"] + ("" if realised is None else f" (measured {100 * realised:.1f} %)")


def _interval(ends: Sequence[float], sign: str = "") -> str:
    return f"[{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"


def _write_csv(path: Path, conditions: Sequence[Mapping[str, Any]]) -> Path:
    columns = ["name", "kind", "modalities", "missing", "value", "realised", "utterances", "ece"]
    numbers = [f"{name}{end}" for name in SCORE_NAMES for end in ("", "_low", "_high")]
    gaps = [f"difference_{name}{end}" for name in SCORE_NAMES for end in ("", "_low", "_high", "_p")]
    lines = []
    for entry in conditions:
        line = {name: entry.get(name) for name in columns}
        line["modalities"] = "+".join(entry["modalities"])
        for name, score in entry.get("scores", {}).items():
            low, high = entry["intervals_95"][name]
            line.update({name: score, f"{name}_low": low, f"{name}_high": high})
        for name, gap in entry.get("difference", {}).items():
            ends = dict(zip(("_low", "_high"), gap["interval_95"], strict=True))
            line.update({f"difference_{name}{end}": value for end, value in ends.items()})
            line.update({f"difference_{name}": gap["value"], f"difference_{name}_p": gap["p"]})
        lines.append([line.get(name) for name in (*columns, *numbers, *gaps)])
    return write_csv(path, [*columns, *numbers, *gaps], lines)
