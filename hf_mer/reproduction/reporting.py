"""What is known of the tables of a reproduction, collected from its folder and written beside the runs."""

import json
from pathlib import Path

from filelock import FileLock

from hf_mer.files import write_text
from hf_mer.reproduction.markdown import results_table
from hf_mer.reproduction.run_plan import Plan
from hf_mer.reproduction.summary import summary
from hf_mer.reproduction.table import RowRuns, Run, Table, TableRuns
from hf_mer.reproduction.table_figures import draw_table_figures
from hf_mer.reproduction.table_report import read_report, write_report


def report_tables(plan: Plan, command: str, *, final: bool = False, figures: bool = True) -> None:
    """Writes what is known of every table; at the end with its figures and one page over all.

    Args:
        plan: The runs.
        command: What is written as the command of the results.
        final: Whether all runs are through.
        figures: Whether to draw the tables' figures then.
    """
    for table in plan.tables:
        runs = collect(plan, table)
        if not runs.rows:
            continue
        folder = plan.output_dir / table.name / runs.setup
        with FileLock(plan.output_dir / "locks" / f"{table.name.replace('/', '-')}.lock"):
            write_report(runs, folder, command)
            if final and figures:
                draw_table_figures(runs, folder / "figures", _data_dirs(plan, table))
    if final:
        _summarise(plan.output_dir, plan.resolver.setup)


def collect(plan: Plan, table: Table) -> TableRuns:
    """The finished runs of a table's rows that were asked for."""
    rows = []
    for row in table.rows:
        system = plan.systems.get(f"{table.name}:{row.name}")
        if system is None:
            continue
        wanted = [(seed, fold) for seed in plan.seeds for fold in plan.fold_names(system, seed)]
        runs = []
        for seed, fold in wanted:
            folder = system.folder(plan.output_dir, seed) / fold
            if (folder / "results.json").exists():
                results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
                runs.append(Run(seed, fold, folder, results))
        rows.append(RowRuns(row, runs, len(wanted)))
    return TableRuns(table, plan.resolver.setup, rows)


def printed_tables(plan: Plan) -> str:
    """The tables with their scores, and where the whole reports lie."""
    parts = []
    for table in plan.tables:
        folder = plan.output_dir / table.name / plan.resolver.setup
        if (folder / "results.json").is_file():
            parts += [f"{table.title}: {folder / 'results.md'}", results_table(read_report(folder))]
    return "\n\n".join(parts)


def _data_dirs(plan: Plan, table: Table) -> dict[str, str]:
    """The corpus of every row."""
    names = {row.name: f"{table.name}:{row.name}" for row in table.rows}
    return {row: plan.systems[name].settings["data_dir"] for row, name in names.items() if name in plan.systems}


def _summarise(output_dir: Path, setup: str) -> None:
    """One page over all tables of the set-up that have results in the folder, those of earlier calls too."""
    found = sorted(output_dir.glob(f"*/{setup}/results.json")) + sorted(output_dir.glob(f"*/*/{setup}/results.json"))
    write_text(output_dir / f"summary_{setup}.md", summary([read_report(path.parent) for path in found]))
