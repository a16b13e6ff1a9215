"""From a row of a table to the settings of its runs; equal settings are one system, whichever rows ask for it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_mer.reproduction.table import TABLES_FOLDER, Row, Table, TableError, load_table
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.parsing import parse_arguments, read_yaml
from hf_mer.training.settings.roles import Role, deciding, values_with
from hf_mer.training.settings.systems import SYSTEMS, argument_types, setting_names

CONFIGS_FOLDER = Path("recipes/configs")
# flags that are the second stage's, too: how much is computed, and how; rates and schedules are each stage's own
_OF_BOTH_STAGES = (
    "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "bf16", "fp16",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Arguments:
    """Settings of one run in their dataclasses; `model` and `store` are None where a system has none."""

    model: Any
    data: DataArguments
    training: MerTrainingArguments
    store: Any = None
    pretraining: Any = None


@dataclass
class System:
    """A row's settings in one set-up.

    Attributes:
        kind: One of `SYSTEMS`.
        settings: Everything but seed, folds and folders.
        flags: Of the command line, over the settings.
        pretraining: Settings of the second stage, or None.
        uses: By setting, the systems whose models it starts from.
        folds: As of `SetUp`.
    """

    kind: str
    settings: dict[str, Any]
    flags: list[str]
    pretraining: dict[str, Any] | None
    uses: dict[str, "System"]
    folds: str | list[str]
    key: str = field(init=False)
    pretraining_key: str | None = field(init=False)

    def __post_init__(self) -> None:
        plain = self._parse(0, "unused", {})
        if self.pretraining is not None:
            self.pretraining = {**self.pretraining, **self._flags_of_second_stage(plain.training)}
        training: Any = plain.training
        off = {name: getattr(training, name) for name in ("label_smoothing_factor", "grid", "grid_folds")}
        content = {
            "kind": self.kind,
            "model": None if plain.model is None else asdict(plain.model),
            "data": deciding(plain.data),
            "data_dir": plain.data.data_dir,
            "store": None if plain.store is None else asdict(plain.store),
            # folders of runs are called after this, and always have been after what is off, too
            "training": {name: value for name, value in {**off, **deciding(training)}.items() if name != "seed"},
            "uses": {name: system.key for name, system in self.uses.items()},
        }
        self.pretraining_key = None
        if self.pretraining is not None:
            heard = values_with(Role.HEARD, plain.data)
            encoder = [plain.model.speech_encoder, plain.model.speech_overrides, plain.model.feature_extractor]
            self.pretraining_key = _digest([encoder, heard, self.pretraining])
            content["pretraining"] = self.pretraining_key
        self.key = f"{self.kind}-{_digest(content)}"

    def folder(self, output_dir: Path, seed: int) -> Path:
        """Where the folds of a seed lie."""
        return output_dir / "runs" / self.key / f"seed{seed}"

    def pretrained_folder(self, output_dir: Path, seed: int) -> Path:
        """Where the second stage of every fold lies."""
        return output_dir / "pretrained" / str(self.pretraining_key) / f"seed{seed}"

    def arguments(self, output_dir: Path, seed: int) -> Arguments:
        """Settings of the runs of a seed, with the folders of what they start from."""
        sources = {
            name: str(system.folder(output_dir, seed) / "{fold}" / "model") for name, system in self.uses.items()
        }
        return self._parse(seed, str(self.folder(output_dir, seed)), sources)

    def _parse(self, seed: int, folder: str, sources: dict[str, str]) -> Arguments:
        types = argument_types(self.kind)
        model = SYSTEMS[self.kind]
        defaults = {**(model.training_defaults if model else {}), **self.settings, **sources}
        defaults.update(seed=seed, output_dir=folder, data_dir=for_seed(defaults["data_dir"], seed))
        parsed = parse_arguments(types, self.flags, defaults)
        by_type = dict(zip(types, parsed, strict=True))
        data, training = by_type.pop(DataArguments), by_type.pop(MerTrainingArguments)
        own = by_type.pop(model) if model else None
        return Arguments(own, data, training, next(iter(by_type.values()), None), self._second_stage(training, seed))

    def _flags_of_second_stage(self, training: MerTrainingArguments) -> dict[str, Any]:
        """What the flags say of both stages."""
        given = {flag[2:].split("=")[0].replace("-", "_") for flag in self.flags if flag.startswith("--")}
        return {name: getattr(training, name) for name in _OF_BOTH_STAGES if name in given}

    def _second_stage(self, training: MerTrainingArguments, seed: int) -> Any:
        if self.pretraining is None:
            return None
        from hf_mer.training.pretraining.fold import PretrainingArguments

        shared = {name: getattr(training, name) for name in ("use_cpu", "disable_tqdm")}
        settings = {**shared, **self.pretraining, "seed": seed, "output_dir": "unused"}
        return parse_arguments([PretrainingArguments], [], settings)[0]


class Resolver:
    """Finds the system of a row.

    Args:
        setup: Name of the set-up.
        data_dirs: Corpora by name; the nameless one is every row's that names none.
        flags: Of the command line, for all rows.
        tables_folder: Where tables lie.
        configs_folder: Where settings files lie.
    """

    def __init__(
        self,
        setup: str,
        data_dirs: Mapping[str, str],
        flags: Sequence[str] = (),
        tables_folder: str | Path = TABLES_FOLDER,
        configs_folder: str | Path = CONFIGS_FOLDER,
    ):
        self.setup, self.data_dirs, self.flags = setup, dict(data_dirs), list(flags)
        self.tables_folder, self.configs_folder = Path(tables_folder), Path(configs_folder)
        self._found: dict[tuple[str, str], System] = {}

    def system(self, table: Table, row: Row) -> System:
        """The system of a row.

        Raises:
            TableError: If the set-up, a setting, a corpus or a row that is used is not known.
        """
        if (table.name, row.name) not in self._found:
            try:
                self._found[table.name, row.name] = self._resolve(table, row)
            except ValueError as error:
                raise TableError(f"{table.name}, row {row.name}: {error}") from None
        return self._found[table.name, row.name]

    def _resolve(self, table: Table, row: Row) -> System:
        if self.setup not in table.setups:
            raise ValueError(f"no set-up '{self.setup}'; there are {', '.join(table.setups)}")
        setup = table.setups[self.setup]
        settings = self._config(setup.config, row, table)
        for level in (setup.settings, table.settings, row.settings, row.setups.get(self.setup, {})):
            foreign = set(level) - setting_names(row.system)
            mine = level is row.settings or row.system == table.system
            if foreign and (mine or foreign - setting_names(table.system)):
                raise ValueError(f"settings {', '.join(sorted(foreign))} are not among those of {row.system}")
            settings.update({name: value for name, value in level.items() if name not in foreign})
        settings["data_dir"] = self._data_dir(settings.get("data_dir"))
        uses = {}
        for name, reference in row.uses.items():
            if name not in setting_names(row.system):
                raise ValueError(f"uses: '{name}' is not a setting of {row.system}")
            other, _, wanted = reference.rpartition(":")
            source = load_table(other, self.tables_folder) if other else table
            uses[name] = self.system(source, source.row(wanted))
        if row.second_stage and not setup.pretraining:
            raise ValueError(f"second_stage, but set-up '{setup.name}' has no settings of pretraining")
        pretraining = dict(setup.pretraining) if row.second_stage else None
        return System(row.system, settings, self.flags, pretraining, uses, setup.folds)

    def _config(self, config: str | dict[str, str], row: Row, table: Table) -> dict[str, Any]:
        """The settings file; of one that is another system's, what the row's system has too."""
        name = config if isinstance(config, str) else config.get(row.system)
        if name is None:
            raise ValueError(f"the set-up has no config for {row.system}")
        path = self.configs_folder / f"{name}.yaml"
        settings = read_yaml(path)
        own = setting_names(row.system)
        foreign = set(settings) - own
        others = set().union(*(setting_names(system) for system in SYSTEMS))
        if foreign - others or (foreign and row.system == table.system and isinstance(config, str)):
            raise ValueError(f"{path}: unknown settings {', '.join(sorted(foreign))}")
        return {key: value for key, value in settings.items() if key in own}

    def _data_dir(self, wanted: str | None) -> str:
        if wanted is None:
            if "" in self.data_dirs:
                return self.data_dirs[""]
            wanted = f"{{{self.setup if self.setup in self.data_dirs else next(iter(self.data_dirs), self.setup)}}}"
            if len(self.data_dirs) > 1 and self.setup not in self.data_dirs:
                raise ValueError(f"which of the corpora {', '.join(self.data_dirs)}? Name one {self.setup}")

        def fill(match: re.Match) -> str:
            name = match.group(1)
            if name not in self.data_dirs:
                given = ", ".join(key for key in self.data_dirs if key) or "none"
                raise ValueError(f"needs --data_dir {name}=FOLDER; given: {given}")
            return self.data_dirs[name]

        return _PLACEHOLDER.sub(fill, wanted)


def for_seed(data_dir: str, seed: int) -> str:
    """The corpus of a seed: `{seed}` in its path is the seed's number, where every fold is a table of its own."""
    return str(data_dir).replace("{seed}", str(seed))


def rows_key(data: DataArguments, modalities: Sequence[str]) -> str:
    """What the loading of a corpus depends on."""
    return _digest([values_with(Role.LOADS, data), sorted(modalities)])


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=lambda value: getattr(value, "value", str(value)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
