"""Owns the bytes that encodings are made of: atoms written out, everything else by its digest.

Each encoding ends where it says it ends, so encodings can be joined without being mistaken for one another. What
stands in a container or an object is left to `containers` and `objects`.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable, Mapping
from operator import ne
from types import EllipsisType, NoneType
from typing import Any

from blake3 import blake3

# Version 2 neither shares nor interns, so equal atoms of one type are equal bytes in every process and version.
MARSHAL_VERSION = 2
#: Types that `flat` may write out. A hook registered for one of them takes it out (see `value.id_for_memo`).
PLAIN: set[type] = set()
ALL_PLAIN = frozenset({NoneType, bool, int, float, str, bytes})

_INLINE_LENGTH = 1024
PARALLEL_BYTES = 1 << 20  #: below this, threads cost more than they hash
_threads = blake3.AUTO


def _after_fork() -> None:
    # The threads of blake3's pool do not exist in a child, which would wait for them for ever.
    global _threads
    _threads = 1


os.register_at_fork(after_in_child=_after_fork)


def composite(kind: bytes, *parts: bytes) -> bytes:
    """The encoding of what is made of parts, each of which must end where it says it ends."""
    return b"#" + blake3(kind + b"\0" + b"".join(parts)).digest()


def bulk(kind: bytes, content: bytes | bytearray) -> bytes:
    """The encoding of a run of bytes that may be long; uses all cores where that pays."""
    state = hasher(len(content))
    state.update(kind + b"\0")
    return b"#" + state.update(content).digest()


def hasher(size_bytes: int) -> blake3:
    """A blake3 state for about so many bytes."""
    return blake3(max_threads=_threads) if size_bytes >= PARALLEL_BYTES else blake3()


def flat(values: list[Any] | tuple[Any, ...]) -> bytes | None:
    """The values of a tuple or list written out at once; None unless each is a plain atom equal to itself."""
    if not PLAIN.issuperset(map(type, values)) or any(map(ne, values, values)):
        return None
    try:
        return marshal.dumps(values, MARSHAL_VERSION)
    except ValueError:  # 2 GiB of text or bytes
        return None


def atom(value: Any) -> bytes:
    """The encoding of None, a bool, an int or `...`."""
    return marshal.dumps(value, MARSHAL_VERSION)


def _float(value: float) -> bytes:
    return marshal.dumps(value, MARSHAL_VERSION) if value == value else b"n"


def _complex(value: complex) -> bytes:
    return composite(b"complex", _float(value.real), _float(value.imag))


def text(value: str) -> bytes:
    """The encoding of a str."""
    if len(value) <= _INLINE_LENGTH:
        return marshal.dumps(value, MARSHAL_VERSION)
    return bulk(b"str", value.encode("utf-8", "surrogatepass"))


def _bytes(value: bytes) -> bytes:
    return marshal.dumps(value, MARSHAL_VERSION) if len(value) <= _INLINE_LENGTH else bulk(b"bytes", value)


ATOMS: Mapping[type, Callable[[Any], bytes]] = {
    NoneType: atom,
    bool: atom,
    int: atom,
    EllipsisType: atom,
    float: _float,
    complex: _complex,
    str: text,
    bytes: _bytes,
}
