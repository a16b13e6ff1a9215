"""`hf-mer card` and `hf-mer push`."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command

CARD_EXAMPLES = """examples:
  hf-mer card runs/le_mer/Ses05 --out README.md
  hf-mer card runs/le_mer/Ses05 --results runs/le_mer --corpus own --title "LE-MER on our calls"
  hf-mer card prepared --corpus ravdess

The card is printed or written to --out; on standard error stand the files that `hf-mer push` would upload with it.
"""
PUSH_EXAMPLES = """examples:
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --private     # HF_TOKEN, or `hf auth login` before
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --revision v2 --message "Trained on more calls"
  hf-mer push prepared my-name/our-calls --without-audio         # words and labels only

`hf-mer card` shows the card and the files beforehand. The same push again sends what has changed, and resumes an
upload that broke off. A prepared IEMOCAP is not pushed.
"""


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser's."""
    what = "the card of a checkpoint or a prepared corpus, and the files that push would upload"
    card = add_command(commands, "card", _card, what, CARD_EXAMPLES)
    _add_checkpoint(card)
    card.add_argument("--name", help="of the repository, where it is known (default: the folder's name)")
    card.add_argument("--out", type=Path, help="file to write; printed if not given")

    what = "a checkpoint or a prepared corpus with its card to the Hub, in one commit"
    push = add_command(commands, "push", _push, what, PUSH_EXAMPLES)
    _add_checkpoint(push)
    push.add_argument("repository", help="owner/name; made if it is not there")
    push.add_argument("--private", action="store_true", help="a new repository is private")
    push.add_argument("--revision", help="branch, made if it is not there (default: main)")
    push.add_argument("--message", help="of the commit")


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
    parser.add_argument("--without-audio", action="store_true", help="prepared corpus only: leave the recordings out")
    parser.add_argument("--without-video", action="store_true", help="prepared corpus only: leave the videos out")
    parser.add_argument("--title", help="of the card")
    parser.add_argument("--notes", default="", help="what a reader should know: departures, what was chosen on what")


def _card(arguments: argparse.Namespace) -> None:
    from hf_mer.hub import PreparedCorpus, checkpoint_files, corpus_files

    source, texts, left_out = _source(arguments)
    name = arguments.name or Path(arguments.checkpoint).resolve().name
    if isinstance(source, PreparedCorpus):
        files = corpus_files(source, name, **left_out, **texts)
    else:
        files = checkpoint_files(source, source.card(name, arguments.corpus, **texts))
    text = bytes(files["README.md"]).decode("utf-8")
    if arguments.out is None:
        print(text)
    else:
        arguments.out.write_text(text, encoding="utf-8", errors="backslashreplace")
        print(arguments.out)
    print(_uploads(source, files, left_out), file=sys.stderr)


def _uploads(source: Any, files: Iterable[str], left_out: dict[str, bool]) -> str:
    """The files that the same push would upload, or why it would not."""
    from hf_mer.hub import PreparedCorpus, SharingError, check_sharing

    if isinstance(source, PreparedCorpus):
        try:
            check_sharing(source, **left_out)
        except SharingError as error:
            return f"`hf-mer push` would refuse this: {error}"
    return "\n  ".join(["`hf-mer push` would upload:", *files])


def _push(arguments: argparse.Namespace) -> None:
    from hf_mer.hub import PreparedCorpus, push_checkpoint, push_corpus

    source, texts, left_out = _source(arguments)
    settings = {name: getattr(arguments, name) for name in ("private", "revision", "message")}
    if isinstance(source, PreparedCorpus):
        print(push_corpus(source, arguments.repository, **left_out, **texts, **settings))
        return
    card = source.card(arguments.repository, arguments.corpus, **texts)
    print(push_checkpoint(source, arguments.repository, card=card, **settings))


def _source(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any], dict[str, bool]]:
    """The prepared corpus or checkpoint, what a person says of it, and what of a corpus is left out."""
    from hf_mer.hub import find_checkpoint, find_prepared

    texts = {"title": arguments.title, "notes": arguments.notes}
    left_out = {name: getattr(arguments, name) for name in ("without_audio", "without_video")}
    corpus = find_prepared(arguments.checkpoint, arguments.corpus)
    if corpus is None and any(left_out.values()):
        raise ValueError("--without-audio and --without-video are for prepared corpora, and this is not one")
    return corpus or find_checkpoint(arguments.checkpoint, arguments.results), texts, left_out
