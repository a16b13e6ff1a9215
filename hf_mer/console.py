"""Standard output and error that take every character, whatever the encoding of the terminal or file behind them."""

import codecs
import json
import os
import sys

_PLAIN = {"█": "#", "±": "+/-", "×": "x", "÷": "/", "·": ".", **dict(zip("▁▂▃▄▅▆▇", "...:==#", strict=True))}


def accept_every_character() -> None:
    r"""What an encoding lacks is written in plain letters, where it would end the program after its work.

    Bars become `#`, `±` becomes `+/-`, `×` and `÷` become `x` and `/`; all else is written as JSON escapes it
    (`\u0142`), so that JSON stays JSON.
    """
    codecs.register_error("hf_mer.plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a notebook, or nothing at all, takes its place
            stream.reconfigure(errors="hf_mer.plain")


def readable(path: str | os.PathLike) -> str:
    r"""A file's name as text for tables, figures and messages: bytes that are no UTF-8 become such as `\udce9`."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def told(error: Exception) -> str:
    """What an error says; of a name that some library could not write down, what to do about it."""
    if isinstance(error, UnicodeEncodeError):
        return f"'{readable(error.object)}' is not valid UTF-8; rename the file or folder"
    return str(error)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character) or json.dumps(character)[1:-1] for character in lacking), error.end
