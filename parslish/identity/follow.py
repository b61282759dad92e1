"""Owns the walk from a piece of code to all the code and constants that it uses.

Each function, class and module met is a *unit*, numbered in the order in which it is met; a use of one is written as
its number, so that code may lead back to itself. What a function is made of is left to `functions`, what a class is to
`classes`, and whether it all still holds to `watch`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from types import FunctionType, MethodType, ModuleType
from typing import Any

from blake3 import blake3

from parslish.errors import Unidentifiable
from parslish.identity.atoms import atom, composite, text
from parslish.identity.classes import declared, members, unwrapped
from parslish.identity.code import Fingerprint, Part
from parslish.identity.functions import IN_EVERY_MODULE, full_name, function_content
from parslish.identity.project import is_project_module
from parslish.identity.value import encode
from parslish.identity.watch import Watch

_BIGGEST_SHOWN = 10**100


class Walk:
    """One walk, which makes one fingerprint.

    Attributes:
        watch: takes down all that is seen.
    """

    def __init__(self) -> None:
        self.watch = Watch()
        self._parts: dict[tuple[str, str, bytes], Part] = {}
        self._numbers: dict[int, int] = {}
        self._units: list[tuple[Any, Iterator[bytes]]] = []
        self._encoded: dict[tuple[int, frozenset[str]], tuple[Any, bytes | None]] = {}

    def fingerprint(self, obj: Any) -> Fingerprint:
        """The fingerprint of anything that can be called."""
        state = blake3(self.token(obj, type(obj).__qualname__, "constant"))
        for _, content in self._units:  # which grows on the way
            state.update(composite(b"unit", *content))
        return Fingerprint(state.digest(), tuple(self._parts.values()), self.watch.is_current)

    def part(self, kind: str, name: str, encoding: bytes, shown: str = "") -> None:
        """Take down what the fingerprint is made of; see `Part`."""
        digest = blake3(encoding).digest()
        self._parts[kind, name, digest] = Part(kind, name, digest, shown)

    def token(
        self, value: Any, name: str, kind: str, decorated: bool = False, without: frozenset[str] = frozenset()
    ) -> bytes:
        """What stands for a value in the unit that uses it.

        Args:
            value: what a name, a closure's variable, a default or an attribute leads to.
            name: where it stands.
            kind: which part it is, when it is neither code nor wraps code.
            decorated: it was reached through a library's decorator.
            without: attributes that do not count, as the code that uses it writes to them.
        """
        wrapper = _wrapper(value)
        if wrapper is not None:
            said, inner, by_library = wrapper
            return composite(said, *(self.token(each, name, kind, decorated or by_library) for each in inner))
        if isinstance(value, FunctionType):
            return self._unit(value, function_content(self, value, decorated))
        if isinstance(value, type):
            return self._named(value, full_name(value), str(value.__module__), self._class)
        if isinstance(value, ModuleType):
            return self._named(value, value.__name__, value.__name__, self._module)
        return self._constant(value, name, kind, without)

    # ----------------------------------------------------------------------------------------- units

    def _unit(self, value: Any, content: Iterator[bytes]) -> bytes:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._units)
            self._units.append((value, content))  # with the value, so that its id stays its own
        return composite(b"unit number", atom(number))

    def _named(self, value: Any, name: str, module: str, content: Callable[[Any], Iterator[bytes]]) -> bytes:
        return self._unit(value, content(value)) if is_project_module(module) else composite(b"library", text(name))

    def _class(self, cls: type) -> Iterator[bytes]:
        name, space = full_name(cls), vars(cls)
        self.part("class", name, text(cls.__name__))
        yield composite(b"class", text(cls.__name__))
        self.watch.size(space)
        for base in (type(cls), *cls.__bases__):
            yield self.token(base, name, "attribute")
        for attribute, value in declared(cls):
            yield text(attribute) + self.token(value, f"{name}.{attribute}", "attribute")
        for attribute, value in members(cls):
            self.watch.name(space, attribute, value)
            # With decorators: a metaclass may have taken away what they left.
            yield text(attribute) + self.token(value, f"{name}.{attribute}", "attribute", decorated=True)

    def _module(self, module: ModuleType) -> Iterator[bytes]:
        """A module that is used as a whole: all that is in it."""
        space = vars(module)
        self.watch.size(space)
        for name in sorted(space.keys() - IN_EVERY_MODULE):
            self.watch.name(space, name, space[name])
            yield text(name) + self.token(space[name], f"{module.__name__}.{name}", "constant")

    # ----------------------------------------------------------------------------------------- data

    def _constant(self, value: Any, name: str, kind: str, without: frozenset[str]) -> bytes:
        key = id(value), without
        if key not in self._encoded:
            self._encoded[key] = value, self._encoding(value, without)  # with the value, so that its id stays its own
        encoding = self._encoded[key][1]
        if encoding is None:
            return self._opaque(value, name)
        self.part(kind, name, encoding, _shown(value))
        return composite(b"constant", encoding)

    def _encoding(self, value: Any, without: frozenset[str]) -> bytes | None:
        if _is_machinery(value):
            return None
        look = functools.partial(_encode, value, without)
        try:
            encoding = look()
        except Unidentifiable:
            return None
        self.watch.content(value, encoding, look)
        return encoding

    def _opaque(self, value: Any, name: str) -> bytes:
        token = composite(b"opaque", _type_name(value))
        self.part("opaque", name, token)
        return token


def _is_machinery(value: Any) -> bool:
    """Whether a value only serves to run, or to log: kernels, configurations, futures, loggers."""
    if isinstance(value, (logging.Logger, Future)):
        return True
    cls = type(value)
    return str(cls.__module__).startswith("parslish.") and not hasattr(cls, "__parslish_key__")


def _encode(value: Any, without: frozenset[str]) -> bytes:
    attributes = getattr(value, "__dict__", None)
    if not without or type(attributes) is not dict:
        return encode(value)
    return encode([type(value), {name: each for name, each in attributes.items() if name not in without}])


def _shown(value: Any) -> str:
    """A number or truth value as text; strings may be secrets."""
    if value is None or isinstance(value, (bool, float, complex)):
        return repr(value)
    return repr(value) if type(value) is int and abs(value) < _BIGGEST_SHOWN else ""


def _wrapper(value: Any) -> tuple[bytes, Iterable[Any], bool] | None:
    """For a thing that only wraps code: what it is, what it wraps, and whether a library made it; else None."""
    if getattr(type(value), "__parslish_app__", False):
        version = getattr(value, "version", None)
        # As for its own tasks: the version stands for the code.
        return b"app " + str(value.kind).encode(), [value.func if version is None else str(version)], False
    if isinstance(value, MethodType):
        return b"method", [value.__func__, value.__self__], False
    if isinstance(value, functools.partial):
        return b"partial", [value.func, *value.args, *_flattened(value.keywords)], False
    inner = unwrapped(value)
    if inner is not None:
        is_there = bytes(each is not None for each in inner)
        return _type_name(value) + is_there, [each for each in inner if each is not None], False
    if isinstance(value, (FunctionType, type)) or is_project_module(str(type(value).__module__)):
        return None
    # Not by getattr, to which some objects answer with whatever they are asked for.
    wrapped = getattr(value, "__dict__", {}).get("__wrapped__") if callable(value) else None
    return None if wrapped is None else (_type_name(value), [wrapped], True)


def _flattened(keywords: Mapping[str, Any]) -> list[Any]:
    return [each for pair in sorted(keywords.items()) for each in pair]


def _type_name(value: Any) -> bytes:
    return text(full_name(type(value)))
