"""Tables of what was measured, in Markdown and as numbers."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from rivals import METHODS, OF_MODALITIES
from summary import Mean, modalities_summary, places_summary, removal_summary, seconds_summary, stretches
from truth import CUES, KINDS, class_cues

from hf_mer.files import markdown_table

_NAMES = {"le_mer": "LE-MER, IEMOCAP's layout", "wavfusion": "WavFusion, MELD's layout"}
_SUBSETS = {"right": "Utterances that the model gets right and whose own words carry the cue", "all": "All utterances"}
_ROWS = (*METHODS, "chance")


def report(generated: Mapping[str, Sequence[Mapping[str, Any]]], real: Mapping[str, Any]) -> tuple[str, dict]:
    """All tables, and the numbers in them.

    Args:
        generated: By system, what `measured_generated` gave for every seed.
        real: By name, what `measured_real` gave.
    """
    texts, numbers = [], {}
    for system, parts in generated.items():
        trained, shuffled = ([part[name] for part in parts] for name in ("trained", "shuffled"))
        accuracy = " ".join(f"{run['ua']:.3f}" for run in trained)
        count = sum(len(run["utterances"]) for run in trained)
        texts.append(f"## {_NAMES[system]}\n\nUA of each training: {accuracy}. Utterances explained: {count}.")
        found: dict[str, Any] = {"ua": [run["ua"] for run in trained], "places": {}}
        for which, title in _SUBSETS.items():
            found["places"][which] = {kind: places_summary(trained, kind, which) for kind in KINDS.values()}
            texts.append(f"### {title}\n\n{_places_table(found['places'][which], seconds_summary(trained))}")
        found["segments"] = _by_kind_of_sound(trained)
        texts.append(f"### Segments, by what is heard\n\n{_sounds_table(found['segments'])}")
        found["modalities"] = _modalities(trained)
        texts.append(f"### Modalities\n\n{_modalities_table(found['modalities'])}")
        found["shuffled"] = {kind: places_summary(shuffled, kind, "all") for kind in KINDS.values()}
        texts.append(f"### Shuffled weights, all utterances\n\n{_places_table(found['shuffled'], {})}")
        found["seconds"] = seconds_summary(trained)
        numbers[system] = found
    for name, run in real.items():
        numbers[name] = {kind: removal_summary(run, kind) for kind in KINDS.values()}
        count, budget = len(run["utterances"]), run["budget"]
        texts.append(f"## {name}\n\nUA {run['ua']:.3f} of {count} utterances; budget {budget}.")
        texts.append(_removal_table(numbers[name]))
    return "\n\n".join(texts) + "\n", _plain(numbers)


def _places_table(found: Mapping[str, Mapping[str, Mapping[str, Mean]]], seconds: Mapping[str, float]) -> str:
    kinds = [kind for kind, methods in found.items() if methods]
    if not kinds:
        return "Not measured."
    header = ["values", *(f"{kind}, {score}" for kind in kinds for score in ("hit", "AUC"))]
    rows = []
    for method in _ROWS:
        cells = [
            "0.50" if method == "chance" and score == "auc" else str(found[kind].get(method, {}).get(score, "-"))
            for kind in kinds
            for score in ("hit", "auc")
        ]
        if any(cell not in ("-", "0.50") for cell in cells):
            rows.append(
                [method, *cells, *([f"{seconds[method]:.2f}" if method in seconds else ""] if seconds else [])]
            )
    counts = [f"{kind} {found[kind]['chance']['hit'].n}" for kind in kinds]
    note = f"Explanations: {', '.join(counts)}."
    if seconds:
        note += f" A plain prediction takes {seconds['prediction']:.2f} s."
    return f"{markdown_table([*header, 'seconds'] if seconds else header, rows)}\n\n{note}"


def _by_kind_of_sound(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Mean]]]:
    """Segments of the first subset, by number of salient stretches and by what the voice of the predicted class is."""
    labels = sorted({one["label"] for run in runs for one in run["utterances"]})
    cues = {label: cue["speech"] for label, cue in class_cues(labels).items()}
    kinds = {
        "one salient segment": lambda one: stretches(one["places"]["segments"]["salient"]) == 1,
        "two or more": lambda one: stretches(one["places"]["segments"]["salient"]) > 1,
        "class of an aroused voice": lambda one: cues[one["predicted"]] == 1,
        "class of a calm voice": lambda one: cues[one["predicted"]] == -1,
    }
    return {name: places_summary(runs, "segments", "right", keeps) for name, keeps in kinds.items()}


def _sounds_table(found: Mapping[str, Mapping[str, Mapping[str, Mean]]]) -> str:
    rows = []
    for kind, methods in found.items():
        if methods:
            cells = [str(methods[name]["auc"]) if name in methods else "-" for name in METHODS]
            rows.append([kind, methods["chance"]["hit"].n, *cells])
    return markdown_table(["utterances", "n", *(f"AUC, {name}" for name in METHODS)], rows)


def _modalities(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By pair (`any` and each), method, and class: predicted or others."""
    known = {name for run in runs for one in run["utterances"] for found in one["modalities"].values()
             for pairs in found.values() for first, second, _ in pairs for name in (first, second)}  # fmt: skip
    present = [name for name in CUES if name in known]
    pairs: dict[str, frozenset[str] | None] = {
        f"{one} and {other}": frozenset((one, other)) for one, other in combinations(present, 2)
    }
    if len(pairs) > 1:
        pairs["any two"] = None
    return {
        name: {
            method: {which: modalities_summary(runs, method, which, pair) for which in ("predicted", "others")}
            for method in (*OF_MODALITIES, "integrated gradients")
        }
        for name, pair in pairs.items()
    }


def _modalities_table(found: Mapping[str, Mapping[str, Mapping[str, Mean | None]]]) -> str:
    rows = []
    for pair, methods in found.items():
        for method, means in methods.items():
            cells = []
            for which in ("predicted", "others"):
                mean = means[which]
                cells += ["-", "-"] if mean is None else [str(mean), str(mean.n)]
            if cells.count("-") < len(cells):
                rows.append([pair, method, *cells])
        rows.append([pair, "chance", "0.50", "", "0.50", ""])
    header = ["modalities", "values", "predicted class", "n", "other classes", "n"]
    return markdown_table(header, rows)


def _removal_table(found: Mapping[str, Mapping[str, Mapping[str, Mean]]]) -> str:
    rows = []
    for kind, methods in found.items():
        for method in (name for name in METHODS if name in methods):
            scores = methods[method]
            rows.append([kind, method, scores["comprehensiveness"], scores["sufficiency"],
                         scores["sufficiency"].n])  # fmt: skip
    return markdown_table(["places", "order by", "comprehensiveness ↑", "sufficiency ↓", "utterances"], rows)


def _plain(content: Any) -> Any:
    """Ready for JSON."""
    if isinstance(content, Mean):
        return content._asdict()
    if isinstance(content, Mapping):
        return {name: _plain(value) for name, value in content.items()}
    return content.item() if isinstance(content, np.generic) else content
