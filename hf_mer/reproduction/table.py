"""Tables of systems as data: which rows a paper's table has, with which settings, and what it published."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hf_mer.metrics.scores import SCORE_NAMES
from hf_mer.plots.sweep import SCALES
from hf_mer.training.settings.parsing import YamlLoader
from hf_mer.training.settings.systems import SYSTEMS, known_name, setting_names

TABLES_FOLDER = Path("recipes/tables")
FOLDS = ("all", "one_per_seed")
FIGURE_KINDS: dict[str, tuple[str, ...]] = {
    "scores": ("published",),
    "sweep": ("setting", "xlabel", "scale", "published"),
    "confusion": (),
    "tsne": (),
    "gates": (),
    "attention": (),
}
"""Figures that a table can ask for, and the keys that they know beside those of all."""
_FIGURE_KEYS = ("kind", "rows", "name", "title")
_NAME = re.compile(r"[A-Za-z0-9._+-]+")


class TableError(ValueError):
    """A table's file is not what it should be; the message names file and place."""


@dataclass(frozen=True)
class SetUp:
    """How a table's rows are run on a corpus.

    Attributes:
        name: What chooses it.
        config: Name of the settings file in `recipes/configs` that all rows start from; one for each system that
            needs its own.
        settings: On top of it.
        folds: `all`, `one_per_seed` (seed `s` tests fold `(s - 1)` modulo their number), or names.
        pretraining: Settings of the second stage.
        seeds: How many seeds are run unless told otherwise.
    """

    name: str
    config: str | dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    folds: str | list[str] = "all"
    pretraining: dict[str, Any] = field(default_factory=dict)
    seeds: int = 1


@dataclass(frozen=True)
class Row:
    """A system of a table.

    Attributes:
        name: Of the row.
        title: What is printed.
        system: One of `SYSTEMS`.
        settings: Over the set-up's and the table's.
        setups: Further settings by set-up.
        second_stage: Whether the speech encoder is pretrained further on the training part of the fold.
        uses: Settings that name the model of another row (`A5`, or `le_mer/table1:A5`) of the same seed and fold.
        published: Scores in %, by name.
    """

    name: str
    title: str
    system: str
    settings: dict[str, Any] = field(default_factory=dict)
    setups: dict[str, dict[str, Any]] = field(default_factory=dict)
    second_stage: bool = False
    uses: dict[str, str] = field(default_factory=dict)
    published: dict[str, float] | None = None


@dataclass(frozen=True)
class Claim:
    """That a row is better than another."""

    better: str
    than: str
    claim: str


@dataclass(frozen=True)
class Table:
    """A table of a paper, or of the same kind.

    Attributes:
        name: `le_mer/table1`.
        title: Its caption.
        source: Where the published figures stand.
        system: The system of rows that name none.
        scores: Its columns.
        setups: By name.
        settings: Of all rows.
        rows: In order.
        published_only: Systems of others: `title` and scores in %.
        claims: What is to be shown.
        figures: What is drawn, see `check_figure`.
    """

    name: str
    title: str
    source: str
    system: str
    scores: tuple[str, ...]
    setups: dict[str, SetUp]
    settings: dict[str, Any]
    rows: tuple[Row, ...]
    published_only: tuple[dict[str, Any], ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[dict[str, Any], ...] = ()

    def row(self, name: str) -> Row:
        """The row of that name.

        Raises:
            TableError: If there is none; the message has the names.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise TableError(f"{self.name} has no row '{name}'; its rows are {', '.join(row.name for row in self.rows)}")


@dataclass(frozen=True)
class Run:
    """A finished run: what a fold's folder holds."""

    seed: int
    fold: str
    folder: Path
    results: dict[str, Any]


@dataclass(frozen=True)
class RowRuns:
    """The finished runs of a row, out of `expected` ones."""

    row: Row
    runs: list[Run]
    expected: int


@dataclass(frozen=True)
class TableRuns:
    """The finished runs of a table in one set-up."""

    table: Table
    setup: str
    rows: list[RowRuns]


def table_names(folder: str | Path = TABLES_FOLDER) -> list[str]:
    """The tables of a folder, `le_mer/table1` for `le_mer/table1.yaml`."""
    root = Path(folder)
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def load_table(name: str, folder: str | Path = TABLES_FOLDER) -> Table:
    """Reads a table and checks it.

    Args:
        name: `le_mer/table1` of the folder, or the path of a file.
        folder: Where tables lie.

    Raises:
        TableError: If there is no such table, or anything in it is not known; all problems in one message.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else Path(folder) / f"{name}.yaml"
    if not path.is_file():
        raise TableError(f"no table '{name}' ({path}); there are {', '.join(table_names(folder)) or 'none'}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=YamlLoader)
    except yaml.YAMLError as error:
        raise TableError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise TableError(f"{path}: must contain a mapping, not {type(content).__name__}")
    name = name if Path(name).suffix == "" else path.with_suffix("").as_posix()
    try:
        return _table(name, content)
    except ValueError as error:
        raise TableError(f"{path}: {error}") from None


def _table(name: str, content: dict[str, Any]) -> Table:
    required = ("title", "source", "system", "scores", "setups", "rows")
    _known(content, (*required, "settings", "published_only", "claims", "figures"), "the table", required)
    system = known_name("system", content["system"], SYSTEMS)
    scores = tuple(known_name("scores", score, SCORE_NAMES) for score in content["scores"])
    setups = {key: _set_up(key, value) for key, value in content["setups"].items()}
    rows = tuple(_row(item, system, setups, scores) for item in content["rows"])
    names = [row.name for row in rows]
    repeated = sorted({row for row in names if names.count(row) > 1})
    if repeated:
        raise TableError(f"rows {', '.join(repeated)} occur more than once")
    claims = tuple(_claim(item, names) for item in content.get("claims") or ())
    figures = tuple(_figure(item, names) for item in content.get("figures") or ())
    return Table(
        name=name,
        title=content["title"],
        source=content["source"],
        system=system,
        scores=scores,
        setups=setups,
        settings=dict(content.get("settings") or {}),
        rows=rows,
        published_only=tuple(_others(item, scores) for item in content.get("published_only") or ()),
        claims=claims,
        figures=figures,
    )


def _set_up(name: str, content: dict[str, Any]) -> SetUp:
    _known(content, ("config", "settings", "folds", "pretraining", "seeds"), f"set-up '{name}'", ("config",))
    folds = content.get("folds", "all")
    if isinstance(folds, str):
        known_name(f"set-up '{name}': folds", folds, FOLDS)
    return SetUp(
        name,
        content["config"],
        dict(content.get("settings") or {}),
        folds if isinstance(folds, str) else [str(fold) for fold in folds],
        dict(content.get("pretraining") or {}),
        int(content.get("seeds", 1)),
    )


def _row(content: dict[str, Any], system: str, setups: Mapping[str, SetUp], scores: tuple[str, ...]) -> Row:
    name = str(content.get("name", ""))
    if not _NAME.fullmatch(name):
        raise TableError(f"row name '{name}' may have letters, digits and . _ + - only")
    known = ("name", "title", "system", "settings", "setups", "second_stage", "uses", "published")
    _known(content, known, f"row {name}", ("title",))
    for key in content.get("setups") or {}:
        known_name(f"row {name}: setups", key, setups)
    published = content.get("published")
    for key in published or {}:
        known_name(f"row {name}: published", key, scores)
    return Row(
        name,
        str(content["title"]),
        known_name(f"row {name}: system", content.get("system", system), SYSTEMS),
        dict(content.get("settings") or {}),
        {key: dict(value or {}) for key, value in (content.get("setups") or {}).items()},
        bool(content.get("second_stage", False)),
        dict(content.get("uses") or {}),
        None if published is None else {key: float(value) for key, value in published.items()},
    )


def _others(content: dict[str, Any], scores: tuple[str, ...]) -> dict[str, Any]:
    _known(content, ("title", *scores), "published_only", ("title",))
    return {key: value if key == "title" else float(value) for key, value in content.items() if value is not None}


def _claim(content: dict[str, Any], names: list[str]) -> Claim:
    _known(content, ("better", "than", "claim"), "claims", ("better", "than", "claim"))
    for key in ("better", "than"):
        known_name(f"claim '{content['claim']}': {key}", content[key], names)
    return Claim(content["better"], content["than"], str(content["claim"]))


def check_figure(figure: Mapping[str, Any]) -> None:
    """Refuses a figure of a table's file that could not be drawn, before any work starts.

    All kinds know `kind`, `rows` (names of rows; all if not given), `name` (of the files; the kind if not given) and
    `title`. `scores` and `sweep` know `published` (whether the paper's figures are drawn; they are if not given), and
    `sweep`, over the rows that set a setting, `setting` (parts of a mapping as in `loss_weights.margin`), `xlabel`
    (the setting's name if not given) and `scale` (`linear` if not given).

    Raises:
        ValueError: With what is wrong and what is valid.
    """
    kind = known_name("figures: kind", figure.get("kind"), FIGURE_KINDS)
    where = f"figure {kind}"
    for key in figure:
        known_name(where, key, (*_FIGURE_KEYS, *FIGURE_KINDS[kind]))
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


def _figure(content: Any, names: list[str]) -> dict[str, Any]:
    _known(content, content if isinstance(content, dict) else (), "figures", ("kind",))
    check_figure(content)
    for row in content.get("rows") or ():
        known_name(f"figure {content['kind']}: rows", row, names)
    return dict(content)


def _known(content: Any, known: Iterable[str], where: str, required: Iterable[str]) -> None:
    if not isinstance(content, dict):
        raise TableError(f"{where}: must be a mapping, not {content!r}")
    for key in content:
        known_name(where, key, known)
    missing = [key for key in required if content.get(key) is None]
    if missing:
        raise TableError(f"{where}: {', '.join(missing)} missing")
