"""`hf-mer card` and `hf-mer push`."""

import argparse
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser's."""
    card = commands.add_parser("card", help="the model card of a checkpoint, out of its results")
    _add_checkpoint(card)
    card.add_argument("--name", help="of the repository, where it is known (default: the folder's name)")
    card.add_argument("--out", type=Path, help="file to write; printed if not given")
    card.set_defaults(run=_card)

    push = commands.add_parser("push", help="a checkpoint, its card, results and figures to the Hub, in one commit")
    _add_checkpoint(push)
    push.add_argument("repository", help="owner/name; made if it is not there")
    push.add_argument("--private", action="store_true", help="a new repository is private")
    push.add_argument("--revision", help="branch, made if it is not there (default: main)")
    push.add_argument("--message", help="of the commit")
    push.set_defaults(run=_push)


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="a fold's folder (runs/le_mer/Ses05) or that of its model")
    parser.add_argument(
        "--results", nargs="+", default=[], metavar="RUNS", help="runs that the card is about (default: this fold)"
    )
    parser.add_argument(
        "--corpus", help="what it was trained on: iemocap, meld, ravdess, generated, generated_meld or own"
    )
    parser.add_argument("--title", help="of the card")
    parser.add_argument("--notes", default="", help="what a reader should know: departures, what was chosen on what")


def _card(arguments: argparse.Namespace) -> None:
    from hf_mer.hub import find_checkpoint

    checkpoint = find_checkpoint(arguments.checkpoint, arguments.results)
    name = arguments.name or Path(arguments.checkpoint).resolve().name
    text = checkpoint.card(name, arguments.corpus, title=arguments.title, notes=arguments.notes)
    if arguments.out is None:
        print(text)
        return
    arguments.out.write_text(text, encoding="utf-8")
    print(arguments.out)


def _push(arguments: argparse.Namespace) -> None:
    from hf_mer.hub import find_checkpoint, push_checkpoint

    checkpoint = find_checkpoint(arguments.checkpoint, arguments.results)
    card = checkpoint.card(arguments.repository, arguments.corpus, title=arguments.title, notes=arguments.notes)
    settings = {name: getattr(arguments, name) for name in ("private", "revision", "message")}
    print(push_checkpoint(checkpoint, arguments.repository, card=card, **settings))
