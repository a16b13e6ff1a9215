"""What a reproduction has to run: the systems behind rows, their corpora and folds, and the runs in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_mer.data.protocols.folds import Fold, find_fold
from hf_mer.reproduction.row_settings import Resolver, System, rows_key
from hf_mer.reproduction.table import Table, TableError
from hf_mer.training.baselines.baseline_experiment import BaselineExperiment
from hf_mer.training.encoder_weights import check_encoder_weights
from hf_mer.training.experiment import Experiment
from hf_mer.training.required_checkpoints import require_checkpoints


@dataclass(frozen=True)
class Job:
    """One run: a system, a seed and a fold, and the rows that ask for it."""

    system: System = field(hash=False)
    key: str
    seed: int
    fold: str
    rows: tuple[str, ...] = ()  # of `table:row`

    @property
    def labels(self) -> list[str]:
        """What `--only` can say: `table:row/seed/fold`."""
        return [f"{row}/{self.seed}/{self.fold}" for row in self.rows]


class Plan:
    """The runs of the rows of some tables in one set-up, each once, whichever tables ask for it.

    Args:
        tables: The tables.
        resolver: Knows set-up, corpora and flags.
        seeds: Seeds, in order.
        output_dir: Where everything lies, see `Reproduction`.
        folds: Instead of those of the set-up.
        only: Patterns of `table:row/seed/fold`, of which one must fit; `*` and `?` as in a shell. The table may be
            left out.

    Attributes:
        systems: By `table:row`, those of the rows that are wanted.

    Raises:
        TableError: If settings cannot be met.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        resolver: Resolver,
        seeds: Sequence[int],
        output_dir: str | Path,
        folds: str | list[str] | None = None,
        only: Sequence[str] = (),
    ):
        self.tables, self.resolver, self.seeds = list(tables), resolver, list(seeds)
        self.output_dir, self.only, self.fold_choice = Path(output_dir), list(only), folds
        self._rows: dict[str, Dataset] = {}
        self._folds: dict[tuple[str, int], list[Fold]] = {}
        self.systems = {
            f"{table.name}:{row.name}": resolver.system(table, row)
            for table in self.tables
            for row in table.rows
            if not self.only or self._may_be_wanted(f"{table.name}:{row.name}")
        }
        if not self.systems:
            raise TableError(f"--only {' '.join(self.only)} matches no row")
        for name, system in self.systems.items():  # what cannot go together is said before any work
            try:
                self.experiment(system, self.seeds[0])
            except ValueError as error:
                raise TableError(f"{name}: {error}") from None

    @property
    def training(self) -> Any:
        """The training arguments of a run: what all runs share of them is how many processes there are."""
        return next(iter(self.systems.values())).arguments(self.output_dir, self.seeds[0]).training

    def experiment(self, system: System, seed: int) -> Any:
        """What runs a system's folds."""
        arguments = system.arguments(self.output_dir, seed)
        if arguments.model is None:
            return BaselineExperiment(system.kind, arguments.data, arguments.training)
        if system.pretraining is not None:
            arguments.model.speech_encoder = str(system.pretrained_folder(self.output_dir, seed) / "{fold}")
        return Experiment(arguments.model, arguments.data, arguments.store, arguments.training)

    def require_checkpoints(self) -> None:
        """Makes sure that what no run of this folder has started from yet can be had.

        Raises:
            HubError: If not.
            ValueError: If a folder holds no weights for its encoder.
        """
        for system in self.systems.values():
            model = system.arguments(self.output_dir, self.seeds[0]).model
            if model is not None and not any(system.folder(self.output_dir, seed).exists() for seed in self.seeds):
                require_checkpoints(model)
                check_encoder_weights(model)

    def jobs(self) -> list[Job]:
        """The runs in the order in which they are worked on: seed by seed, what others start from first.

        Raises:
            TableError: If there is none.
        """
        found: dict[tuple[str, int, str], Job] = {}
        for seed in self.seeds:
            for name, system in self.systems.items():
                for fold in self.fold_names(system, seed):
                    if self._wanted(f"{name}/{seed}/{fold}"):
                        self._add(found, system, seed, fold, name)
        if not found:
            raise TableError(
                f"--only {' '.join(self.only)} matches no run; runs are row/seed/fold, as --list prints them"
            )
        for job in found.values():
            rows, folds = self.rows(job.system, job.seed), self.folds(job.system, job.seed)
            self.experiment(job.system, job.seed).check(rows, [find_fold(folds, job.fold)])
        return list(found.values())

    def _add(self, found: dict, system: System, seed: int, fold: str, name: str | None) -> None:
        for source in system.uses.values():
            self._add(found, source, seed, fold, None)
        key = (system.key, seed, fold)
        rows = found[key].rows if key in found else ()
        found[key] = Job(system, system.key, seed, fold, (*rows, name) if name else rows)

    def _may_be_wanted(self, name: str) -> bool:
        return any(fnmatch(name, part) or fnmatch(name, f"*:{part}") for part in self._rows_of_only())

    def _wanted(self, label: str) -> bool:
        return not self.only or any(fnmatch(label, part) or fnmatch(label, f"*:{part}") for part in self.only)

    def _rows_of_only(self) -> Iterator[str]:
        """Patterns without seed and fold; the slash of a table's name stays."""
        for pattern in self.only:
            table, colon, rest = pattern.rpartition(":")
            yield f"{table}{colon}{rest.split('/')[0]}"

    def rows(self, system: System, seed: int) -> Dataset:
        """The corpus of a system and a seed; loaded and checked once for all that see the same of it."""
        experiment = self.experiment(system, seed)
        key = rows_key(experiment.data_arguments, experiment.modalities)
        if key not in self._rows:
            self._rows[key] = experiment.load()
        return self._rows[key]

    def folds(self, system: System, seed: int) -> list[Fold]:
        """All folds of a system's protocol; they depend on the seed where validation speakers are drawn."""
        key = (system.key, seed)
        if key not in self._folds:
            self._folds[key] = self.experiment(system, seed).folds(self.rows(system, seed))
        return self._folds[key]

    def fold_names(self, system: System, seed: int) -> list[str]:
        """The folds that a seed runs."""
        names = [fold.name for fold in self.folds(system, seed)]
        choice = self.fold_choice or system.folds
        if choice == "one_per_seed":
            return [names[(seed - 1) % len(names)]]
        if choice == "all":
            return names
        return [find_fold(self.folds(system, seed), name).name for name in choice]
