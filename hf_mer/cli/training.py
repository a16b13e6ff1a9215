"""`hf-mer train`: the recipes' training, from wherever the package is installed."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command

SYSTEMS = ("le_mer", "mgcma", "wavfusion", "baseline")
_EXAMPLES = """examples:
  hf-mer train le_mer calls.csv --out runs/calls                       # your own recordings
  hf-mer train le_mer calls.csv --text-encoder roberta-base --speech-encoder facebook/wav2vec2-large
  hf-mer train le_mer calls.csv --from-scratch                         # LE-MER without pretrained encoders: minutes
  hf-mer train le_mer /data/RAVDESS --corpus ravdess --frozen          # classifier on frozen encoders: minutes
  hf-mer train le_mer /data/IEMOCAP_full_release --folds Ses05         # the corpus is recognised by its folders
  hf-mer train wavfusion /data/MELD.Raw --out runs/wavfusion
  hf-mer train le_mer /data/RAVDESS --corpus ravdess                   # a public corpus: crema_d, emodb, nemo, ravdess
  hf-mer train mgcma my_settings.yaml --data-dir /data/IEMOCAP_full_release
  hf-mer train baseline calls.csv --system log_mel_statistics
  hf-mer train le_mer calls.csv --processes 2 --use-cpu true           # accelerate launch; GPUs: --processes 4
  hf-mer train le_mer --settings                                       # every setting there is

SOURCE is a settings file (YAML, as in recipes/configs), a table or folder of your own recordings, or the root folder of
IEMOCAP, MELD, a generated or a public corpus (--corpus my.yaml describes one of your own). All but the settings file start
from the package's settings for that corpus. Further flags are settings and override these. A finished fold is not trained
again; a killed run resumes from its last checkpoint.
"""  # noqa: E501


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    train = add_command(
        commands, "train", _train, "train and evaluate a system on a corpus, or on your own recordings", _EXAMPLES,
        allow_abbrev=False,
    )  # fmt: skip
    train.add_argument("system", choices=SYSTEMS, help="model to train, or baseline")
    train.add_argument("source", nargs="?", metavar="SOURCE", help="settings file, table, or folder of a corpus")
    train.add_argument(
        "--out", type=Path, help="folder for checkpoints, results and figures (default: from the settings)"
    )
    kinds = train.add_mutually_exclusive_group()
    kinds.add_argument(
        "--frozen", action="store_const", dest="variant", const="frozen", default="",
        help="train on hidden states of small pretrained encoders, computed once: minutes on two cores (LE-MER on "
        "your own recordings and public corpora)",
    )  # fmt: skip
    kinds.add_argument(
        "--from-scratch", action="store_const", dest="variant", const="scratch",
        help="train a small model without pretrained encoders (own recordings)",
    )  # fmt: skip
    train.add_argument("--processes", type=int, default=1, help="number of processes, one per GPU (default: 1)")
    train.add_argument(
        "--accelerate-config", type=Path, help="settings file of `accelerate launch`, for FSDP or more machines"
    )
    train.add_argument("--settings", action="store_true", help="list every setting with its default and exit")
    train.add_argument("--dry-run", action="store_true", help="show what would run and exit")
    train.set_defaults(passes_on=True)


def _train(arguments: argparse.Namespace) -> int:
    if arguments.settings:
        from hf_mer.training.run import print_settings

        print_settings(arguments.system)
        return 0
    if arguments.source is None:
        raise ValueError("SOURCE is missing: give a settings file, a table, or the folder of a corpus")
    from hf_mer.training.own_corpus import settings_for

    flags = [
        *settings_for(arguments.system, arguments.source, arguments.further, arguments.variant),
        *arguments.further,
    ]
    if arguments.out is not None:
        flags += ["--output_dir", str(arguments.out)]
    command = ["hf_mer.training.run", arguments.system, *flags]
    launched = arguments.processes > 1 or arguments.accelerate_config is not None
    launcher = _launcher(arguments) if launched else []
    if arguments.dry_run:
        print(" ".join(["accelerate launch" if launched else "python", *launcher[3:], "-m", *command]))
        return 0
    if launched:
        return _launch([*launcher, "-m", *command])
    from hf_mer.training.run import run_system

    run_system(arguments.system, flags)
    return 0


def _launch(command: list[str]) -> int:
    """Runs the launcher; told to stop, it stops its processes, and they say what to do."""
    process = subprocess.Popen(command)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def _launcher(arguments: argparse.Namespace) -> list[str]:
    made = [sys.executable, "-m", "accelerate.commands.launch"]
    if arguments.accelerate_config is not None:
        return [*made, "--config_file", str(arguments.accelerate_config)]
    number = str(arguments.processes)
    return [*made, "--multi_gpu", "--num_processes", number, "--num_machines", "1", "--mixed_precision", "no",
            "--dynamo_backend", "no"]  # fmt: skip
