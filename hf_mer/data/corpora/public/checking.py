"""Checks of a description: every key, what it holds, and what fits together; all problems, a line each."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any

_PARTS = ("emotion", "sentence", "speaker")
_COLUMNS = ("text", "emotion", "speaker", "gender")
_TABLE = ("file", "key", "columns")
_WORDS = {str: "a text", int: "a whole number", bool: "true or false", list: "a list"}
_MAPPINGS = {"counts": int, "speakers": list}  # what they hold; others hold texts
_NUMBERS = {"fixed_sentences": int, "groups": int, "num_speakers": int, "redistributable": bool}
_MAY_BE_NULL = ("language", "licence_id")


def path_pattern(files: str) -> re.Pattern[str]:
    """What matches the end of a path, from the beginning of a name; the group `id_` is all that it matches.

    Raises:
        re.error: If it is not a regular expression.
    """
    return re.compile(rf"(?:^|/)(?P<id_>{files})$", re.IGNORECASE)


def description_problems(content: Any, description: Any) -> list[str]:
    """What is wrong with the content of a YAML file.

    Args:
        content: As it was read.
        description: The dataclass that it is to become.
    """
    if not isinstance(content, dict):
        return [f"must contain `key: value`, not {type(content).__name__}"]
    known = {item.name: item for item in fields(description) if item.name != "name"}
    problems = []
    for key in content:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"keys: {', '.join(known)}"
            problems.append(f"unknown key '{key}'; {hint}")
    for name, item in known.items():
        if name in content:
            problems += _value_problems(name, content[name], item.default_factory is dict or name == "labels")
        elif item.default is MISSING and item.default_factory is MISSING:
            problems.append(f"key '{name}' is missing")
    return problems or _meaning_problems(content)


def _value_problems(name: str, value: Any, is_mapping: bool) -> list[str]:
    if is_mapping:
        return _mapping_problems(name, value)
    if value is None and name in _MAY_BE_NULL:
        return []
    return _kind_problems(name, value, _NUMBERS.get(name, str))


def _kind_problems(where: str, value: Any, kind: type) -> list[str]:
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return [] if right else [f"{where}: {value!r} is not {_WORDS[kind]}{', in quotes' * (kind is str)}"]


def _mapping_problems(name: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"{name}: {value!r} is not a mapping"]
    kind = _MAPPINGS.get(name, str)
    problems = []
    for key, one in value.items():
        problems += _kind_problems(name, key, str)
        if (name, key) == ("table", "columns"):
            problems += _mapping_problems("table: columns", one)
            continue
        problems += _kind_problems(f"{name}: {key}", one, kind)
        for code in one if kind is list and isinstance(one, list) else ():
            problems += _kind_problems(f"{name}: {key}", code, str)
    return problems


def _meaning_problems(content: Mapping[str, Any]) -> list[str]:
    """What is wrong with regular expressions, and between keys."""
    problems, parts = [], set()
    for name, pattern in {**content.get("left_out", {}), "files": content["files"]}.items():
        try:
            parts = set(path_pattern(pattern).groupindex) - {"id_"}
        except re.error as error:
            problems.append(f"{name}: {pattern!r} is not a regular expression ({error})")
    if problems:
        return problems
    table = content.get("table", {})
    problems += [f"table: unknown key '{key}'; keys: {', '.join(_TABLE)}" for key in table if key not in _TABLE]
    problems += [f"table: key '{key}' is missing" for key in _TABLE if table and key not in table]
    columns = set(table.get("columns", {}))
    problems += [f"table: columns: unknown '{name}'; known: {', '.join(_COLUMNS)}"
                 for name in sorted(columns - {*_COLUMNS})]  # fmt: skip
    problems += [f"files: unknown group '{name}'; groups: {', '.join(_PARTS)}" for name in sorted(parts - {*_PARTS})]
    problems += [f"files: no group (?P<{name}>...), and no such column of a table"
                 for name in ("emotion", "speaker") if name not in parts | columns]  # fmt: skip
    if not content["labels"]:
        problems.append("labels: there are no classes")
    if ("sentence" in parts) != bool(content.get("sentences")):
        problems.append("sentences and the group 'sentence' of files belong together: give both or neither")
    unknown = sorted(set(content.get("counts", {})) - set(content["labels"].values()))
    problems += [f"counts: '{name}' is not a class of labels" for name in unknown]
    if content.get("groups", 2) < 2:
        problems.append(f"groups: {content['groups']} must be 2 or more")
    return problems
