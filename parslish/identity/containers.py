"""Owns the encodings of builtin containers and buffers; what they hold goes back to the walk (`value.Encoder`).

Contents count, in their order where it has a meaning; whether two entries are one object does not.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from parslish.identity.atoms import MARSHAL_VERSION, atom, bulk, composite, flat, text

if TYPE_CHECKING:
    from parslish.identity.value import Encoder

Handler = Callable[["Encoder", Any], bytes]


def sequence(kind: bytes, walk: Encoder, values: list[Any] | tuple[Any, ...]) -> bytes:
    """Values in their order. Plain ones in one go: a list of a million floats is common."""
    at_once = flat(values)
    if at_once is not None:
        return bulk(b"flat " + kind, at_once)
    return composite(kind, *map(walk.encode, values))


def unordered(kind: bytes, walk: Encoder, values: Iterable[Any]) -> bytes:
    """Values in no order."""
    return composite(kind, *sorted(map(walk.encode, list(values))))


def mapping(kind: bytes, walk: Encoder, values: Mapping[Any, Any]) -> bytes:
    """Keys and values in no order."""
    encode = walk.encode
    return composite(kind, *sorted([encode(key) + encode(value) for key, value in list(values.items())]))


def _dict_values(walk: Encoder, values: Iterable[Any]) -> bytes:
    return sequence(b"dict_values", walk, list(values))


def _bytearray(_: Encoder, value: bytearray) -> bytes:
    return bulk(b"bytearray", value)


def _memoryview(_: Encoder, value: memoryview) -> bytes:
    shape = marshal.dumps(value.shape, MARSHAL_VERSION)
    parts = text(value.format), shape, atom(value.readonly), bulk(b"content", value.tobytes())
    return composite(b"memoryview", *parts)


BUILTIN: Mapping[type, Handler] = {
    list: partial(sequence, b"list"),
    tuple: partial(sequence, b"tuple"),
    dict: partial(mapping, b"dict"),
    set: partial(unordered, b"set"),
    frozenset: partial(unordered, b"frozenset"),
    MappingProxyType: partial(mapping, b"mappingproxy"),
    type({}.keys()): partial(unordered, b"dict_keys"),
    type({}.values()): _dict_values,
    type({}.items()): partial(unordered, b"dict_items"),
    bytearray: _bytearray,
    memoryview: _memoryview,
}
