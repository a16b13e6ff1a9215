"""Figures of a table for which its models are run again: representations, gates, label attention."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import silhouette_score

from hf_mer.data.schema import column
from hf_mer.files import Drawn
from hf_mer.plots import gate_distributions, representation_panels
from hf_mer.reproduction.figure_sources import NothingToDrawError, Source, panel_title
from hf_mer.reproduction.representations import Representations, balanced, represent, tsne_points
from hf_mer.reproduction.table import RowRuns, Run
from hf_mer.training.features import add_lengths
from hf_mer.training.fold_figures import attention_examples

logger = logging.getLogger(__name__)

UTTERANCES = {"tsne": 240, "gates": 1000}  # of the test part, at most
PERPLEXITY, SEED = 30.0, 0


def draw_tsne(source: Source, figure: Mapping[str, Any]) -> list[Drawn]:
    """Representations of the same utterances by every row; of a model without any by modality, the fused one."""
    panels: dict[str, dict[str, np.ndarray]] = {}
    notes: dict[str, str] = {}
    records: list[Sequence[Any]] = []
    classes, labels = np.zeros(0, dtype=np.int64), [""]
    for row, run in source.same_part(figure):
        found = _representations(source, figure, row, run)
        if found is None:
            continue
        if not panels:
            classes, labels = found.classes, run.results["test"]["confusion"]["labels"]
        elif labels != run.results["test"]["confusion"]["labels"] or not np.array_equal(classes, found.classes):
            logger.warning("figure tsne: row %s left out, it was tested on other utterances", row.row.name)
            continue
        shown = panel_title(row.row)
        panel = panels[shown] = tsne_points(found.embeddings, PERPLEXITY, SEED)
        silhouette = class_silhouette(found)
        notes[shown] = f"silhouette {silhouette:.2f}"
        for modality, points in panel.items():
            for row_id, index, (x, y) in zip(found.ids, found.classes, points, strict=True):
                records.append((row.row.name, row_id, labels[index], modality, x, y, silhouette))
    if not panels:
        raise NothingToDrawError("no row has a model with representations")
    drawn = representation_panels(
        panels, classes, labels, notes=notes, title=figure.get("title", source.runs.table.title)
    )
    columns = ("row", "id", "label", "modality", "x", "y", "silhouette")
    return [Drawn(figure.get("name", "tsne"), drawn, columns, records)]


def draw_gates(source: Source, figure: Mapping[str, Any]) -> list[Drawn]:
    """Gates of every deep layer by class; rows without gates are left out."""
    panels: dict[str, np.ndarray] = {}
    records: list[Sequence[Any]] = []
    classes, labels = np.zeros(0, dtype=np.int64), [""]
    for row, run in source.same_part(figure):
        found = _representations(source, figure, row, run)
        if found is None or found.gates is None or np.all(found.gates[np.isfinite(found.gates)] == 0.5):
            logger.info("figure gates: row %s left out, its model has no learned gates", row.row.name)
            continue
        classes, labels = found.classes, run.results["test"]["confusion"]["labels"]
        panels[panel_title(row.row)] = found.gates
        for row_id, index, gates in zip(found.ids, found.classes, found.gates, strict=True):
            for layer, gate in enumerate(gates.tolist(), start=1):
                records.append((row.row.name, row_id, labels[index], layer, gate))
    if not panels:
        raise NothingToDrawError("no row has a model with gates: they weigh text against video (three modalities)")
    drawn = gate_distributions(panels, classes, labels, title=figure.get("title", source.runs.table.title))
    return [Drawn(figure.get("name", "gates"), drawn, ("row", "id", "label", "deep_layer", "gate"), records)]


def draw_attention(source: Source, figure: Mapping[str, Any]) -> list[Drawn]:
    """Label attention over an utterance of every class, by the first run of every row."""
    found: list[Drawn] = []
    for row, run in source.same_part(figure):
        model, processor = source.model(run)
        if not (getattr(model.config, "has_text_labels", False) or getattr(model.config, "has_tonal_labels", False)):
            logger.warning("figure attention: row %s left out, its model has no label embeddings", row.row.name)
            continue
        test = add_lengths(source.test_rows(row.row, run), processor, model.config.modalities)
        use_history = run.results["settings"]["data"]["use_history"]
        labels = run.results["test"]["confusion"]["labels"]
        for drawn in attention_examples(model, processor, test, labels, use_history):
            label = drawn.name.removeprefix("label_attention_")
            drawn.name = f"{figure.get('name', 'attention')}_{row.row.name}_{label}"
            found.append(drawn)
    if not found:
        raise NothingToDrawError("no row has a model with label embeddings")
    return found


def class_silhouette(found: Representations) -> float:
    """How well classes stand apart in the space itself, not in the plane: mean silhouette, all modalities together.

    Between -1 and 1, by cosine distance; NaN with fewer than two classes.

    Source: Rousseeuw, *Silhouettes*, Journal of Computational and Applied Mathematics 20, 1987.
    """
    vectors = np.concatenate(list(found.embeddings.values()))
    classes = np.tile(found.classes, len(found.embeddings))
    known = np.isfinite(vectors).all(axis=1)
    if not 2 <= len(np.unique(classes[known])) < known.sum():
        return float("nan")
    return float(silhouette_score(vectors[known], classes[known], metric="cosine"))


def _representations(source: Source, figure: Mapping[str, Any], row: RowRuns, run: Run) -> Representations | None:
    """What a run's model makes of some of its test rows; None, and a line in the log, where it cannot be had."""
    kind = figure["kind"]
    try:
        model, processor = source.model(run)
    except FileNotFoundError as error:
        logger.warning("figure %s: row %s left out, %s", kind, row.row.name, error)
        return None
    rows = source.test_rows(row.row, run)
    chosen = balanced(np.array(column(rows, "label")), UTTERANCES[kind])
    return represent(model, processor, rows.select(chosen), run.results["settings"]["data"]["use_history"])
