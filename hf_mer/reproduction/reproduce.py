"""Runs the rows of tables over folds and seeds, each once, and reports after every run."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_mer.hub.errors import hub_or_cache
from hf_mer.reproduction.reporting import printed_tables
from hf_mer.reproduction.row_settings import Resolver
from hf_mer.reproduction.run_plan import Plan
from hf_mer.reproduction.running import Reproduction
from hf_mer.reproduction.table import TABLES_FOLDER, TableError, load_table, table_names
from hf_mer.training.recipe import a_script, set_verbosity


def parse_command(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command line of `recipes/reproduce.py`: its own options, and flags for all rows."""
    parser = argparse.ArgumentParser(
        prog="reproduce.py",
        description=__doc__,
        epilog="Any setting of the systems is a flag too and overrides the tables. Epochs, steps, batch "
        "size and precision also apply to second stages: --num_train_epochs 2",
        allow_abbrev=False,
    )
    parser.add_argument("--table", nargs="+", required=True, metavar="NAME", help="tables (le_mer/table2), or `all`")
    parser.add_argument("--corpus", required=True, metavar="SETUP", help="set-up of the tables: iemocap, generated")
    parser.add_argument(
        "--data_dir",
        nargs="+",
        required=True,
        metavar="DIR",
        help="folder of the corpus, or NAME=DIR for several; `{seed}` in a "
        "path becomes the number of the seed, for one corpus per seed",
    )
    parser.add_argument(
        "--seeds", default=None, help="number of seeds (3: seeds 1 to 3), or the seeds (1,5,9) (default: the set-up's)"
    )
    parser.add_argument(
        "--folds", nargs="+", default=None, help="all, one_per_seed, or names of folds (default: the set-up's)"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ROW/SEED/FOLD", help="runs to do; * and ? as in a shell"
    )
    parser.add_argument("--list", action="store_true", help="print the runs, one per line, as for --only, and exit")
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("runs/tables"),
        help="folder for runs and reports (default: runs/tables)",
    )
    parser.add_argument("--tables_folder", type=Path, default=TABLES_FOLDER, help="folder of tables")
    parser.add_argument("--configs_folder", type=Path, default=None, help="folder of settings files")
    parser.add_argument("--no_table_figures", action="store_true", help="write no figures for the tables")
    return parser.parse_known_args(list(argv))


def planned(argv: Sequence[str]) -> tuple[Plan, argparse.Namespace]:
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
    return Plan(tables, resolver, seeds, options.output_dir, folds, options.only), options


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
    argv = sys.argv[1:] if argv is None else argv
    # tables name checkpoints of their own: what is not in the cache is asked for once, for all of them
    with a_script() as folders, hub_or_cache():
        plan, options = planned(argv)
        folders.append(plan.output_dir)
        command = f"accelerate launch recipes/reproduce.py {shlex.join(argv)}"
        made = Reproduction(plan, figures=not options.no_table_figures, command=command)
        set_verbosity(made.training)
        if not options.list:
            plan.require_checkpoints()
        jobs = plan.jobs()
        failed = [] if options.list else made.run(jobs)
    if options.list:
        print("\n".join(job.labels[0] for job in jobs if job.labels))
    elif made.training.process_index == 0:
        print(printed_tables(plan))
    if failed:
        sys.exit(f"error: {len(failed)} of {len(jobs)} runs failed: " + ", ".join(job.labels[0] for job in failed))
