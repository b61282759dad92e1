"""Owns how a function that a record names is found again: in a module, in the script that runs, or in another script,
which is loaded for it without its `if __name__ == "__main__"` part."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from parslish.errors import UsageError

MAIN: Final = "__parslish_main__"  # what a script is called while it is loaded

_loads: ContextVar[str] = ContextVar("parslish-loads", default="")


def find(module: str, qualname: str, file: str) -> Any:
    """What stands at a place; None when nothing does.

    Args:
        module: its name; "__main__" for a script.
        qualname: dotted, within the module.
        file: where its code is, which tells one script from another; "" when in no file.

    Raises:
        UsageError: the script, or the module, raises when it is loaded.
    """
    if "<" in qualname:  # in a function
        return None
    space = _main(file) if module == "__main__" else _module(module, file)
    found: Any = space
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def check_dispatch(name: str) -> None:
    """Raises UsageError where a script that is only loaded dispatches a workflow."""
    file = _loads.get()
    if file:
        raise UsageError(
            f"{file} dispatches workflow {name!r} whenever it is loaded: put that under  if __name__ == '__main__':"
        )


def _module(name: str, file: str) -> ModuleType | None:
    for path in (None, _root_of(name, file)):
        if path is not None and path not in sys.path:
            sys.path.append(path)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
                raise UsageError(
                    f"module {name!r} cannot be imported: it needs {exc.name!r}, which is not there"
                ) from exc
        except Exception as exc:  # user code
            raise UsageError(f"module {name!r} cannot be imported: {type(exc).__name__}: {exc}") from exc
    return None


def _root_of(module: str, file: str) -> str | None:
    """The folder from which a module's file is imported by its name."""
    if not file:
        return None
    path = Path(file)
    steps = module.count(".") + (path.name == "__init__.py")
    return str(path.parents[steps]) if steps < len(path.parents) else None


def _main(file: str) -> ModuleType | None:
    running = sys.modules["__main__"]
    its_file = getattr(running, "__file__", None)
    if not file or its_file is None or os.path.abspath(its_file) == file:
        return running
    loaded = sys.modules.get(MAIN)
    if loaded is not None and getattr(loaded, "__file__", None) == file:
        return loaded
    return _load(file) if os.path.exists(file) else None


def _load(file: str) -> ModuleType:
    # The command `parslish` lets the script have its place, so that its classes have the names that they have in stored
    # values and in keys.
    name = "__main__" if _is_ours(sys.modules["__main__"]) else MAIN
    before = sys.modules.get(name)
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = file
    if os.path.dirname(file) not in sys.path:
        sys.path.insert(0, os.path.dirname(file))
    try:
        with _loading(file):
            exec(compile(_unguarded(file), file, "exec"), vars(module))
    except BaseException as exc:  # user code; a script may also end with sys.exit()
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        if isinstance(exc, KeyboardInterrupt):
            raise
        raise UsageError(f"{file} cannot be loaded: {type(exc).__name__}: {exc}") from exc
    return module


def _unguarded(file: str) -> ast.Module:
    tree = ast.parse(Path(file).read_bytes(), file)
    tree.body = [statement for statement in tree.body if not _is_guarded(statement)]
    return tree


def _is_guarded(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.If) or not isinstance(statement.test, ast.Compare):
        return False
    sides = {ast.unparse(side) for side in (statement.test.left, *statement.test.comparators)}
    return sides == {"__name__", "'__main__'"} and isinstance(statement.test.ops[0], ast.Eq)


@contextmanager
def _loading(file: str) -> Iterator[None]:
    token = _loads.set(file)
    try:
        yield
    finally:
        _loads.reset(token)


def _is_ours(main: ModuleType) -> bool:
    """Whether the running program is the command `parslish`, which nothing that is stored refers to."""
    path = Path(getattr(main, "__file__", None) or "")
    return path.name == "parslish" or path.resolve() == Path(__file__).resolve().parents[1] / "__main__.py"
