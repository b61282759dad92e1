"""Owns the stored form of a value: bytes that begin with a codec tag; leaves where they lie, and whether they
may be opened at all, to the store.

The tag is the first byte. A protocol 5 pickle begins with 0x80 by itself, so that byte *is* the tag of a
plain pickle: nothing is copied to put a tag before it, and what a worker sends back is already what is stored.

A class of `__main__` is stored by reference: results are opened again by a resumed run of the same script.
"""

from __future__ import annotations

import pickle
from typing import Any

from parslish.errors import SerializationError
from parslish.store.parts import LARGE_BYTES, Parts, Piece

PICKLE = 0x80
DILL = 0x44  # "D", then a dill pickle

Encoded = bytes | memoryview | Parts


def encode(value: Any) -> bytes:
    """Return the stored form of `value`: plain pickle where that can carry it, else dill.

    Raises:
        SerializationError: neither can; the message names the type and both reasons.
    """
    try:
        return pickle.dumps(value, 5)
    except Exception as exc:  # user code: __reduce__ and its like may raise anything
        return _encode_by_dill(value, exc)


def encode_lent(value: Any) -> bytes | Parts:
    """Return the same stored form as `encode`, without copying large memory that the value lends, as an array does: for
    a value that is stored before anybody can change it.

    Raises:
        SerializationError: as `encode`.
    """
    try:
        try:
            return pickle.dumps(value, 5, buffer_callback=_refuse_large)
        except _LargeBuffer:
            # Only now, since a pickler with a file costs a small value as much again.
            return _in_pieces(value)
    except Exception as exc:  # user code, as in `encode`
        return _encode_by_dill(value, exc)


def decode(stored: Encoded) -> Any:
    """Return the value of a stored form.

    Opening a pickle runs code: only ever call this on bytes whose checksum and signature were verified (I6).

    Raises:
        SerializationError: a class or module it needs is not there, or the bytes are no stored form.
    """
    if isinstance(stored, Parts):
        stored = bytes(stored)
    try:
        if stored[0] == PICKLE:
            return pickle.loads(stored)
        if stored[0] == DILL:
            return _dill().loads(stored[1:])
    except Exception as exc:  # user code: constructors and __setstate__ may raise anything
        raise SerializationError(f"a stored value cannot be opened: {why_unreadable(exc)}") from exc
    raise SerializationError(f"a stored value has the unknown codec tag {stored[0]:#04x}")


def copy(value: Any) -> Any:
    """Return a copy of `value` that shares nothing mutable with it, by way of its stored form."""
    return decode(encode(value))


def why_unreadable(exc: BaseException) -> str:
    """Say in a sentence what an unpickling error means: which module or class was not found."""
    if isinstance(exc, ModuleNotFoundError):
        return f"its module {exc.name!r} cannot be imported here"
    if isinstance(exc, AttributeError):
        return f"a class or function it needs is not there ({exc})"
    return f"{type(exc).__name__}: {exc}"


def kind(value: Any) -> str:
    """The name of a value's type, as error messages give it."""
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _encode_by_dill(value: Any, reason: Exception) -> bytes:
    try:
        dilled: bytes = _dill().dumps(value, protocol=5)
        return bytes((DILL,)) + dilled
    except Exception as exc:  # user code, as in `encode`
        raise SerializationError(
            f"a value of type {kind(value)} cannot be stored: pickle says {reason}; dill says {exc}"
        ) from reason


class _LargeBuffer(Exception):
    """Stops a pickler before it copies much."""


def _refuse_large(buffer: pickle.PickleBuffer) -> bool:
    if memoryview(buffer).nbytes >= LARGE_BYTES:
        raise _LargeBuffer
    return True  # goes into the pickle


class _Pieces:
    """The file that a pickler writes to: it hands large memory over uncopied."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def write(self, piece: Any) -> None:
        if isinstance(piece, pickle.PickleBuffer):
            self.pieces.append(piece.raw())
        else:
            # `bytes` copies a view: the text behind it may be gone when the pickler is.
            self.pieces.append(bytes(piece))


def _in_pieces(value: Any) -> Parts:
    file = _Pieces()
    pickle.Pickler(file, 5).dump(value)
    return Parts(file.pieces, lent=True)


def _dill() -> Any:
    import dill  # here, not above: 20 ms that most scripts never need

    return dill
