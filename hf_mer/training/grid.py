"""Settings that are chosen by nested validation: a grid and its candidates."""

import copy
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from hf_mer.training.building import fill
from hf_mer.training.label_store.builder import LabelStoreArguments
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.deciding import check_settings
from hf_mer.training.settings.model_arguments import ModelArguments
from hf_mer.training.settings.systems import known_name

FIXED = (
    "corpus", "data_dir", "task", "columns", "encoding", "labels", "on_bad_audio", "protocol", "validation",
    "test_session", "group_column", "num_groups", "folds", "num_proc", "checkpoint", "unimodal_text",
    "unimodal_speech", "do_train", "metric_for_best_model", "grid", "grid_folds", "output_dir", "overwrite",
    "figures", "use_cpu", "word_error_rate", "word_error_parts", "word_error_shares",
)  # fmt: skip
"""Settings that no grid may have: they say which rows and folds there are, what is compared, or where files lie."""
READING = ("max_history", "max_audio_seconds", "num_frames", "max_video_seconds", "split_screen", "modalities")
"""Settings that a corpus is loaded by; a candidate that changes one loads it anew."""


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
    return {name: getattr(group, name) for group in settings for name in READING if hasattr(group, name)}


def grid_candidates(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Every combination of a grid's values by a name that can be a folder: `tonal_top_k=50,learning_rate=0.001`.

    The name depends on the candidate alone, so that a larger grid finds what a smaller one has run.
    """
    candidates = {}
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        name = ",".join(f"{key}={_short(value)}" for key, value in settings.items())
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
        if name in FIXED:
            raise ValueError(f"grid: '{name}' must be the same for all candidates")
    if settings.model.trained or not settings.training.do_train:
        raise ValueError("grid: a trained checkpoint knows the rows that a setting would be chosen by; give no grid")
    candidates = {}
    for name, changes in grid_candidates(grid).items():
        try:
            candidates[name] = settings.changed(changes)
            check_settings(*candidates[name])
        except (TypeError, ValueError) as error:
            raise ValueError(f"grid, candidate {name}: {error}") from error
    return candidates


def _short(value: Any, longest: int = 40) -> str:
    """A value as a part of a folder's name; what does not fit into one is told apart by a hash."""
    text = str(value)
    plain = re.sub(r"[^\w.+-]+", "_", text).strip("_")
    if plain == text and len(plain) <= longest:
        return plain
    return f"{plain[:longest]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
