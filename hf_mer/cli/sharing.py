"""`hf-mer card` and `hf-mer push`."""

import argparse
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command

CARD_EXAMPLES = """examples:
  hf-mer card runs/le_mer/Ses05 --out README.md
  hf-mer card runs/le_mer/Ses05 --results runs/le_mer --corpus own --title "LE-MER on our calls"
  hf-mer card prepared --corpus ravdess
"""
PUSH_EXAMPLES = """examples:
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --private     # HF_TOKEN, or `hf auth login` before
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --revision v2 --message "Trained on more calls"
  hf-mer push prepared my-name/our-calls --without-audio         # of prepared rows, words and labels alone

The same again sends what has changed, and goes on after an upload that broke off. A prepared IEMOCAP is not pushed.
"""


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser's."""
    card = add_command(
        commands, "card", _card, "the card of a checkpoint, out of its results, or of a prepared corpus", CARD_EXAMPLES
    )
    _add_checkpoint(card)
    card.add_argument("--name", help="of the repository, where it is known (default: the folder's name)")
    card.add_argument("--out", type=Path, help="file to write; printed if not given")

    push = add_command(
        commands,
        "push",
        _push,
        "a checkpoint or a prepared corpus with its card to the Hub, in one commit",
        PUSH_EXAMPLES,
    )
    _add_checkpoint(push)
    push.add_argument("repository", help="owner/name; made if it is not there")
    push.add_argument("--private", action="store_true", help="a new repository is private")
    push.add_argument("--revision", help="branch, made if it is not there (default: main)")
    push.add_argument("--message", help="of the commit")
    push.add_argument("--without-audio", action="store_true", help="of a prepared corpus: leave the recordings out")
    push.add_argument("--without-video", action="store_true", help="of a prepared corpus: leave the films out")


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint", help="a fold's folder (runs/le_mer/Ses05), that of its model, or a prepared corpus"
    )
    parser.add_argument(
        "--results", nargs="+", default=[], metavar="RUNS", help="runs that the card is about (default: this fold)"
    )
    parser.add_argument(
        "--corpus", help="what it was trained on, or is: iemocap, meld, ravdess, generated, generated_meld or own"
    )
    parser.add_argument("--title", help="of the card")
    parser.add_argument("--notes", default="", help="what a reader should know: departures, what was chosen on what")


def _card(arguments: argparse.Namespace) -> None:
    text = _card_text(arguments, arguments.name or Path(arguments.checkpoint).resolve().name)
    if arguments.out is None:
        print(text)
        return
    arguments.out.write_text(text, encoding="utf-8", errors="backslashreplace")
    print(arguments.out)


def _card_text(arguments: argparse.Namespace, name: str) -> str:
    from hf_mer.hub import dataset_card, find_checkpoint, find_prepared

    corpus = find_prepared(arguments.checkpoint, arguments.corpus)
    if corpus is not None:
        return dataset_card(corpus, name, title=arguments.title, notes=arguments.notes)
    checkpoint = find_checkpoint(arguments.checkpoint, arguments.results)
    return checkpoint.card(name, arguments.corpus, title=arguments.title, notes=arguments.notes)


def _push(arguments: argparse.Namespace) -> None:
    from hf_mer.hub import find_checkpoint, find_prepared, push_checkpoint, push_corpus

    settings = {name: getattr(arguments, name) for name in ("private", "revision", "message")}
    left_out = {name: getattr(arguments, name) for name in ("without_audio", "without_video")}
    corpus = find_prepared(arguments.checkpoint, arguments.corpus)
    if corpus is not None:
        texts = {"title": arguments.title, "notes": arguments.notes}
        print(push_corpus(corpus, arguments.repository, **left_out, **texts, **settings))
        return
    if any(left_out.values()):
        raise ValueError("--without-audio and --without-video are about prepared corpora; this is none")
    card = _card_text(arguments, arguments.repository)
    checkpoint = find_checkpoint(arguments.checkpoint, arguments.results)
    print(push_checkpoint(checkpoint, arguments.repository, card=card, **settings))
