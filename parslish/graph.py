"""Owns finding futures among a task's arguments, and putting their results in their place.

Pure functions: they read futures that are done and wait for none. When to call them is the kernel's business.
"""

from __future__ import annotations

import dataclasses
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

#: Types that can neither be nor hold a future; a call of nothing else is passed over at C speed.
ATOMS = frozenset({int, str, float, bool, type(None), bytes, complex, bytearray, range, slice, type(Ellipsis), type})
_NONE: Sequence[Future[Any]] = ()


def futures_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Future[Any]]:
    """The distinct futures inside the arguments, in order, at any depth of lists, tuples, dicts, sets and
    dataclasses."""
    if ATOMS.issuperset(map(type, args)) and (not kwargs or ATOMS.issuperset(map(type, kwargs.values()))):
        return _NONE
    found: dict[int, Future[Any]] = {}
    seen: set[int] = set()
    # A stack, not recursion: data may be nested deeper than Python's stack.
    stack: list[Any] = [kwargs, args]
    while stack:
        value = stack.pop()
        if isinstance(value, Future):
            found.setdefault(id(value), value)
            continue
        parts = _parts(value)
        if parts and id(value) not in seen and not ATOMS.issuperset(map(type, parts)):
            seen.add(id(value))
            stack.extend(reversed(parts))
    return tuple(found.values())


def resolved(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments with each future replaced by its result; containers without futures stay the same
    objects."""
    return replaced(args, kwargs, Future, _result)


def replaced(args: tuple[Any, ...], kwargs: dict[str, Any], kind: type, replacement: Callable[[Any], Any]) -> Arguments:
    """The arguments with what `replacement` gives for each object of a kind, wherever a future may be."""
    replace = _Replace(kind, replacement)
    return tuple([replace(value) for value in args]), {name: replace(value) for name, value in kwargs.items()}


_result = operator.methodcaller("result")


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if _is_dataclass(value):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return ()


def _is_dataclass(value: Any) -> bool:
    return hasattr(type(value), "__dataclass_fields__")


class _Replace:
    def __init__(self, kind: type, replacement: Callable[[Any], Any]) -> None:
        self._kind, self._replacement = kind, replacement
        self._replaced: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        if type(value) in ATOMS:
            return value
        if isinstance(value, self._kind):
            return self._replacement(value)
        parts = _parts(value)
        if not parts or ATOMS.issuperset(map(type, parts)):
            return value
        if id(value) in self._replaced:
            return self._replaced[id(value)]
        self._replaced[id(value)] = value  # a container inside itself stays what it is
        new = [self(part) for part in parts]
        if any(a is not b for a, b in zip(new, parts, strict=True)):
            self._replaced[id(value)] = value = _rebuilt(value, new)
        return value


def _rebuilt(value: Any, parts: list[Any]) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(parts)
    if isinstance(value, defaultdict):
        half = len(parts) // 2
        return defaultdict(value.default_factory, zip(parts[:half], parts[half:], strict=True))
    if isinstance(value, dict):
        half = len(parts) // 2
        return type(value)(zip(parts[:half], parts[half:], strict=True))
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(parts)
    return _rebuilt_dataclass(value, parts)


def _rebuilt_dataclass(value: Any, parts: list[Any]) -> Any:
    # Neither __init__ nor __post_init__ runs again: the object exists, only its fields are exchanged.
    new = object.__new__(type(value))
    for name, attribute in getattr(value, "__dict__", {}).items():
        object.__setattr__(new, name, attribute)
    for field, part in zip(dataclasses.fields(value), parts, strict=True):
        object.__setattr__(new, field.name, part)
    return new


@dataclasses.dataclass(frozen=True)
class DependencyResolver:
    """How deep futures are looked for: a pair of functions over (args, kwargs)."""

    futures_in: Callable[[tuple[Any, ...], dict[str, Any]], Sequence[Future[Any]]]
    resolved: Callable[[tuple[Any, ...], dict[str, Any]], Arguments]


def _shallow(values: Iterable[Any]) -> list[Future[Any]]:
    return [value for value in values if isinstance(value, Future)]


def _inputs(kwargs: Mapping[str, Any]) -> Sequence[Any]:
    inputs = kwargs.get("inputs")
    return inputs if isinstance(inputs, (list, tuple)) else ()


def _shallow_futures_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Future[Any]]:
    return _shallow([*args, *kwargs.values(), *_inputs(kwargs)])


def _shallow_resolved(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    def result(value: Any) -> Any:
        return value.result() if isinstance(value, Future) else value

    new = {name: result(value) for name, value in kwargs.items()}
    if _inputs(kwargs):
        new["inputs"] = [result(value) for value in _inputs(kwargs)]
    return tuple(map(result, args)), new


#: Futures anywhere in the arguments are waited for (the default).
DEEP_DEPENDENCY_RESOLVER = DependencyResolver(futures_in, resolved)
#: Only futures that are themselves arguments, or stand in `inputs=[…]`, are waited for.
SHALLOW_DEPENDENCY_RESOLVER = DependencyResolver(_shallow_futures_in, _shallow_resolved)
