"""One way to every system's training: what the recipes and `hf-mer train` run, alone or under `accelerate launch`."""

import sys
from collections.abc import Sequence

from hf_mer.training.recipe import BaselineArguments, run_baseline, run_recipe
from hf_mer.training.settings.parsing import settings_parser
from hf_mer.training.settings.systems import SYSTEMS, argument_types


def run_system(system: str, argv: Sequence[str] | None = None) -> None:
    """Trains and evaluates a system; leaves the program with one line if that is not possible.

    Args:
        system: `le_mer`, `mgcma`, `wavfusion`, or `baseline`, whose `--system` says which.
        argv: `--config` and other flags; the command line's if not given.
    """
    model = SYSTEMS.get(system)
    if model is None:
        run_baseline(argv)
    else:
        run_recipe(model, argv)


def print_settings(system: str) -> None:
    """Prints every setting of a system with its default."""
    types = [BaselineArguments, *argument_types("majority")] if system == "baseline" else argument_types(system)
    parser = settings_parser(types, prog=f"hf-mer train {system} SOURCE", add_help=False)
    model = SYSTEMS.get(system)
    parser.set_defaults(**(model.training_defaults if model else {}))
    parser.print_help()


if __name__ == "__main__":
    run_system(sys.argv[1], sys.argv[2:])
