"""Every regular expression of the package, on text that is made to keep it busy."""

import importlib
import itertools
import re
import time
from pathlib import Path

import hf_mer

LENGTH = 10_000  # characters; what is quadratic takes most of a second, what is not some milliseconds
SECONDS = 0.1  # of the processor
BEGINNINGS = ("", "1", "1 1 ", "[", "[1 - 1] a a", "--a ", "dia1_utt")
REPEATED = (
    " ",
    "1",
    "a",
    ".:",
    "-",
    "_",
    "[",
    "<",
    "{",
    "+",
    "/",
    "'",
    ",",
    "1 ",
    "[a",
    "--a=",
    "/a",
    "\u4e00",
    "\u0301",
)
ROOT = Path(hf_mer.__file__).parent
SOURCES = {file: file.read_text(encoding="utf-8") for file in sorted(ROOT.rglob("*.py"))}


def patterns():
    """Name, compiled pattern, and the methods that are called, of all that modules hold, alone or in a dictionary."""
    for file, source in SOURCES.items():
        if "re.compile(" not in source:
            continue
        module = importlib.import_module(".".join(file.relative_to(ROOT.parent).with_suffix("").parts))
        for name, value in vars(module).items():
            for one in value.values() if type(value) is dict else [value]:
                if isinstance(one, re.Pattern):
                    call = rf"\b{name}\.(fullmatch|match|search|findall|finditer|sub|split)\b"
                    called = {method for text in SOURCES.values() for method in re.findall(call, text)}
                    yield f"{module.__name__}.{name}", one, called or {"fullmatch"}


def seconds_of(pattern, method, text):
    """Of the processor, for a call and all that it gives."""
    began = time.thread_time()
    found = pattern.sub("", text) if method == "sub" else getattr(pattern, method)(text)
    if method == "finditer":
        list(found)
    return time.thread_time() - began


def test_no_pattern_takes_quadratic_time():
    slow, count = {}, 0
    for name, pattern, methods in patterns():
        count += 1
        for method, beginning, repeated in itertools.product(methods, BEGINNINGS, REPEATED):
            text = beginning + repeated * (LENGTH // len(repeated)) + "\n\0"
            if all(
                (seconds := seconds_of(pattern, method, text)) > SECONDS for _ in range(3)
            ):  # once may be an accident
                slow[name, method] = (round(seconds, 2), beginning + repeated)
    assert count > 20
    assert not slow
