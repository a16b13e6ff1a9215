"""`hf-mer`: thin commands over the package. Heavy imports wait until a command runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hf_mer.cli import app, completion, corpora, evaluating, exporting, labels, plotting, predicting, sharing, training
from hf_mer.cli.help import add_command, add_overwrite
from hf_mer.console import accept_every_character, told
from hf_mer.stopping import ERROR, last_words, terminable
from hf_mer.version import __version__

EXAMPLES = """examples (more with hf-mer COMMAND --help):
  hf-mer demo --out demo
  hf-mer prepare manifest calls.csv prepared
  hf-mer train le_mer calls.csv --out runs/calls
  hf-mer predict runs/le_mer/Ses05 hello.wav --text "I am so glad you came" --explain
  hf-mer predict runs/le_mer/Ses05 recordings/ --out predictions.csv
  hf-mer labels runs/le_mer/Ses05
  hf-mer evaluate runs/le_mer/Ses05 --corpus iemocap --data-dir /data/IEMOCAP_full_release --out conditions
  hf-mer plot runs/le_mer/Ses05 --out figures
  hf-mer app runs/le_mer/Ses05
  hf-mer export runs/le_mer/Ses05 exported --int8
  hf-mer card runs/le_mer/Ses05 --out README.md
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --private
  hf-mer prepare iemocap /data/IEMOCAP_full_release prepared --task 4class
  hf-mer generate corpus --num-utterances 1500

A file that the command did not write is replaced only with --overwrite.

exit status: 0 done, 1 error (one line; --debug shows the traceback), 2 wrong usage, 130 interrupted (Ctrl-C),
143 stopped (SIGTERM)
"""
DEMO_EXAMPLES = """examples:
  hf-mer demo
  hf-mer demo --out /tmp/demo
"""
OK, BROKEN_PIPE = 0, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: 0, 1 with one line on standard error, 130 after Ctrl-C and 143 after SIGTERM, too, 141 where
        nobody reads the output any more; wrong usage leaves the program with 2.
    """
    accept_every_character()
    parser = _parser()
    arguments, further = parser.parse_known_args(argv)
    if further and not getattr(arguments, "passes_on", False):
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    arguments.further, arguments.parser = further, parser
    try:
        with terminable():
            status = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # what is still buffered would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        words = last_words(error, filter(None, [getattr(arguments, "out", None)]))
        if words is None and isinstance(error, ImportError):
            words = f"error: {told(error)}", ERROR
        if words is None or arguments.debug:
            raise
        print(words[0], file=sys.stderr)
        return words[1]
    return status if isinstance(status, int) else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hf-mer",
        description="Emotion recognition from words, voice and video: LE-MER, MGCMA and WavFusion.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hf-mer {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")

    help_of_demo = "generate a corpus, train, evaluate, predict and plot in a few minutes (a demonstration)"
    demo = add_command(commands, "demo", _demo, help_of_demo, DEMO_EXAMPLES)
    demo.add_argument("--out", type=Path, default=Path("demo"), help="output folder (default: demo)")
    add_overwrite(demo)

    for module in (corpora, training, predicting, labels, evaluating, plotting, app, exporting, sharing, completion):
        module.add_commands(commands)
    for command in commands.choices.values():
        # also behind the command; without a default, so that one before it is not taken back
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    from hf_mer.demo import run_demo

    run_demo(arguments.out, main, arguments.overwrite)
