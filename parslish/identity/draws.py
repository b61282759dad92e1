"""Owns whether code draws random numbers by `parslish.rng`, itself or by way of the user's own code that it uses.

Only looked at: nothing is run or imported. What is not spelled out in the code (`getattr`, a function that is passed
as an argument) is not seen.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from parslish.identity.classes import unwrapped
from parslish.identity.used import is_own_code
from parslish.identity.uses import uses
from parslish.identity.watch import ABSENT, cell_value

_RNG: Final = "parslish.random_numbers", "rng"
_PACKAGE: Final = "parslish"
_ATOMS: Final = frozenset({int, float, complex, bool, str, bytes, bytearray, type(None), range, slice})
_CONTAINERS: Final = frozenset({list, tuple, set, frozenset})
_PARTS: Final = 100  # of a container that are looked at
_MOST: Final = 20_000  # values that are looked at, in all


def draws(func: Any) -> bool:
    """Whether calls of a function may draw random numbers, as far as its code tells."""
    seen: set[int] = set()
    stack: list[Any] = [func]
    kept: list[Any] = []  # so that the id of what was seen stays its own
    while stack and len(kept) < _MOST:
        value = stack.pop()
        if type(value) in _ATOMS or id(value) in seen:
            continue
        if _is_rng(value):
            return True
        seen.add(id(value))
        kept.append(value)
        stack += _leads_to(value)
    return False


class _Rng:
    """Stands for `parslish.rng`, which the package may not have loaded yet."""


def _is_rng(value: Any) -> bool:
    return value is _Rng or (type(value) is FunctionType and (value.__module__, value.__name__) == _RNG)


def _leads_to(value: Any) -> Iterable[Any]:
    """What may be run when a value is used."""
    if getattr(type(value), "__parslish_app__", False):
        return ()  # its calls are tasks of their own
    if isinstance(value, FunctionType):
        return _of_function(value)
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, partial):
        return value.func, *value.args, *value.keywords.values()
    if isinstance(value, type):
        return (*value.__bases__, *vars(value).values()) if is_own_code(value) else ()
    if type(value) is dict:
        return list(value.values())[:_PARTS]
    if type(value) in _CONTAINERS:
        return list(value)[:_PARTS]
    return () if isinstance(value, ModuleType) else _of_object(value)


def _of_object(value: Any) -> Iterable[Any]:
    inner = unwrapped(value)
    if inner is not None:
        return inner
    attributes = getattr(value, "__dict__", None)
    if type(attributes) is not dict:
        return (type(value),)
    if is_own_code(type(value)):
        return type(value), *attributes.values()
    return (attributes["__wrapped__"],) if "__wrapped__" in attributes else ()


def _of_function(func: FunctionType) -> Iterator[Any]:
    if not is_own_code(func):  # of a library's decorator: what it holds is the user's function
        yield from map(cell_value, func.__closure__ or ())
        return
    yield from func.__defaults__ or ()
    yield from (func.__kwdefaults__ or {}).values()
    for scope, name, *names in uses(func.__code__).reads:
        yield _along(_variable(func, scope, name), names)


def _variable(func: FunctionType, scope: str, name: str) -> Any:
    if scope == "global":
        return func.__globals__.get(name, ABSENT)
    if scope == "free":
        return cell_value((func.__closure__ or ())[func.__code__.co_freevars.index(name)])
    try:
        return sys.modules.get(importlib.util.resolve_name(name, func.__globals__.get("__package__") or ""), ABSENT)
    except ImportError:  # a relative import outside of a package
        return ABSENT


def _along(value: Any, names: Iterable[str]) -> Any:
    """What a path leads to through modules; a class or object on the way is looked at whole."""
    for name in names:
        if not isinstance(value, ModuleType):
            break
        if value.__name__ == _PACKAGE and name == _RNG[1]:
            return _Rng
        value = vars(value).get(name, ABSENT)
    return value
