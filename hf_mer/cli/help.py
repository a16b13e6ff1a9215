"""How every command explains itself: what it does, its flags, and examples that can be copied."""

import argparse
import json
from collections.abc import Callable
from typing import Any


def column_names(text: str) -> dict[str, Any]:
    """The value of `--columns`.

    Raises:
        ArgumentTypeError: If it is not a JSON object.
    """
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = None
    if not isinstance(names, dict):
        raise argparse.ArgumentTypeError(f'{text!r} is not a JSON object, such as \'{{"audio": "clip"}}\'')
    return names


def corpus_name(text: str) -> str:
    """The value of `--corpus`: a corpus that can be read.

    Raises:
        ArgumentTypeError: If it is none.
    """
    from hf_mer.data.corpora.public.description import is_public, public_names

    names = ("iemocap", "meld", "manifest", *public_names())
    if text not in names and not is_public(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {', '.join(names)}, or the path of a YAML file")
    return text


def corpus_names(text: str) -> str:
    """The same for several corpora, with commas between them."""
    return ",".join(corpus_name(name.strip()) for name in text.split(","))


def add_encoding(parser: Any) -> None:
    """The option of every command that reads tables of people's own."""
    parser.add_argument(
        "--encoding", default="utf-8", help="encoding of tables, such as cp1252 or utf-16 (default: utf-8)"
    )


def add_overwrite(parser: Any) -> None:
    """The option of every command that writes where a user may have files: these are kept unless it is given."""
    parser.add_argument("--overwrite", action="store_true", help="replace files that this command did not write")


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], Any], help: str, examples: str, **settings: Any
) -> argparse.ArgumentParser:
    """A command of `hf-mer`.

    Args:
        commands: Of the parser.
        name: Of the command.
        run: What it does; may give an exit status.
        help: One line.
        examples: Shown below the flags, as they are.
        **settings: Of `add_parser`.
    """
    made = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **settings,
    )
    made.set_defaults(run=run)
    return made
