"""Owns what the import statements inside functions lead to: the user's own modules, imported as the function would."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from parslish.identity.project import is_project_file, is_project_module
from parslish.identity.uses import Import


def imported(statement: Import, namespace: dict[str, Any]) -> Iterator[tuple[ModuleType, str | None]]:
    """The user's own modules that a statement imports, each with the name taken from it (None: all of it).

    A module that does not import here is passed over: the function will say so when it is called.
    """
    module = _own_module(_absolute(statement, namespace))
    if module is None:
        return
    if not statement.names:
        yield module, None
    for name in statement.names:
        if name in vars(module):
            yield module, name
        elif (inner := _own_module(f"{module.__name__}.{name}")) is not None:
            yield inner, None


def _absolute(statement: Import, namespace: dict[str, Any]) -> str:
    if not statement.level:
        return statement.module
    package = namespace.get("__package__") or ""
    base = package.rsplit(".", statement.level - 1)[0]
    return f"{base}.{statement.module}".rstrip(".")


def _own_module(name: str) -> ModuleType | None:
    """A module of the user's own, imported when it is not yet: it must count the same before its first use."""
    if name in sys.modules:
        return sys.modules[name] if is_project_module(name) else None
    try:
        # The outermost package decides, and is looked for without importing anything.
        spec = importlib.util.find_spec(name.partition(".")[0])
        if spec is None:
            return None
        file = spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()), None)
        return importlib.import_module(name) if file and is_project_file(file) else None
    except Exception:  # user code
        return None
