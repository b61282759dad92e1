"""Owns the line between the user's own code, which counts, and libraries, which only count by name."""

from __future__ import annotations

import functools
import importlib.machinery
import os
import sys
from types import ModuleType

_STDLIB = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def is_project_module(module_name: str) -> bool:
    """Whether a module is the user's own: not the standard library, not installed, not compiled, not parslish.

    A project installed in editable mode is still the user's own; so is `__main__`, and so is what no file tells of.
    """
    if module_name == "__main__":
        return True
    if module_name.partition(".")[0] == "parslish":
        return False
    module = _nearest(module_name)
    file = _file(module)
    if file is not None:
        return is_project_file(file)
    # By name only where there is no file: a user's own `queue.py` may hide the standard one.
    return module_name.partition(".")[0] not in sys.stdlib_module_names


def _nearest(module_name: str) -> ModuleType | None:
    """The module, or the innermost loaded package that it says it is in."""
    while module_name:
        module = sys.modules.get(module_name)
        if module is not None:
            return module
        module_name = module_name.rpartition(".")[0]
    return None


def _file(module: ModuleType | None) -> str | None:
    namespace = getattr(module, "__dict__", {})
    file = namespace.get("__file__")
    if isinstance(file, str):
        return file
    folders = list(namespace.get("__path__") or ())  # a package without __init__.py
    return str(folders[0]) if folders else None


@functools.lru_cache(maxsize=4096)
def is_project_file(file: str) -> bool:
    """Whether a module's file (or folder) is neither the standard library's, nor installed, nor compiled."""
    if file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
        return False
    path = os.path.abspath(file)
    if not _INSTALLED.isdisjoint(path.split(os.sep)):
        return False
    return not (path.startswith(_STDLIB) or os.path.realpath(path).startswith(_STDLIB))
