"""Rows of predictions as JSON lines in one file or several: where each lies, and all in the order of the inputs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from hf_mer.files import whole


class Place(NamedTuple):
    """Where a row lies.

    Attributes:
        file: File of JSON lines.
        offset: Of its line, in bytes.
        is_bad: Whether its input could not be used.
    """

    file: Path
    offset: int
    is_bad: bool


class OtherInputError(ValueError):
    """A row is of another input than the one that has its number now."""


def find_rows(files: Iterable[Path], inputs: Sequence[str] | None = None) -> dict[int, Place]:
    """Every row's place by its number; not of rows that are cut off, nor of numbers that no input has.

    Args:
        files: Of JSON lines, their rows in any order.
        inputs: What the rows should show as `input`, in the order of their numbers; not looked at if not given.

    Raises:
        OtherInputError: If a row shows another input.
        ValueError: If a file holds anything else; the message names it.
    """
    places: dict[int, Place] = {}
    for file in files:
        offset = 0
        for line in _whole_lines(file):
            try:
                row = json.loads(line)
                number, name = int(row["number"]), str(row["input"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{file} is damaged or does not contain predictions ({error})") from error
            if inputs is None or 0 < number <= len(inputs):
                if inputs is not None and name != inputs[number - 1]:
                    raise OtherInputError(f"input {number} was {name} and is now {inputs[number - 1]}")
                places[number] = Place(file, offset, "error" in row)
            offset += len(line)
    return places


def write_in_order(target: Path, places: Mapping[int, Place]) -> None:
    """Writes rows by their numbers, whole or not at all; the target may be one of their files."""
    with whole(target) as temporary, ExitStack() as opened:
        files = {file: opened.enter_context(file.open("rb")) for file in {place.file for place in places.values()}}
        written = opened.enter_context(temporary.open("wb"))
        for number in sorted(places):
            place = places[number]
            files[place.file].seek(place.offset)
            written.write(files[place.file].readline())


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, without one that is cut off."""
    return map(json.loads, _whole_lines(file))


def _whole_lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        # bytes end at line feeds alone, text also at characters that JSON allows within a string
        yield from (line for line in lines if line.endswith(b"\n"))
