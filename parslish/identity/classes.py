"""Owns what a class of the user's own is made of: what its author wrote into it, as far as that can matter.

It is read from the class as it is, not from its source: so it holds what decorators and later assignments did. What
`dataclass`, `attrs` and `namedtuple` generate is left out, as it follows from the fields.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from parslish.identity.atoms import text

_BOOKKEEPING = frozenset(
    "__abstractmethods__ __annotate__ __annotate_func__ __annotations_cache__ __conditional_annotations__ __dict__"
    " __dataclass_params__ __doc__ __firstlineno__ __match_args__ __module__ __orig_bases__ __parameters__ __qualname__"
    " __static_attributes__ __weakref__ _abc_impl".split()
)
# pydantic's own: made of the fields and validators, with addresses in memory among it.
_DERIVED = "__pydantic_"
_NOT_DERIVED = frozenset({"__pydantic_fields__", "__pydantic_decorators__"})
_DESCRIPTORS = (property, classmethod, staticmethod, functools.cached_property)


def members(cls: type) -> Iterator[tuple[str, Any, bool]]:
    """The attributes of a class that count, by name: name, value, and whether the class itself holds that value."""
    if isinstance(cls, enum.EnumMeta):
        yield "", {name: member._value_ for name, member in cls._member_map_.items()}, False
    params = vars(cls).get("__dataclass_params__")
    if params is not None:
        yield "", repr(params), False
    for name, value in sorted(vars(cls).items()):
        if isinstance(cls, enum.EnumMeta) and not isinstance(value, (FunctionType, *_DESCRIPTORS)):
            continue
        if _counts(name, value):
            yield name, value, True


def _counts(name: str, value: Any) -> bool:
    if name in _BOOKKEEPING or (name.startswith(_DERIVED) and name not in _NOT_DERIVED):
        return False
    if isinstance(value, (MemberDescriptorType, GetSetDescriptorType)):
        return False
    return not _is_generated(value)


def _is_generated(value: Any) -> bool:
    value = getattr(value, "__func__", value)
    while isinstance(value, FunctionType) and hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    if not isinstance(value, FunctionType):
        return False
    code = value.__code__
    return (
        getattr(code, "co_qualname", "").startswith("__create_fn__.")  # dataclass, from Python 3.11 on
        or code.co_filename.startswith("<attrs generated")
        or str(value.__globals__.get("__name__")).startswith("namedtuple_")
    )


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


def type_name(value: Any) -> bytes:
    """The name of a value's type."""
    return text(f"{type(value).__module__}.{type(value).__qualname__}")
