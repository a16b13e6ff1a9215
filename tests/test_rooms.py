"""Imports between the rooms of the package go one way, and no file is reached from itself, functions' imports included."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hf_mer

PACKAGE = Path(hf_mer.__file__).parent
GROUND = {"console", "factors", "files", "lazy", "locks", "stopping", "version"}
DATA = GROUND | {"data", "metrics", "models"}
HUB = DATA | {"hub"}
TRAINING = HUB | {"plots", "training"}
PREDICTION = HUB | {"export", "plots", "prediction"}
MAY_IMPORT = {  # besides themselves
    **dict.fromkeys(GROUND, GROUND),
    "metrics": GROUND,
    "models": set(),
    "plots": GROUND | {"metrics", "models"},
    "data": DATA,
    "hub": HUB,
    "training": TRAINING,
    "evaluation": TRAINING | PREDICTION,
    "reproduction": TRAINING,
    "export": HUB,
    "prediction": PREDICTION,
    "app": PREDICTION,
    "demo": TRAINING,
    "cli": TRAINING | PREDICTION | {"app", "demo", "evaluation", "reproduction"},
}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(name, path):
    """Modules of the package that a file imports, anywhere in it but for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module}" if node.level else node.module
            if module in MODULES:
                yield from (full if (full := f"{module}.{alias.name}") in MODULES else module for alias in node.names)


IMPORTS = {name: set(imports_of(name, path)) - {name} for name, path in MODULES.items()}


def room(name):
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("name", sorted({room(name) for name in MODULES} - {""}))
def test_a_room_imports_what_it_may(name):
    allowed = MAY_IMPORT[name] | {name}
    wrong = {
        f"{importer} imports {imported}"
        for importer, found in IMPORTS.items()
        for imported in found
        if room(importer) == name and room(imported) and room(imported) not in allowed
    }
    assert not wrong


def test_no_file_is_reached_from_itself():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))
