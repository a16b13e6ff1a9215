"""What fields of configurations, processors and label stores may hold: one rule per field, one sentence if broken.

A rule takes a field's name and value, gives what is kept (a list of a tuple), and raises `FieldError` for all else.
"""

import math
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

from huggingface_hub.errors import StrictDataclassError

Rule = Callable[[str, Any], Any]


class FieldError(ValueError):
    """A field holds what it must not; the message names field, value and valid values."""


@contextmanager
def in_file(folder: str | os.PathLike | None, file: str, given: Iterable[str] = ()) -> Iterator[None]:
    """Says which file of a checkpoint a broken field stands in.

    Args:
        folder: Or repository on the Hub; the file itself where the name ends like one.
        file: Its name.
        given: Fields that do not come from there.
    """
    try:
        yield
    except FieldError as error:
        path = "" if folder is None else str(folder) if str(folder).endswith(".json") else os.path.join(folder, file)
        if folder is None or str(error).startswith((path, *given)):
            raise
        raise FieldError(f"{path}: {error}") from error


def number(
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
) -> Rule:
    """A finite number between bounds, which belong to it or (`above`, `below`) do not."""
    kind = "a whole number" if whole else "a finite number"

    def rule(name: str, value: Any) -> Any:
        is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
        if not is_number or not (isinstance(value, Integral) or math.isfinite(value)):
            raise FieldError(f"{name}={shown(value)} must be {kind}")
        if least is not None and value < least:
            raise FieldError(f"{name}={shown(value)} must be at least {least}")
        if above is not None and not value > above:
            raise FieldError(f"{name}={shown(value)} must be {f'above {above}' if above else 'positive'}")
        if most is not None and value > most:
            raise FieldError(f"{name}={shown(value)} must be at most {most}")
        if below is not None and not value < below:
            raise FieldError(f"{name}={shown(value)} must be below {below}")
        return value

    return rule


def whole(least: int = 1, most: int | None = None) -> Rule:
    """A whole number."""
    return number(least, most, whole=True)


def optional(rule: Rule) -> Rule:
    """What the rule says, or None."""
    return lambda name, value: None if value is None else rule(name, value)


def anything(name: str, value: Any) -> Any:
    """Whatever is given."""
    return value


def flag(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise FieldError(f"{name}={shown(value)} must be true or false")
    return value


def word(name: str, value: Any) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise FieldError(f"{name}={shown(value)} must be text")
    return value


def choice(*valid: str) -> Rule:
    """One of these words."""

    def rule(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in valid:
            given = f"'{value}'" if isinstance(value, str) else shown(value)
            raise FieldError(f"{name}: {given} is not one of {', '.join(valid)}")
        return value

    return rule


def list_of(rule: Rule) -> Rule:
    """A list, all of whose items follow a rule."""

    def check(name: str, value: Any) -> list:
        if not isinstance(value, (list, tuple)):
            raise FieldError(f"{name}={shown(value)} must be a list")
        return [rule(name, item) for item in value]

    return check


def table_of(rule: Rule, key: Rule | None = None) -> Rule:
    """A dictionary, all of whose values follow a rule."""
    key = key or word

    def check(name: str, value: Any) -> dict:
        if not isinstance(value, Mapping):
            raise FieldError(f"{name}={shown(value)} must be a dictionary of names and values")
        return {key(name, own): rule(f"{name}[{own!r}]", item) for own, item in value.items()}

    return check


def check_fields(rules: Mapping[str, Rule], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as their rules keep them.

    Raises:
        FieldError: If one breaks its rule.
    """
    return {name: rules[name](name, value) if name in rules else value for name, value in values.items()}


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    return reprlib.repr(value)


def first_line(error: BaseException) -> str:
    """What an error of a library says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__


def of_wrong_kind(field: str, error: StrictDataclassError, values: Mapping[str, Any]) -> FieldError:
    """What a configuration of transformers says of a value whose type is wrong, in one sentence.

    Args:
        field: Where it stands, with a dot behind it, or nothing.
        error: Of huggingface_hub, on several lines.
        values: That were given, by name.
    """
    name = re.search(r"for field '(\w+)'", str(error))
    if name is None or name[1] not in values:
        return FieldError(f"{field}{' ' if field else ''}{first_line(error.__cause__ or error)}")
    kinds = dict.fromkeys(re.findall(r"expected (?:an? )?(\w+), got", str(error)))
    must = f"must be of type {' or '.join(kinds)}" if kinds else f"cannot be ({first_line(error.__cause__ or error)})"
    return FieldError(f"{field}{name[1]}={shown(values[name[1]])} {must}")
