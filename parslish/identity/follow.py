"""Owns the walk from a piece of code to all the code and constants that it uses.

Each function, class and module met is a *unit*, numbered in the order in which it is met; a use of one is written as
its number, so that code may lead back to itself. What a unit's own code is written as, is left to `form`; what a class
is made of, to `classes`; whether it all still holds, to `watch`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from types import FunctionType, MethodType, ModuleType
from typing import Any

from blake3 import blake3

from parslish.errors import Unidentifiable
from parslish.identity.atoms import atom, composite, text
from parslish.identity.classes import members, type_name, unwrapped
from parslish.identity.code import Fingerprint, Part
from parslish.identity.form import form
from parslish.identity.imports import imported
from parslish.identity.project import is_project_module
from parslish.identity.stack import ENTRY, Path
from parslish.identity.uses import Uses, uses
from parslish.identity.value import encode
from parslish.identity.watch import ABSENT, Watch, cell_value

_SHOWN = (type(None), bool, int, float, complex)  # strings may be secrets
_IN_EVERY_MODULE = frozenset(
    "__annotations__ __builtins__ __cached__ __doc__ __file__ __loader__ __name__ __package__ __path__ __spec__".split()
)
_STATE, _MISSING, _BUILTIN = b"state", b"missing", b"builtin"


class Walk:
    """One walk, which makes one fingerprint."""

    def __init__(self) -> None:
        self._watch = Watch(encode)
        self._parts: dict[tuple[str, str, int], Part] = {}
        self._numbers: dict[int, int] = {}
        self._units: list[tuple[Any, Callable[[], Iterable[bytes]]]] = []

    def fingerprint(self, obj: Any) -> Fingerprint:
        """The fingerprint of anything that can be called."""
        state = blake3(self._token(obj, "", "constant"))
        for _, content in self._units:  # which grows on the way
            state.update(composite(b"unit", *content()))
        return Fingerprint(state.digest(), tuple(self._parts.values()), self._watch.is_current)

    # --------------------------------------------------------------------------------- what a name leads to

    def _token(self, value: Any, name: str, kind: str, decorated: bool = False) -> bytes:
        """What stands for a value in the unit that uses it.

        Args:
            value: what a name, a closure's variable, a default or an attribute leads to.
            name: where it stands.
            kind: which part it is when it is plain data.
            decorated: it was reached through a library's decorator.
        """
        inner = self._inside(value)
        if inner is not None:
            said, targets, decorated = inner
            return composite(said, *(self._token(each, name, kind, decorated) for each in targets))
        if isinstance(value, FunctionType):
            return self._unit(value, functools.partial(self._function, value, decorated))
        if isinstance(value, type) and is_project_module(value.__module__):
            return self._unit(value, functools.partial(self._class, value))
        if isinstance(value, type):
            return composite(b"library", text(f"{value.__module__}.{value.__qualname__}"))
        if isinstance(value, ModuleType):
            return self._module_token(value)
        return self._constant(value, name, kind)

    def _inside(self, value: Any) -> tuple[bytes, Iterable[Any], bool] | None:
        """What a thing that only wraps code is, what it wraps, and whether a library wrapped it; else None."""
        if getattr(type(value), "__parslish_app__", False):
            version = getattr(value, "version", None)
            kind = str(getattr(value, "kind", "")).encode()
            return (b"app " + kind, [value.func] if version is None else [str(version)], False)
        if isinstance(value, MethodType):
            return b"method", [value.__func__, value.__self__], False
        if isinstance(value, functools.partial):
            return b"partial", [value.func, *value.args, *_flattened(value.keywords)], False
        held = unwrapped(value)
        if held is not None:
            return type_name(value), held, False
        wrapped = getattr(value, "__wrapped__", None) if callable(value) else None
        if wrapped is not None and not isinstance(value, (FunctionType, type)) and not _is_own(type(value)):
            return type_name(value), [wrapped], True
        return None

    def _unit(self, value: Any, content: Callable[[], Iterable[bytes]]) -> bytes:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._units)
            self._units.append((value, content))  # with the value, so that its id stays its own
        return b"unit" + atom(number)

    def _module_token(self, module: ModuleType) -> bytes:
        if is_project_module(module.__name__):
            return self._unit(module, functools.partial(self._module, module))
        return composite(b"library", text(module.__name__))

    def _constant(self, value: Any, name: str, kind: str) -> bytes:
        if isinstance(value, (logging.Logger, Future)) or type(value).__module__.startswith("parslish."):
            return self._opaque(value, name)
        try:
            encoding = encode(value)
        except Unidentifiable:
            return self._opaque(value, name)
        self._watch.content(value, encoding)
        self._part(kind, name, composite(b"constant", encoding), repr(value) if type(value) in _SHOWN else "")
        return encoding

    def _opaque(self, value: Any, name: str) -> bytes:
        token = composite(b"opaque", type_name(value))
        self._part("opaque", name, token)
        return token

    def _part(self, kind: str, name: str, encoding: bytes, shown: str = "", number: int = -1) -> None:
        self._parts.setdefault((kind, name, number), Part(kind, name, blake3(encoding).digest(), shown))

    # --------------------------------------------------------------------------------- units

    def _function(self, func: FunctionType, decorated: bool) -> Iterable[bytes]:
        name = _full_name(func)
        self._watch.function(func)
        if not is_project_module(func.__globals__.get("__name__") or func.__module__ or ""):
            yield composite(b"library", text(name))
            yield from self._library_closure(func, name)
            return
        used = uses(func.__code__)
        own_name = _own_name(func, used)
        written = form(func, own_name, decorated)
        self._part("function", name, written.encoding, written.text, len(self._parts))
        yield written.encoding
        yield from self._defaults(func, name)
        for path in sorted(used.reads):
            yield from self._read(func, path, used, own_name)
        for each in sorted(written.decorator_names - {path[1] for path in used.reads}):
            if each in func.__globals__:
                yield from self._read(func, ("global", each), used, own_name)
        yield from self._imports(func, used)

    def _library_closure(self, func: FunctionType, name: str) -> Iterable[bytes]:
        """A library's decorator holds the user's function in its closure."""
        for variable, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
            value = cell_value(cell)
            self._watch.cell(cell, value)
            if value is not ABSENT:
                yield text(variable) + self._token(value, f"{name}.{variable}", "closure", decorated=True)

    def _defaults(self, func: FunctionType, name: str) -> Iterable[bytes]:
        code, values = func.__code__, func.__defaults__ or ()
        named = dict(zip(code.co_varnames[code.co_argcount - len(values) : code.co_argcount], values, strict=True))
        for parameter, value in sorted({**named, **(func.__kwdefaults__ or {})}.items()):
            yield text(parameter) + self._token(value, f"{name}.{parameter}", "default")

    def _imports(self, func: FunctionType, used: Uses) -> Iterable[bytes]:
        for statement in used.imports:
            for module, name in imported(statement, func.__globals__):
                if name is None:
                    yield self._module_token(module)
                else:
                    yield self._entry(module, name)

    def _class(self, cls: type) -> Iterable[bytes]:
        name = _full_name(cls)
        self._part("class", name, text(cls.__name__), number=len(self._parts))
        yield composite(b"class", text(cls.__name__))
        for base in (type(cls), *cls.__bases__):
            yield self._token(base, "", "attribute")
        for attribute, value, watched in members(cls):
            if watched:
                self._watch.name(vars(cls), attribute, value)
            yield text(attribute) + self._token(value, f"{name}.{attribute}", "attribute")

    def _module(self, module: ModuleType) -> Iterable[bytes]:
        """A module that is used as a whole: all that is in it."""
        yield b"module"
        for name in sorted(vars(module).keys() - _IN_EVERY_MODULE):
            yield self._entry(module, name)

    def _entry(self, module: ModuleType, name: str) -> bytes:
        value = vars(module)[name]
        self._watch.name(vars(module), name, value)
        return text(name) + self._token(value, f"{module.__name__}.{name}", "constant")

    # --------------------------------------------------------------------------------- names that are read

    def _read(self, func: FunctionType, path: Path, used: Uses, own_name: str) -> Iterable[bytes]:
        """What a path that a function reads stands for."""
        scope, name, *attributes = path
        if scope == "global" and name in _IN_EVERY_MODULE:
            return
        yield text(scope) + (atom(None) if name == own_name else text(name))
        value = self._variable(func, scope, name)
        whole: Path = (scope, name)
        place = f"{func.__globals__.get('__name__')}.{name}" if scope == "global" else f"{_full_name(func)}.{name}"
        while attributes and isinstance(value, ModuleType) and is_project_module(value.__name__):
            attribute = attributes.pop(0)
            yield text(attribute)
            space, whole, place = vars(value), (*whole, attribute), f"{value.__name__}.{attribute}"
            value = space.get(attribute, ABSENT)
            self._watch.name(space, attribute, value)
        yield self._read_token(func, value, whole, place, used)

    def _variable(self, func: FunctionType, scope: str, name: str) -> Any:
        if scope == "global":
            value = func.__globals__.get(name, ABSENT)
            self._watch.name(func.__globals__, name, value)
            return value
        cell = (func.__closure__ or ())[func.__code__.co_freevars.index(name)]
        value = cell_value(cell)
        self._watch.cell(cell, value)
        return value

    def _read_token(self, func: FunctionType, value: Any, path: Path, place: str, used: Uses) -> bytes:
        if _is_state(path, value, used):
            self._part("state", place, _STATE)
            return _STATE
        if value is not ABSENT:
            return self._token(value, place, "constant" if path[0] == "global" else "closure")
        if path[0] == "global" and len(path) == 2 and path[1] in func.__builtins__:
            return _BUILTIN
        self._part("missing", place, _MISSING)
        return _MISSING


def _is_state(path: Path, value: Any, used: Uses) -> bool:
    """Whether the code that reads a name also changes what it leads to."""
    if path in used.changes:
        return True
    if isinstance(value, (FunctionType, type, ModuleType)) or getattr(type(value), "__parslish_app__", False):
        return False
    if any(change[: len(path)] == path for change in used.changes):
        return True
    return _is_container(value) and any(_container(call) == path for call in used.calls)


def _is_container(value: Any) -> bool:
    return type(value).__module__ in ("builtins", "collections", "array")


def _container(call: Path) -> Path:
    """The path of what a changing method belongs to, or of what holds that."""
    path = call[:-1]
    while path[-1] == ENTRY:
        path = path[:-1]
    return path


def _own_name(func: FunctionType, used: Uses) -> str:
    """The name under which a function calls itself, directly or as an app; "" when it does not."""
    name = func.__name__
    if name in used.local_names:
        return ""
    value = func.__globals__.get(name) if ("global", name) in used.reads else None
    if name in func.__code__.co_freevars:
        value = cell_value((func.__closure__ or ())[func.__code__.co_freevars.index(name)])
    if getattr(type(value), "__parslish_app__", False):
        value = value.func
    return name if getattr(value, "__code__", None) is func.__code__ else ""


def _full_name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _is_own(cls: type) -> bool:
    return is_project_module(cls.__module__)


def _flattened(keywords: Mapping[str, Any]) -> list[Any]:
    return [each for pair in sorted(keywords.items()) for each in pair]
