"""The figures that a table asks for: drawn from its finished runs, each with the numbers behind it."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hf_mer.plots.sweep import SCALES
from hf_mer.reproduction import model_figures, score_figures
from hf_mer.reproduction.sources import NothingToDrawError, Source
from hf_mer.reproduction.table import TableRuns
from hf_mer.training.fold_figures import Drawn, file_name
from hf_mer.training.settings.systems import SYSTEMS, known_name, setting_names

logger = logging.getLogger(__name__)

KINDS: dict[str, Callable[[Source, Mapping[str, Any]], list[Drawn]]] = {
    "scores": score_figures.draw_scores,
    "sweep": score_figures.draw_sweep,
    "confusion": score_figures.draw_confusion,
    "tsne": model_figures.draw_tsne,
    "gates": model_figures.draw_gates,
    "attention": model_figures.draw_attention,
}
_COMMON_KEYS = ("kind", "rows", "name", "title")
_OWN_KEYS = {"scores": ("published",), "sweep": ("setting", "xlabel", "scale", "published")}


def check_figure(figure: Mapping[str, Any]) -> None:
    """Refuses a figure of a table's file that could not be drawn, before any work starts.

    All kinds know `kind`, `rows` (names of rows; all if not given), `name` (of the files; the kind if not given) and
    `title`. `scores` and `sweep` know `published` (whether the paper's figures are drawn; they are if not given), and
    `sweep`, over the rows that set a setting, `setting` (parts of a mapping as in `loss_weights.margin`), `xlabel`
    (the setting's name if not given) and `scale` (`linear` if not given).

    Raises:
        ValueError: With what is wrong and what is valid.
    """
    kind = known_name("figures: kind", figure.get("kind"), KINDS)
    where = f"figure {kind}"
    for key in figure:
        known_name(where, key, (*_COMMON_KEYS, *_OWN_KEYS.get(kind, ())))
    if "rows" in figure and (not isinstance(figure["rows"], list) or not figure["rows"]):
        raise ValueError(f"{where}: rows must be a list of rows' names, not {figure['rows']!r}")
    if not isinstance(figure.get("published", True), bool):
        raise ValueError(f"{where}: published must be true or false, not {figure['published']!r}")
    if kind == "sweep":
        if not isinstance(figure.get("setting"), str):
            raise ValueError(f"{where}: setting is missing, the name of what its rows differ in")
        known: set[str] = set().union(*(setting_names(system) for system in SYSTEMS))
        known_name(f"{where}: setting", figure["setting"].partition(".")[0], sorted(known))
        known_name(f"{where}: scale", figure.get("scale", "linear"), SCALES)


def draw_table_figures(
    runs: TableRuns,
    folder: str | Path,
    data_dirs: Mapping[str, str | Path] | None = None,
    device: torch.device | str | None = None,
) -> list[Path]:
    """Draws what a table asks for from the runs that are there, each as PNG, PDF and CSV of one name.

    What is missing is named in the log; so is a figure that fails, and nothing else is lost with it.

    Args:
        runs: Finished runs of the table.
        folder: Where the figures go.
        data_dirs: Root of the corpus by the name of the row, or under `""` for every other row. Without one there are
            neither figures that need the model's inputs (`tsne`, `gates`, `attention`) nor ceilings.
        device: Where models run; the accelerator at hand if not given, else the CPU.

    Returns:
        The files that were written.

    Raises:
        ValueError: If a figure is of no known kind, or asks for what there is not; nothing is drawn then.
    """
    for figure in runs.table.figures:
        check_figure(figure)
    source = Source(runs, dict(data_dirs or {}), device)
    written: list[Path] = []
    names: set[str] = set()
    for figure in runs.table.figures:
        try:
            found = KINDS[figure["kind"]](source, figure)
            for drawn in found:
                drawn.name = _unused(file_name(drawn.name), names)
                written += drawn.save(Path(folder))
        except NothingToDrawError as error:
            logger.warning("%s: no figure %s, %s", runs.table.name, figure["kind"], error)
        except Exception:  # hours of training are not lost to a figure
            logger.exception("%s: the figure %s could not be drawn", runs.table.name, dict(figure))
    return written


def _unused(name: str, names: set[str]) -> str:
    """The name, with a number where a figure before has it already."""
    number, found = 1, name
    while found in names:
        number += 1
        found = f"{name}_{number}"
    names.add(found)
    return found
