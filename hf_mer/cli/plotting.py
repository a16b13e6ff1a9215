"""`hf-mer plot`: figures from results and checkpoints."""

import argparse
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command, add_overwrite

KINDS = ("confusion", "curves", "keywords", "layers")
FORMATS = ("png", "pdf", "svg")
_EXAMPLES = """examples:
  hf-mer plot runs/le_mer/Ses05 --out figures                          # everything its files allow
  hf-mer plot runs/le_mer --out figures --what confusion --format pdf  # every fold, one folder each
  hf-mer plot my-name/le-mer-own --what keywords                       # a checkpoint on the Hub

confusion: confusion matrix of the test split; curves: losses and scores over training; keywords: those of every class;
layers: the weight of every layer in a learned mixture (speech_layers=mix, text_layers=mix).
A CSV file with its numbers is written beside each figure. What a prediction is based on is drawn by
hf-mer predict --plot.
"""


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    plot = add_command(commands, "plot", _plot, "plot figures from results and checkpoints", _EXAMPLES)
    plot.add_argument("path", help="folder of a fold, its results.json, folder of folds, or checkpoint")
    plot.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures (default: figures)")
    plot.add_argument("--what", nargs="+", choices=KINDS, default=list(KINDS), help="figures to plot (default: all)")
    plot.add_argument("--format", nargs="+", choices=FORMATS, default=["png"], help="file formats (default: png)")
    add_overwrite(plot)
    plot.add_argument("--revision", help="branch, tag or commit of a repository on the Hub")


def _plot(arguments: argparse.Namespace) -> None:
    from hf_mer.hub.loading import locate_checkpoint

    path = Path(arguments.path)
    if not path.exists():  # a repository's label store is all that there is to draw
        from huggingface_hub import snapshot_download

        from hf_mer.hub.errors import hub_errors

        name = locate_checkpoint(arguments.path, arguments.revision)
        with hub_errors(name, arguments.revision, writing=False):
            path = Path(
                snapshot_download(name, revision=arguments.revision, allow_patterns=["*.json", "label_store.*"])
            )
    from hf_mer.files import check_replaceable
    from hf_mer.training.result_figures import draw_fold, find_folds

    folds, formats = find_folds(path), [f".{name}" for name in arguments.format]
    figures = [
        (one, arguments.out if len(folds) == 1 else arguments.out / folder.relative_to(path))
        for folder in folds
        for one in draw_fold(folder, arguments.what)
    ]
    if not figures:
        raise ValueError(f"{arguments.path}: nothing to plot for {', '.join(arguments.what)}")
    check_replaceable(
        (out / f"{one.name}{suffix}" for one, out in figures for suffix in (*formats, ".csv")), arguments.overwrite
    )
    for one, out in figures:
        print(*one.save(out, arguments.format)[:-1], sep="\n")
