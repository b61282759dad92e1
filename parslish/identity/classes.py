"""Owns what a class of the user's own is made of: what its author wrote into it, as far as that can matter.

It is read from the class as it is, not from its source: so it holds what decorators and later assignments did. What
`dataclass`, `attrs` and `namedtuple` generate is left out, as it follows from the fields.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterator
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from parslish.identity.stack import ENTRY, Path
from parslish.identity.uses import uses

_BOOKKEEPING = frozenset({
    "__abstractmethods__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__conditional_annotations__",
    "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__", "__firstlineno__", "__match_args__",
    "__module__", "__orig_bases__", "__parameters__", "__qualname__", "__static_attributes__", "__weakref__",
    "_abc_impl",
})  # fmt: skip
# pydantic's own: made of the fields and validators, with addresses in memory among it.
_DERIVED = "__pydantic_"
_NOT_DERIVED = frozenset({"__pydantic_fields__"})
_DESCRIPTORS = (property, classmethod, staticmethod, functools.cached_property)


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """The attributes of a class that count, by name."""
    state = _state_of(cls)
    for name, value in sorted(vars(cls).items()):
        is_code = isinstance(value, (FunctionType, *_DESCRIPTORS))
        # An enum's members, and what it keeps to find them, are `declared`.
        if _counts(cls, name, value) and (is_code or not (name in state or isinstance(cls, enum.EnumMeta))):
            yield name, value


def declared(cls: type) -> Iterator[tuple[str, Any]]:
    """What a class's machinery was told: the members of an enum, the fields of a dataclass."""
    if isinstance(cls, enum.EnumMeta):
        yield from ((name, member._value_) for name, member in cls._member_map_.items())
    if "__dataclass_params__" in vars(cls):
        yield "dataclass", repr(vars(cls)["__dataclass_params__"])
        for field in vars(cls)["__dataclass_fields__"].values():
            yield field.name, repr((field.init, field.repr, field.hash, field.compare, field.kw_only))
            if field.default is not dataclasses.MISSING:
                yield f"{field.name} default", field.default
            if field.default_factory is not dataclasses.MISSING:
                yield f"{field.name} factory", field.default_factory
            if field.metadata:
                yield f"{field.name} metadata", dict(field.metadata)


def _counts(cls: type, name: str, value: Any) -> bool:
    if name in _BOOKKEEPING or (name.startswith(_DERIVED) and name not in _NOT_DERIVED):
        return False
    return not isinstance(value, (MemberDescriptorType, GetSetDescriptorType)) and not _is_generated(cls, value)


def _is_generated(cls: type, value: Any) -> bool:
    value = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
    while isinstance(value, FunctionType) and hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    if not isinstance(value, FunctionType):
        return False
    code = value.__code__
    if "__dataclass_fields__" in vars(cls) and code.co_filename == "<string>":
        if hasattr(code, "co_qualname"):
            return str(code.co_qualname).startswith("__create_fn__.")
        return code.co_firstlineno == 2  # Python 3.10: where dataclass puts them in what it makes up
    made_in = str(value.__globals__.get("__name__"))
    return code.co_filename.startswith("<attrs generated") or made_in.startswith("namedtuple_")


# ------------------------------------------------------------------------------- state of the class


def _state_of(cls: type) -> frozenset[str]:
    """Names of attributes that the class's own methods change: a cache, a count of objects."""
    changed: set[str] = set()
    set_on_objects: set[str] = set()
    for value in vars(cls).values():
        for func in unwrapped(value) or [value]:
            if isinstance(func, FunctionType):
                _note_changes(cls, value, func, changed, set_on_objects)
    # An attribute that methods bind on the object is only a first value in the class: a constant.
    return frozenset(changed - set_on_objects)


def _note_changes(cls: type, method: Any, func: FunctionType, changed: set[str], set_on_objects: set[str]) -> None:
    used = uses(func.__code__)
    for path in used.changes:
        on_class, on_object = _owners(path, cls, method, func)
        if (on_class and len(path) == 3) or ((on_class or on_object) and path[3:4] == (ENTRY,)):
            changed.add(path[2])
        elif on_object and len(path) == 3:
            set_on_objects.add(path[2])
    for path in used.calls:
        is_direct = len(path) > 3 and {*path[3:-1]} <= {ENTRY}
        if is_direct and any(_owners(path, cls, method, func)) and is_container(vars(cls).get(path[2])):
            changed.add(path[2])


def _owners(path: Path, cls: type, method: Any, func: FunctionType) -> tuple[bool, bool]:
    """Whether a path leads to an attribute of the class, and whether to one of its objects."""
    is_first = path[0] == "first"
    is_named = path[0] == "global" and func.__globals__.get(path[1]) is cls
    on_class = is_named or (is_first and isinstance(method, classmethod))
    return on_class, is_first and not isinstance(method, (classmethod, staticmethod))


def is_container(value: Any) -> bool:
    """Whether a value has the methods of a builtin container."""
    return type(value).__module__ in ("builtins", "collections", "array")


# ------------------------------------------------------------------------------- descriptors


def unwrapped(value: Any) -> list[Any] | None:
    """The functions in a descriptor, such as a property; None when it is no descriptor."""
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, (classmethod, staticmethod)):
        return [value.__func__]
    if isinstance(value, functools.cached_property):
        return [value.func]
    if isinstance(value, functools.partialmethod):
        return [value.func, value.args, value.keywords]
    return None
