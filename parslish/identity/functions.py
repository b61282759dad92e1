"""Owns what a function of the user's own is made of: its own code, its defaults, and what the names in it lead to.

What a value is written as, is left to the `Walk` that asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from parslish.identity.atoms import atom, composite, text
from parslish.identity.classes import is_container
from parslish.identity.form import form
from parslish.identity.imports import own_module, own_submodule
from parslish.identity.project import is_project_module
from parslish.identity.stack import ENTRY, Path
from parslish.identity.uses import Uses, uses
from parslish.identity.watch import ABSENT, cell_value

if TYPE_CHECKING:
    from parslish.identity.follow import Walk

#: Names that the import system gives each module: they say where it is, not what it does.
IN_EVERY_MODULE = frozenset({
    "__annotations__", "__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__",
    "__path__", "__spec__",
})  # fmt: skip


def function_content(walk: Walk, func: FunctionType, decorated: bool) -> Iterator[bytes]:
    """What a function is made of, piece by piece.

    Args:
        walk: the walk on which it was met.
        func: the function.
        decorated: it was reached through a library's decorator, whose arguments only the source tells.
    """
    walk.watch.function(func)
    if is_project_module(func.__globals__.get("__name__") or func.__module__ or ""):
        yield from _Own(walk, func).content(decorated)
    else:
        yield from _library_function(walk, func)


def _library_function(walk: Walk, func: FunctionType) -> Iterator[bytes]:
    """Its name, and its closure: in that of a library's decorator is the user's function."""
    name = full_name(func)
    yield composite(b"library", text(name))
    for variable, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
        value = cell_value(cell)
        walk.watch.cell(cell, value)
        if value is not ABSENT:
            yield text(variable) + walk.token(value, f"{name}.{variable}", "closure", decorated=True)


class _Own:
    """One function of the user's own on one walk."""

    def __init__(self, walk: Walk, func: FunctionType) -> None:
        self._walk, self._func = walk, func
        self._name = full_name(func)
        self._uses = uses(func.__code__)
        self._own_name = _own_name(func, self._uses)

    def content(self, decorated: bool) -> Iterator[bytes]:
        func, reads = self._func, self._uses.reads
        written = form(func, self._own_name, decorated)
        self._walk.part("function", self._name, written.encoding, written.text)
        yield written.encoding
        yield from self._defaults()
        in_decorators = {("global", name) for name in written.decorator_names if name in func.__globals__}
        for path in sorted(reads | in_decorators):
            if path[0] == "import":
                yield from self._imported(path)
            elif path[0] == "free" or path[1] not in IN_EVERY_MODULE:
                yield from self._read(path)

    def _defaults(self) -> Iterator[bytes]:
        code, values = self._func.__code__, self._func.__defaults__ or ()
        named = dict(zip(code.co_varnames[code.co_argcount - len(values) : code.co_argcount], values, strict=True))
        for parameter, value in sorted({**named, **(self._func.__kwdefaults__ or {})}.items()):
            yield text(parameter) + self._walk.token(value, f"{self._name}.{parameter}", "default")

    def _imported(self, path: Path) -> Iterator[bytes]:
        module = own_module(path[1], self._func.__globals__)
        if module is not None:
            yield text("import")
            yield from self._along(path, 2, module, module.__name__)

    def _read(self, path: Path) -> Iterator[bytes]:
        scope, name = path[:2]
        yield text(scope) + (atom(None) if name == self._own_name else text(name))
        place = f"{self._func.__globals__.get('__name__') if scope == 'global' else self._name}.{name}"
        if path[:2] in self._uses.changes:
            yield self._only_named("state", place)
        else:
            yield from self._along(path, 2, self._variable(scope, name), place)

    def _variable(self, scope: str, name: str) -> Any:
        if scope == "global":
            value = self._func.__globals__.get(name, ABSENT)
            self._walk.watch.name(self._func.__globals__, name, value)
        else:
            cell = _cell(self._func, name)
            value = cell_value(cell)
            self._walk.watch.cell(cell, value)
        return value

    def _along(self, path: Path, start: int, value: Any, place: str) -> Iterator[bytes]:
        """What a path stands for, of which the first names are known to lead to `value`."""
        for end, name in enumerate(path[start:], start):
            if not _is_namespace(value, name):
                path = path[:end]
                break
            yield text(name)
            place = f"{place if isinstance(value, FunctionType) else value.__name__}.{name}"
            if path[: end + 1] in self._uses.changes:
                yield self._only_named("state", place)
                return
            value = self._attribute(value, name)
        yield self._found(path, value, place)

    def _attribute(self, owner: ModuleType | FunctionType, name: str) -> Any:
        space = vars(owner)
        if name not in space and isinstance(owner, ModuleType):
            own_submodule(owner, name)  # which then is an attribute
        value = space.get(name, ABSENT)
        self._walk.watch.name(space, name, value)
        return space.get("__getattr__", ABSENT) if value is ABSENT else value

    def _found(self, path: Path, value: Any, place: str) -> bytes:
        if _is_changed(path, value, self._uses):
            return self._only_named("state", place)
        if value is not ABSENT:
            written_to = {change[len(path)] for change in self._uses.changes if change[: len(path)] == path}
            kind = "closure" if path[0] == "free" else "constant"
            return self._walk.token(value, place, kind, without=frozenset(written_to))
        func: Any = self._func  # not all type stubs know a function's __builtins__
        if path[0] == "global" and len(path) == 2 and path[1] in func.__builtins__:
            return composite(b"builtin")
        return self._only_named("missing", place)

    def _only_named(self, kind: str, place: str) -> bytes:
        token = composite(kind.encode())
        self._walk.part(kind, place, token)
        return token


def _is_namespace(value: Any, name: str) -> bool:
    """Whether what counts of a value, where its attribute `name` is read, is only that attribute."""
    if isinstance(value, ModuleType):
        return is_project_module(value.__name__)
    return isinstance(value, FunctionType) and name in vars(value)


def _is_changed(path: Path, value: Any, used: Uses) -> bool:
    """Whether the code that reads a container also changes it."""
    if any(change[: len(path) + 1] == (*path, ENTRY) for change in used.changes):
        return True
    return is_container(value) and any(_changed_by(call) == path for call in used.calls)


def _changed_by(call: Path) -> Path:
    """The path of the outermost container in which a method that is called changes something."""
    path = call[:-1]
    while path[-1] == ENTRY:
        path = path[:-1]
    return path


def _own_name(func: FunctionType, used: Uses) -> str:
    """The name under which a function calls itself, directly or as an app; "" when it does not."""
    name = func.__name__
    if name in used.local_names:
        return ""
    value = func.__globals__.get(name)
    if name in func.__code__.co_freevars:
        value = cell_value(_cell(func, name))
    if getattr(type(value), "__parslish_app__", False):
        value = value.func  # type: ignore[union-attr]
    return name if isinstance(value, FunctionType) and value.__code__ is func.__code__ else ""


def _cell(func: FunctionType, name: str) -> Any:
    return (func.__closure__ or ())[func.__code__.co_freevars.index(name)]


def full_name(thing: Any) -> str:
    """Module and qualified name of a function or class."""
    return f"{thing.__module__}.{thing.__qualname__}"
