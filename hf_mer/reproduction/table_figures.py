"""The figures that a table asks for: drawn from its finished runs, each with the numbers behind it."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hf_mer.files import Drawn, file_name
from hf_mer.reproduction import model_figures, score_figures
from hf_mer.reproduction.figure_sources import NothingToDrawError, Source
from hf_mer.reproduction.table import TableRuns, check_figure

logger = logging.getLogger(__name__)

DRAWN_BY: dict[str, Callable[[Source, Mapping[str, Any]], list[Drawn]]] = {
    "scores": score_figures.draw_scores,
    "sweep": score_figures.draw_sweep,
    "confusion": score_figures.draw_confusion,
    "tsne": model_figures.draw_tsne,
    "gates": model_figures.draw_gates,
    "attention": model_figures.draw_attention,
}


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
            found = DRAWN_BY[figure["kind"]](source, figure)
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
