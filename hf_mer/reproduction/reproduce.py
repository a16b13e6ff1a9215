"""Runs the rows of tables over folds and seeds, each once, and reports after every run."""

import argparse
import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from datasets import Dataset
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from tqdm.auto import tqdm

from hf_mer.data.protocols.folds import Fold, find_fold
from hf_mer.files import write_text
from hf_mer.hub.errors import hub_or_cache
from hf_mer.reproduction.markdown import results_table
from hf_mer.reproduction.row_settings import Resolver, System, rows_key
from hf_mer.reproduction.summary import summary
from hf_mer.reproduction.table import (
    TABLES_FOLDER,
    RowRuns,
    Run,
    Table,
    TableError,
    TableRuns,
    load_table,
    table_names,
)
from hf_mer.reproduction.table_figures import draw_table_figures
from hf_mer.reproduction.table_report import read_report, write_report
from hf_mer.stopping import lacks_space
from hf_mer.training.baselines.experiment import BaselineExperiment
from hf_mer.training.checkpoints import require_checkpoints
from hf_mer.training.experiment import Experiment
from hf_mer.training.pretraining.fold import pretrain_fold
from hf_mer.training.recipe import a_script, set_verbosity

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 5.0  # at a run that another process has


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


class Reproduction:
    """Every run of the rows of some tables in one set-up.

    Runs lie in `output_dir/runs`, one folder for each system, seed and fold, whichever tables ask for it; label stores
    in `output_dir/shared`, second stages in `output_dir/pretrained`, results in `output_dir/<table>/<set-up>`. Several
    processes or machines may work in one folder: a run is worked on under its lock, what is locked is left to the
    other and looked at again at the end.

    Args:
        tables: The tables.
        resolver: Knows set-up, corpora and flags.
        seeds: Seeds, in order.
        output_dir: The folder.
        folds: Instead of those of the set-up.
        only: Patterns of `table:row/seed/fold`, of which one must fit; `*` and `?` as in a shell. The table may be
            left out.
        figures: Whether to draw the tables' figures at the end.
        command: What is written as the command of the results.

    Raises:
        TableError: If settings cannot be met.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        resolver: Resolver,
        seeds: Sequence[int],
        output_dir: str | Path,
        *,
        folds: str | list[str] | None = None,
        only: Sequence[str] = (),
        figures: bool = True,
        command: str = "",
    ):
        self.tables, self.resolver, self.seeds = list(tables), resolver, list(seeds)
        self.output_dir, self.only, self.figures, self.command = Path(output_dir), list(only), figures, command
        self.fold_choice = folds
        self._rows: dict[str, Dataset] = {}
        self._folds: dict[tuple[str, int], list[Fold]] = {}
        self.systems = {
            f"{table.name}:{row.name}": resolver.system(table, row)
            for table in self.tables
            for row in table.rows
            if not self.only or self._may_be_wanted(f"{table.name}:{row.name}")
        }
        if not self.systems:
            raise TableError(f"--only {' '.join(self.only)} fits no row")
        for name, system in self.systems.items():  # what cannot go together is said before any work
            try:
                self.experiment(system, self.seeds[0])
            except ValueError as error:
                raise TableError(f"{name}: {error}") from None
        self.training = next(iter(self.systems.values())).arguments(self.output_dir, self.seeds[0]).training

    def experiment(self, system: System, seed: int) -> Any:
        """What runs a system's folds."""
        arguments = system.arguments(self.output_dir, seed)
        if arguments.model is None:
            return BaselineExperiment(system.kind, arguments.data, arguments.training)
        if system.pretraining is not None:
            arguments.model.speech_encoder = str(system.pretrained_folder(self.output_dir, seed) / "{fold}")
        return Experiment(
            arguments.model, arguments.data, arguments.store, arguments.training, shared_dir=self.output_dir / "shared"
        )

    def require_checkpoints(self) -> None:
        """Makes sure that what no run of this folder has started from yet can be had.

        Raises:
            HubError: If not.
        """
        for system in self.systems.values():
            model = system.arguments(self.output_dir, self.seeds[0]).model
            if model is not None and not any(system.folder(self.output_dir, seed).exists() for seed in self.seeds):
                require_checkpoints(model)

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
                f"--only {' '.join(self.only)} fits no run; runs are row/seed/fold, as --list prints them"
            )
        for job in found.values():
            rows, folds = self.rows(job.system), self.folds(job.system, job.seed)
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

    def rows(self, system: System) -> Dataset:
        """The corpus of a system; loaded and checked once for all that see the same of it."""
        experiment = self.experiment(system, self.seeds[0])
        key = rows_key(experiment.data_arguments, experiment.modalities)
        if key not in self._rows:
            self._rows[key] = experiment.load()
        return self._rows[key]

    def folds(self, system: System, seed: int) -> list[Fold]:
        """All folds of a system's protocol; they depend on the seed where validation speakers are drawn."""
        key = (system.key, seed)
        if key not in self._folds:
            self._folds[key] = self.experiment(system, seed).folds(self.rows(system))
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

    def run(self) -> list[Job]:
        """Works on all runs and reports.

        Returns:
            Runs that failed; the reason is in the log and they are tried again by the next call.
        """
        waiting, failed, minutes = self.jobs(), [], []
        with tqdm(total=len(waiting), desc="runs", unit="run", disable=self.training.disable_tqdm) as bar:
            while waiting:
                left = []
                for job in waiting:
                    started = time.perf_counter()
                    try:
                        done = self._work(job)
                    except (ValueError, OSError, RuntimeError, SafetensorError) as error:
                        if self.training.world_size > 1 or lacks_space(error):
                            raise  # the others would wait for ever; the next run would fail as well
                        logger.error("%s failed: %s", ", ".join(job.labels), error, exc_info=True)
                        failed.append(job)
                        done = {}
                    if done is None:
                        left.append(job)
                        continue
                    minutes.append((time.perf_counter() - started) / 60)
                    bar.update()
                    self._tell(job, done, minutes, len(waiting))
                if left and len(left) == len(waiting):
                    time.sleep(SECONDS_BETWEEN_LOOKS)
                waiting = left
        if self._is_main:
            self.report(final=True)
        return failed

    def _work(self, job: Job) -> dict[str, Any] | None:
        """Runs a job, or reads what it left; None if another process is at it."""
        with self._claim(job) as mine:
            if not mine:
                return None
            rows = self.rows(job.system)
            fold = find_fold(self.folds(job.system, job.seed), job.fold)
            experiment = self.experiment(job.system, job.seed)
            if job.system.pretraining is not None:
                self._second_stage(job, rows, fold)
            return experiment.run_fold(rows, fold)

    def _second_stage(self, job: Job, rows: Dataset, fold: Fold) -> None:
        """The fold's speech encoder, shared by all rows that start from it; whoever comes second waits."""
        arguments = job.system.arguments(self.output_dir, job.seed)
        folder = job.system.pretrained_folder(self.output_dir, job.seed) / job.fold
        with self._lock(f"{job.system.pretraining_key}-seed{job.seed}-{job.fold}", blocking=True):
            pretrain_fold(
                arguments.model.speech_encoder,
                arguments.model.speech_overrides,
                arguments.model.feature_extractor,
                arguments.data,
                arguments.pretraining,
                rows,
                fold,
                folder,
            )

    @contextmanager
    def _claim(self, job: Job) -> Iterator[bool]:
        with self._lock(f"{job.key}-seed{job.seed}-{job.fold}", blocking=False) as mine:
            yield mine

    @contextmanager
    def _lock(self, name: str, blocking: bool) -> Iterator[bool]:
        """A lock that the first process of this run holds for all of them."""
        lock = FileLock(self.output_dir / "locks" / f"{name}.lock", blocking=blocking)
        mine = [True]
        if self._is_main:
            lock_folder = Path(lock.lock_file).parent
            lock_folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                mine = [False]
        if self.training.world_size > 1:
            broadcast_object_list(mine)
        try:
            yield mine[0]
        finally:
            lock.release()

    @property
    def _is_main(self) -> bool:
        return self.training.process_index == 0

    def _tell(self, job: Job, results: dict[str, Any], minutes: list[float], total: int) -> None:
        """One line for a run, with the time that the rest may take, and new reports."""
        if not self._is_main:
            return
        label = ", ".join(job.labels) or f"{job.key}/{job.seed}/{job.fold}"
        scores = results.get("test", {}).get("scores", {})
        numbers = "  ".join(f"{name.upper()} {value:.3f}" for name, value in scores.items()) or "failed"
        worked = [value for value in minutes if value > 0.02] or minutes  # finished ones are only read
        remaining = (total - len(minutes)) * sum(worked) / len(worked)
        logger.info("%s: %s (%.1f min; at most %.0f min left)", label, numbers, minutes[-1], max(remaining, 0))
        if minutes[-1] > 0.02:
            self.report()

    def report(self, final: bool = False) -> None:
        """Writes what is known of every table; at the end with its figures."""
        for table in self.tables:
            runs = self.collect(table)
            if not runs.rows:
                continue
            folder = self.output_dir / table.name / runs.setup
            with FileLock(self.output_dir / "locks" / f"{table.name.replace('/', '-')}.lock"):
                write_report(runs, folder, self.command)
                if final and self.figures:
                    draw_table_figures(runs, folder / "figures", self._data_dirs(table))
        if final:
            self.summarise()

    def printed(self) -> str:
        """The tables with their scores, and where the whole reports lie."""
        parts = []
        for table in self.tables:
            folder = self.output_dir / table.name / self.resolver.setup
            if (folder / "results.json").is_file():
                parts += [f"{table.title}: {folder / 'results.md'}", results_table(read_report(folder))]
        return "\n\n".join(parts)

    def _data_dirs(self, table: Table) -> dict[str, str]:
        """The corpus of every row."""
        names = {row.name: f"{table.name}:{row.name}" for row in table.rows}
        return {row: self.systems[name].settings["data_dir"] for row, name in names.items() if name in self.systems}

    def summarise(self) -> None:
        """One page over all tables of the set-up that have results in the folder, those of earlier calls too."""
        setup = self.resolver.setup
        found = sorted(self.output_dir.glob(f"*/{setup}/results.json"))
        found += sorted(self.output_dir.glob(f"*/*/{setup}/results.json"))
        text = summary([read_report(path.parent) for path in found])
        write_text(self.output_dir / f"summary_{setup}.md", text)

    def collect(self, table: Table) -> TableRuns:
        """The finished runs of a table's rows that were asked for."""
        rows = []
        for row in table.rows:
            system = self.systems.get(f"{table.name}:{row.name}")
            if system is None:
                continue
            wanted = [(seed, fold) for seed in self.seeds for fold in self.fold_names(system, seed)]
            runs = []
            for seed, fold in wanted:
                folder = system.folder(self.output_dir, seed) / fold
                if (folder / "results.json").exists():
                    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
                    runs.append(Run(seed, fold, folder, results))
            rows.append(RowRuns(row, runs, len(wanted)))
        return TableRuns(table, self.resolver.setup, rows)


def parse_command(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command line of `recipes/reproduce.py`: its own options, and flags for all rows."""
    parser = argparse.ArgumentParser(
        prog="reproduce.py",
        description=__doc__,
        epilog="Any setting of the systems is a flag too and wins over the tables. Epochs, steps, batch "
        "size and precision are also those of second stages: --num_train_epochs 2",
        allow_abbrev=False,
    )
    parser.add_argument("--table", nargs="+", required=True, metavar="NAME", help="tables (le_mer/table2), or `all`")
    parser.add_argument("--corpus", required=True, metavar="SETUP", help="set-up of the tables: iemocap, generated")
    parser.add_argument(
        "--data_dir", nargs="+", required=True, metavar="DIR", help="the corpus, or NAME=DIR for more than one"
    )
    parser.add_argument(
        "--seeds", default=None, help="how many (3: 1 to 3), or which (1,5,9); the set-up's own number"
    )
    parser.add_argument("--folds", nargs="+", default=None, help="all, one_per_seed, or names; the set-up's own")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW/SEED/FOLD", help="runs; * and ? as in a shell")
    parser.add_argument("--list", action="store_true", help="print the runs, one a line, for --only, and stop")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/tables"))
    parser.add_argument("--tables_folder", type=Path, default=TABLES_FOLDER, help="folder of tables")
    parser.add_argument("--configs_folder", type=Path, default=None, help="folder of settings files")
    parser.add_argument("--no_table_figures", action="store_true", help="write no figures of tables")
    return parser.parse_known_args(list(argv))


def reproduction(argv: Sequence[str]) -> tuple[Reproduction, argparse.Namespace]:
    """Everything that a command line asks for, checked, before any work.

    Raises:
        TableError: If a table, a set-up, a setting, a corpus or a pattern is not known.
    """
    options, flags = parse_command(argv)
    names = table_names(options.tables_folder) if options.table == ["all"] else options.table
    tables = [load_table(name, options.tables_folder) for name in names]
    if options.table == ["all"]:
        tables = [table for table in tables if options.corpus in table.setups]
        if not tables:
            raise TableError(f"no table has a set-up '{options.corpus}'")
    data_dirs = {}
    for item in options.data_dir:
        name, equals, folder = item.partition("=")
        data_dirs[name if equals else ""] = folder if equals else item
    folders = {} if options.configs_folder is None else {"configs_folder": options.configs_folder}
    resolver = Resolver(options.corpus, data_dirs, flags, options.tables_folder, **folders)
    missing = [table.name for table in tables if options.corpus not in table.setups]
    if missing:
        known = ", ".join(tables[0].setups)
        raise TableError(f"--corpus {options.corpus}: not a set-up of {', '.join(missing)} ({known})")
    seeds = _seeds(options.seeds, max(table.setups[options.corpus].seeds for table in tables))
    folds: Any = options.folds[0] if options.folds in (["all"], ["one_per_seed"]) else options.folds
    command = f"accelerate launch recipes/reproduce.py {shlex.join(argv)}"
    made = Reproduction(
        tables,
        resolver,
        seeds,
        options.output_dir,
        folds=folds,
        only=options.only,
        figures=not options.no_table_figures,
        command=command,
    )
    return made, options


def _seeds(given: str | None, default: int) -> list[int]:
    text = given or str(default)
    try:
        seeds = [int(item) for item in text.split(",")]
    except ValueError:
        raise TableError(f"--seeds '{text}' is neither a number nor numbers with commas") from None
    seeds = seeds if "," in text else list(range(1, seeds[0] + 1))
    if not seeds or min(seeds) < 1 or len(set(seeds)) < len(seeds):
        raise TableError(f"--seeds '{text}': seeds are different numbers from 1")
    return seeds


def run_reproduction(argv: Sequence[str] | None = None) -> None:
    """Runs a command line; leaves the program with one line if it cannot be met, and with 1 if a run failed."""
    # tables name checkpoints of their own: what is not in the cache is asked for once, for all of them
    with a_script() as folders, hub_or_cache():
        made, options = reproduction(sys.argv[1:] if argv is None else argv)
        folders.append(made.output_dir)
        set_verbosity(made.training)
        if not options.list:
            made.require_checkpoints()
        jobs = made.jobs()
        failed = [] if options.list else made.run()
    if options.list:
        print("\n".join(job.labels[0] for job in jobs if job.labels))
    elif made.training.process_index == 0:
        print(made.printed())
    if failed:
        sys.exit(f"error: {len(failed)} of {len(jobs)} runs failed: " + ", ".join(job.labels[0] for job in failed))
