"""Figures of a table that need its results alone: scores, sweeps over a setting, confusions."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_mer.files import Drawn
from hf_mer.plots import confusion_panels, row_shares, score_sweep, table_scores
from hf_mer.reproduction.figure_sources import NothingToDrawError, Source, full_title, panel_title
from hf_mer.reproduction.known_ceilings import ceiling
from hf_mer.reproduction.statistics import row_statistics, units_of
from hf_mer.reproduction.table import Row, RowRuns

logger = logging.getLogger(__name__)

_NOTHING = (float("nan"), float("nan"), float("nan"))
_MISSING = object()


def draw_scores(source: Source, figure: Mapping[str, Any]) -> list[Drawn]:
    """Every row as a point with its interval, beside the published figure and the ceiling."""
    measured = {row.row.name: row for row in source.rows(figure)}
    table = source.runs.table
    rows = [row for row in table.rows if row.name in figure.get("rows", [row.name])]
    with_published = figure.get("published", True)
    others = table.published_only if with_published else ()
    entries = [(row.name, row.title, full_title(row), measured.get(row.name), row.published) for row in rows]
    entries += [("", str(other["title"]), str(other["title"]), None, other) for other in others]
    records: list[Sequence[Any]] = []
    arrays: dict[str, np.ndarray] = {}  # mean, low, high, published, ceiling of every entry
    for score in table.scores:
        numbers = [
            (
                *(_NOTHING if runs is None else _interval(source, runs, score)),
                _published(figures, score) if with_published else float("nan"),
                _ceiling(source, runs, score),
            )
            for *_, runs, figures in entries
        ]
        arrays[score.upper()] = np.array(numbers)
        for (name, title, _, runs, _), line in zip(entries, numbers, strict=True):
            records.append((name, title, score, 0 if runs is None else len(runs.runs), *line))
    drawn = table_scores(
        [shown for _, _, shown, *_ in entries],
        {score: numbers[:, :3] for score, numbers in arrays.items()},
        {score: numbers[:, 3] for score, numbers in arrays.items()},
        {score: numbers[:, 4] for score, numbers in arrays.items()},
        num_measured=len(rows),
        title=figure.get("title", table.title),
    )
    columns = ("row", "title", "score", "runs", "mean", "low", "high", "published", "ceiling")
    return [Drawn(figure.get("name", "scores"), drawn, columns, records)]


def draw_sweep(source: Source, figure: Mapping[str, Any]) -> list[Drawn]:
    """Scores against a setting, over the rows that set it, or over those that are named.

    Raises:
        NothingToDrawError: If no row with runs sets it, or two rows set it to the same value.
    """
    table, setting, scale = source.runs.table, figure["setting"], figure.get("scale", "linear")
    names = figure.get("rows") or [row.name for row in table.rows if _is_set(row, source.runs.setup, setting)]
    if not names:
        raise NothingToDrawError(f"no row sets {setting}")
    rows = source.rows({**figure, "rows": names})
    values = [_value(row, source.runs.setup, setting) for row in rows]
    texts = [str(value) for value in values]
    for text in texts:
        if texts.count(text) > 1:
            same = [row.row.name for row, other in zip(rows, texts, strict=True) if other == text]
            raise NothingToDrawError(f"rows {', '.join(same)} all have {setting}={text}; name the rows of the figure")
    triples = {score: [_interval(source, row, score) for row in rows] for score in table.scores}
    published = {score: [_published(row.row.published, score) for row in rows] for score in table.scores}
    if not figure.get("published", True) or not np.isfinite(list(published.values())).any():
        published = {}
    drawn = score_sweep(
        texts if scale == "category" else [float(value) for value in values],
        {score.upper(): tuple(zip(*triple, strict=True)) for score, triple in triples.items()},  # type: ignore[misc]
        figure.get("xlabel", setting),
        scale=scale,
        published={score.upper(): figures for score, figures in published.items()},
        title=figure.get("title", table.title),
    )
    records: list[Sequence[Any]] = [
        (row.row.name, value, score, len(row.runs), *triples[score][i], published.get(score, _NOTHING * len(rows))[i])
        for score in table.scores
        for i, (row, value) in enumerate(zip(rows, values, strict=True))
    ]
    columns = ("row", setting, "score", "runs", "mean", "low", "high", "published")
    return [Drawn(figure.get("name", f"sweep_{setting}"), drawn, columns, records)]


def draw_confusion(source: Source, figure: Mapping[str, Any]) -> list[Drawn]:
    """Shares of the true class, summed over the folds of a seed; their mean and deviation over seeds.

    Rows of other classes get a figure of their own.
    """
    groups: dict[tuple[str, ...], list[RowRuns]] = {}
    for row in source.rows(figure):
        groups.setdefault(tuple(row.runs[0].results["test"]["confusion"]["labels"]), []).append(row)
    file = figure.get("name", "confusion")
    found = []
    for labels, rows in groups.items():
        shares = {row.row.name: _shares_of_seeds(row) for row in rows}  # (seeds, C, C)
        # over seeds that have utterances of the class; NaN where none has
        means = {row: np.ma.masked_invalid(one).mean(axis=0).filled(np.nan) for row, one in shares.items()}
        deviations = {row: of_seeds.std(axis=0, ddof=1) for row, of_seeds in shares.items() if len(of_seeds) > 1}
        records: list[Sequence[Any]] = []
        for system, mean in means.items():
            spread = deviations.get(system, np.full_like(mean, np.nan))
            for (true, predicted), share in np.ndenumerate(mean):
                place = (system, labels[true], labels[predicted])
                records.append((*place, len(shares[system]), share, spread[true, predicted]))
        title = figure.get("title", source.runs.table.title)
        shown = {row.row.name: panel_title(row.row) for row in rows}
        drawn = confusion_panels(
            {shown[name]: mean for name, mean in means.items()},
            list(labels),
            {shown[name]: deviation for name, deviation in deviations.items()},
            title=title,
        )
        columns = ("row", "true", "predicted", "seeds", "share", "deviation")
        own = file if len(groups) == 1 else f"{file}_{'_'.join(means)}"
        found.append(Drawn(own, drawn, columns, records))
    return found


def _shares_of_seeds(row: RowRuns) -> np.ndarray:
    """Row shares of each seed's matrix, which is the sum over its folds. Shape `(seeds, C, C)`."""
    summed: dict[int, np.ndarray] = {}
    for run in row.runs:
        matrix = np.array(run.results["test"]["confusion"]["matrix"])
        summed[run.seed] = summed.get(run.seed, 0) + matrix
    return np.stack([row_shares(matrix) for matrix in summed.values()])


def _interval(source: Source, row: RowRuns, score: str) -> tuple[float, float, float]:
    """Mean and interval as the report has them, as fractions; of a single run, the one over its utterances."""
    found = row_statistics(row, [score], units_of(source.runs))["scores"][score]
    mean, interval = found["mean"] / 100, found["interval_95"]
    if interval is not None:
        low, high = interval[0] / 100, interval[1] / 100
    elif len(row.runs) == 1:
        low, high = row.runs[0].results["test"].get("intervals_95", {}).get(score, (mean, mean))
    else:
        low, high = mean, mean
    return mean, min(max(low, 0.0), mean), max(min(high, 1.0), mean)


def _published(figures: Mapping[str, Any] | None, score: str) -> float:
    """A published figure, in % in the table's file, as a fraction."""
    value = (figures or {}).get(score)
    return float("nan") if value is None else float(value) / 100


def _ceiling(source: Source, row: RowRuns | None, score: str) -> float:
    if row is None:
        return float("nan")
    found = ceiling(row.runs[0].results, source.data_dir(row.row), score)
    return float("nan") if found is None else found


def _is_set(row: Row, setup: str, setting: str) -> bool:
    return any(_look_up(level, setting) is not _MISSING for level in (row.settings, row.setups.get(setup, {})))


def _value(row: RowRuns, setup: str, setting: str) -> Any:
    """What a row sets a setting to, or else what its runs say it was."""
    for level in (row.row.setups.get(setup, {}), row.row.settings, *row.runs[0].results["settings"].values()):
        found = _look_up(level, setting)
        if found is not _MISSING and found is not None:
            return found
    raise NothingToDrawError(f"row {row.row.name}: the value of {setting} is not known")


def _look_up(settings: Any, name: str) -> Any:
    """A setting, or a part of one (`loss_weights.margin`)."""
    for part in name.split("."):
        if not isinstance(settings, Mapping) or part not in settings:
            return _MISSING
        settings = settings[part]
    return settings
