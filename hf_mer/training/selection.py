"""Nested validation: settings are chosen inside every fold, from a grid, by inner folds of its training rows."""

import copy
import hashlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from hf_mer.data.protocols.folds import Fold
from hf_mer.training.building import fill
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.checking import check_settings
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.settings.model_arguments import ModelArguments
from hf_mer.training.settings.roles import Role, harmless_names, names_with, values_with
from hf_mer.training.settings.systems import known_name


def select_candidate(
    candidates: Mapping[str, Any],
    folds: Sequence[Fold],
    run_fold: Callable[[str, Fold], Mapping[str, Any]],
    metric: str = "ua",
) -> dict[str, Any]:
    """Runs every candidate on every inner fold, and chooses the one with the best mean score.

    With `nested_folds` this is nested validation: the outer test has no part in the choice.

    ```python
    candidates = {"C=1": {"C": 1}, "C=10": {"C": 10}}


    def run_fold(fold):
        inner = nested_folds(rows, fold, "leave_one_speaker_out")
        nested = select_candidate(candidates, inner, lambda name, one: train_and_test(one, **candidates[name]))
        return {**train_and_test(fold, **candidates[nested["choice"]]), "nested": nested}
    ```

    Args:
        candidates: Settings by name.
        folds: Inner folds, see `nested_folds`.
        run_fold: From a candidate's name and an inner fold to results, of which `["test"]["scores"]` counts.
        metric: `wa`, `ua` or `wf1`.

    Returns:
        `metric`, `folds` (names of the inner folds), `candidates` (of each `name`, `settings`, `scores` by inner
        fold, and `mean` of the metric) and `choice`, the name of the best; of equal ones the first.

    Raises:
        ValueError: If there is no candidate or no inner fold.
    """
    if not candidates or not folds:
        raise ValueError(f"{len(candidates)} candidates and {len(folds)} inner folds: nothing to choose from")
    tried = []
    for name, settings in candidates.items():
        scores = {fold.name: dict(run_fold(name, fold)["test"]["scores"]) for fold in folds}
        mean = float(np.mean([score[metric] for score in scores.values()]))
        tried.append({"name": name, "settings": settings, "scores": scores, "mean": mean})
    best = max(tried, key=lambda candidate: candidate["mean"])
    return {"metric": metric, "folds": [fold.name for fold in folds], "candidates": tried, "choice": best["name"]}


class Settings(NamedTuple):
    """All settings of a system."""

    model: ModelArguments
    data: DataArguments
    store: LabelStoreArguments | None
    training: MerTrainingArguments

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """A copy with other values of some settings, whichever of the four they belong to."""
        groups: list[Any] = []
        group: Any
        for group in self:
            own = {} if group is None else {item.name for item in fields(group) if item.init}
            mine = {name: copy.deepcopy(value) for name, value in changes.items() if name in own}
            groups.append(replace(group, **mine) if mine else group)
        return Settings(*groups)

    def names(self) -> list[str]:
        """Every setting."""
        return [item.name for group in self if group is not None for item in fields(group) if item.init]

    def of_fold(self, fold: str) -> "Settings":
        """With the fold's name in the place of `{fold}`: inner folds start from what belongs to their outer one."""
        values = {item.name: getattr(self.model, item.name) for item in fields(self.model)}
        filled = {name: fill(value, fold) for name, value in values.items() if isinstance(value, str)}
        return self.changed({name: value for name, value in filled.items() if value != values[name]})


def reading_settings(settings: Settings) -> dict[str, Any]:
    """What a corpus is loaded by, as far as candidates may differ in it."""
    groups = (settings.model, settings.data)
    read = {name: value for group in groups for name, value in values_with(Role.LOADS, group).items()}
    return {name: value for name, value in read.items() if name not in _same_for_all(settings)}


def _same_for_all(settings: Settings) -> set[str]:
    """Settings that no grid may have: which rows and folds there are, what is compared, and what decides nothing."""
    groups = [group for group in settings if group is not None]
    return {*names_with(Role.FIXED, *groups), *harmless_names(*groups)}


def grid_candidates(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Every combination of a grid's values by a name that can be a folder: `tonal_top_k=50,learning_rate=0.001`.

    The name depends on the candidate alone, so that a larger grid finds what a smaller one has run.
    """
    candidates = {}
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        name = _folder(",".join(f"{key}={_short(value)}" for key, value in settings.items()))
        if name in candidates:
            raise ValueError(f"grid: the candidate {name} is there twice")
        candidates[name] = settings
    return candidates


def check_grid(settings: Settings) -> dict[str, Settings]:
    """The candidates of `settings.training.grid`, each with all its settings; none without a grid.

    Raises:
        ValueError: If the grid names what is no setting, or one that must not differ between candidates; if a
            candidate's settings are not valid; or if the system is not trained.
    """
    grid: Any = settings.training.grid
    if not grid:
        return {}
    for name in grid:
        known_name("grid", name, settings.names())
        if name in _same_for_all(settings):
            raise ValueError(f"grid: '{name}' must be the same for all candidates")
    if settings.model.trained or not settings.training.do_train:
        raise ValueError(
            "grid: a trained checkpoint has seen the rows that settings would be chosen on; leave grid out"
        )
    candidates = {}
    for name, changes in grid_candidates(grid).items():
        try:
            candidates[name] = settings.changed(changes)
            check_settings(*candidates[name])
        except (TypeError, ValueError) as error:
            raise ValueError(f"grid, candidate {name}: {error}") from error
    return candidates


def _folder(name: str, longest: int = 200) -> str:
    """A name that file systems take for a folder: of a longer one the beginning and a hash."""
    if len(name) <= longest:
        return name
    return f"{name[:longest]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _short(value: Any, longest: int = 40) -> str:
    """A value as a part of a folder's name; what does not fit into one is told apart by a hash."""
    text = str(value)
    plain = re.sub(r"[^\w.+-]+", "_", text).strip("_")
    if plain == text and len(plain) <= longest:
        return plain
    return f"{plain[:longest]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
