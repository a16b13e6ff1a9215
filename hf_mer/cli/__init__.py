"""`hf-mer`: thin commands over the package. Heavy imports wait until a command runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hf_mer.cli import corpora, exporting, inference, sharing
from hf_mer.version import __version__

EXAMPLES = """examples:
  hf-mer demo --out demo
  hf-mer predict runs/le_mer/Ses05/model hello.wav --text "I am so glad you came" --plot attention.png
  hf-mer predict runs/le_mer/Ses05/model --text "Leave me alone" --history "What happened?"
  hf-mer predict runs/wavfusion/model scene.mp4 --start 3.2 --end 5.0
  hf-mer labels runs/le_mer/Ses05/model
  hf-mer card runs/le_mer/Ses05 --out README.md
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --private
  hf-mer export runs/le_mer/Ses05/model exported --int8
  hf-mer prepare iemocap /data/IEMOCAP_full_release prepared --task 4class
  hf-mer prepare meld /data/MELD.Raw prepared --task sentiment
  hf-mer prepare manifest corpus.csv prepared --columns '{"audio": "file", "label": "emotion"}'
  hf-mer generate corpus --num-utterances 1500
  hf-mer generate corpus --num-utterances 1500 --language pl
  hf-mer generate corpus --layout meld --num-proc 2
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: 0, or 1 with one line on standard error.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, ImportError) as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hf-mer",
        description="Emotion of an utterance from its words, voice and picture: LE-MER, MGCMA and WavFusion.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hf-mer {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="generate a corpus, train, score, predict and draw, in a few minutes")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything (default: demo)")
    demo.set_defaults(run=_demo)

    for module in (inference, corpora, sharing, exporting):
        module.add_commands(commands)
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    from hf_mer.demo import run_demo

    run_demo(arguments.out)
