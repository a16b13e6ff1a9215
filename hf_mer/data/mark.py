"""The file by which a generated corpus is known: with what it was generated, and what can be reached on it."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MARK = "generated.json"


def is_generated(root: str | os.PathLike) -> bool:
    """Whether a tree was written by this package."""
    return (Path(root) / MARK).is_file()


def generated_language(roots: Iterable[str | os.PathLike]) -> str | None:
    """The language of the first generated corpus of several, as its settings name it; None where that is English."""
    return next((read_mark(root)["settings"].get("language") for root in roots if is_generated(root)), None)


def read_mark(root: str | os.PathLike) -> dict[str, Any]:
    """`version`, `settings` and `ceilings` of a generated corpus."""
    return json.loads((Path(root) / MARK).read_text(encoding="utf-8"))
