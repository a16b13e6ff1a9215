"""`hf-mer card` and `hf-mer push`."""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command, add_overwrite

CARD_EXAMPLES = """examples:
  hf-mer card runs/le_mer/Ses05 --out README.md
  hf-mer card runs/le_mer/Ses05 --results runs/le_mer --corpus own --title "LE-MER on our calls"
  hf-mer card prepared --corpus ravdess

The card is printed or written to --out. Standard error names the files that `hf-mer push` would upload with it.
"""
PUSH_EXAMPLES = """examples:
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --private     # HF_TOKEN, or `hf auth login` before
  hf-mer push runs/le_mer/Ses05 my-name/le-mer-own --revision v2 --message "Trained on more calls"
  hf-mer push prepared my-name/our-calls --without-audio         # words and labels only

`hf-mer card` shows the card and names the files first. Running the command again uploads only what changed and resumes
an interrupted upload. A prepared IEMOCAP is refused.
"""


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser's."""
    what = "write a model card from a checkpoint's results, or a dataset card from a prepared corpus"
    card = add_command(commands, "card", _card, what, CARD_EXAMPLES)
    _add_checkpoint(card)
    card.add_argument("--name", help="name of the repository (default: system and corpus)")
    card.add_argument("--out", type=Path, help="file to write (default: standard output)")
    add_overwrite(card)

    what = "push a checkpoint or a prepared corpus with its card to the Hub, in one commit"
    push = add_command(commands, "push", _push, what, PUSH_EXAMPLES)
    _add_checkpoint(push)
    push.add_argument("repository", help="owner/name; created if missing")
    push.add_argument("--private", action="store_true", help="make a new repository private")
    push.add_argument("--revision", help="branch; created if missing (default: main)")
    push.add_argument("--message", help="commit message")


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint", help="folder of a fold (runs/le_mer/Ses05), of its model, or of a prepared corpus"
    )
    parser.add_argument(
        "--results",
        nargs="+",
        default=[],
        metavar="RUNS",
        help="runs to report on the card (default: this fold)",
    )
    parser.add_argument(
        "--corpus",
        help="its corpus: iemocap, meld, crema_d, emodb, nemo, ravdess, generated, generated_meld or own",
    )
    parser.add_argument("--without-audio", action="store_true", help="leave the recordings out (prepared corpus)")
    parser.add_argument("--without-video", action="store_true", help="leave the videos out (prepared corpus)")
    parser.add_argument("--title", help="title of the card")
    parser.add_argument(
        "--notes", default="", help="notes for readers, such as deviations and how settings were chosen"
    )


def _card(arguments: argparse.Namespace) -> None:
    from hf_mer.files import check_replaceable, write_text
    from hf_mer.hub import PreparedCorpus, checkpoint_files, corpus_files

    if arguments.out is not None:
        check_replaceable([arguments.out], arguments.overwrite)
    source, texts, left_out = _source(arguments)
    if isinstance(source, PreparedCorpus):
        name = arguments.name or Path(arguments.checkpoint).resolve().name
        files = corpus_files(source, name, **left_out, **texts)
    else:
        corpus = arguments.corpus or source.corpus
        name = arguments.name or f"{source.config['model_type']}_{corpus}"
        folder = None if arguments.name else _folder_from_here(source.model)
        files = checkpoint_files(source, source.card(name, arguments.corpus, folder=folder, **texts))
    text = bytes(files["README.md"]).decode("utf-8")
    if arguments.out is None:
        print(text)
    else:
        figures = {arguments.out.parent / place: path for place, path in files.items() if place.startswith("figures/")}
        _copy_figures(figures, arguments.overwrite)
        print(write_text(arguments.out, text))
    print(_uploads(source, files, left_out), file=sys.stderr)


def _folder_from_here(model: Path) -> str | None:
    """The path of a model for who works in this folder; None where it lies elsewhere, for a card names no machine."""
    path = os.path.relpath(model)
    return None if path.startswith("..") or os.path.isabs(path) else Path(path).as_posix()


def _copy_figures(figures: Mapping[Path, Path | bytes], overwrite: bool) -> None:
    """Puts figures beside a card that shows them, where they are not yet."""
    from hf_mer.files import check_replaceable, whole

    contents = {target: path.read_bytes() for target, path in figures.items() if isinstance(path, Path)}
    new = {target: one for target, one in contents.items() if not target.is_file() or target.read_bytes() != one}
    check_replaceable(new, overwrite)
    for target, content in new.items():
        with whole(target) as temporary:
            temporary.write_bytes(content)
        print(target)


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
