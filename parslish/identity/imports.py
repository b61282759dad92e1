"""Owns what import statements inside functions lead to: the user's own modules, imported as the function would.

They are imported for the fingerprint, so that code counts the same before and after its first use.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from parslish.identity.project import is_project_file, is_project_module


def own_module(name: str, namespace: dict[str, Any]) -> ModuleType | None:
    """A module of the user's own; None for a library, and for what does not import here: the call will tell.

    Args:
        name: as in the import statement, with the dots of a relative import.
        namespace: the globals of the function that imports it.
    """
    absolute = _absolute(name, namespace)
    if absolute in sys.modules:
        return sys.modules[absolute] if is_project_module(absolute) else None
    try:
        return importlib.import_module(absolute) if _is_own_package(absolute.partition(".")[0]) else None
    except Exception:  # user code
        return None


def own_submodule(module: ModuleType, name: str) -> ModuleType | None:
    """A module of a package, which may not be loaded yet."""
    return own_module(f"{module.__name__}.{name}", {}) if hasattr(module, "__path__") else None


def _absolute(name: str, namespace: dict[str, Any]) -> str:
    relative = name.lstrip(".")
    level = len(name) - len(relative)
    if not level:
        return name
    package = str(namespace.get("__package__") or "").split(".")
    return ".".join([*package[: len(package) - level + 1], relative]).rstrip(".")


def _is_own_package(name: str) -> bool:
    """Whether an outermost package is the user's own, told without importing it."""
    if name in sys.modules:
        return is_project_module(name)
    spec = importlib.util.find_spec(name)
    if spec is None:
        return False
    file = spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()), None)
    return file is not None and is_project_file(file)
