"""Names of a package that are loaded on first use (PEP 562), so that importing the package costs nothing."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, Sequence[str]]) -> tuple[Callable, Callable, list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: Its `__name__`.
        modules: Public names by the module that has them.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; public names: {', '.join(module_of)}")
        value = getattr(import_module(module_of[name]), name)
        setattr(import_module(package), name, value)  # the next access does not come here
        return value

    return load, lambda: sorted({*vars(import_module(package)), *module_of}), sorted(module_of)
