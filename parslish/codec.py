"""Owns the stored form of a value: bytes that begin with a codec tag; leaves where they lie, and whether they
may be opened at all, to the store.

The tag is the first byte. A protocol 5 pickle begins with 0x80 by itself, so that byte *is* the tag of a
plain pickle: nothing is copied to put a tag before it, and what a worker sends back is already what is stored.

A class of `__main__` is stored by reference: results are opened again by a resumed run of the same script.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parslish import unpickling
from parslish.errors import SerializationError
from parslish.store.values import BLOB, LARGE_BYTES, Encoded, Piece

if TYPE_CHECKING:
    from pathlib import Path

PICKLE = 0x80
DILL = 0x44  # "D", then a dill pickle

#: A large value: the pickle, then the memory that lies beside it; each in pieces.
Sections = list[list[Piece]]


def encode(value: Any) -> bytes:
    """Return the stored form of `value`: plain pickle where that can carry it, else dill.

    Raises:
        SerializationError: neither can; the message names the type and both reasons.
    """
    try:
        return pickle.dumps(value, 5)
    except Exception as exc:  # user code: __reduce__ and its like may raise anything
        return _encode_by_dill(value, exc)


def encode_apart(value: Any) -> Encoded | Sections:
    """Return the stored form of `value`; a large one as sections, without copying memory that the value lends, as an
    array does: for a value that is stored before anybody can change it.

    Raises:
        SerializationError: as `encode`.
    """
    try:
        try:
            encoded: Encoded = pickle.dumps(value, 5, buffer_callback=_refuse_large)
        except _LargeBuffer:
            # Only now, since a pickler with a file costs a small value as much again.
            return _in_sections(value)
        if len(encoded) < LARGE_BYTES:  # as nearly all are
            return encoded
    except Exception as exc:  # user code, as in `encode`
        encoded = _encode_by_dill(value, exc)
    return apart(encoded)


def apart(encoded: Encoded) -> Encoded | Sections:
    """A stored form that there is already: as sections, when it is large."""
    return encoded if len(encoded) < LARGE_BYTES else [[encoded]]


def decode(stored: Encoded, folder: Path | None = None) -> Any:
    """Return the value of a stored form.

    Opening a pickle runs code: only ever call this on bytes whose checksum and signature were verified (I6).

    Args:
        folder: that of the store which the form is from: a large value lies there, in a file of its own.

    Raises:
        SerializationError: a class or module it needs is not there, or the bytes are no stored form.
        StoreCorrupt: the file of a large value is missing or damaged.
    """
    content, buffers = (stored, ()) if folder is None or stored[0] != BLOB else _sections(stored, folder)
    try:
        if content[0] == PICKLE:
            return unpickling.loads(content, buffers)
        if content[0] == DILL:
            return unpickling.loads_dill(content[1:])
    except Exception as exc:  # user code: constructors and __setstate__ may raise anything
        raise SerializationError(f"a stored value cannot be opened: {why_unreadable(exc)}") from exc
    raise SerializationError(f"a stored value has the unknown codec tag {content[0]:#04x}")


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
        if isinstance(reason, MemoryError):
            raise reason
        import dill  # here, not above: 20 ms that most scripts never need

        dilled: bytes = dill.dumps(value, protocol=5)
        return bytes((DILL,)) + dilled
    except MemoryError as exc:
        raise SerializationError(f"a value of type {kind(value)} cannot be stored: memory is short") from exc
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
    """The file that a pickler writes to: large text and bytes are pieces of their own, uncopied."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def write(self, piece: Any) -> None:
        # `bytes` copies a view: the text behind it may be gone when the pickler is.
        self.pieces.append(bytes(piece))


def _in_sections(value: Any) -> Sections:
    file = _Pieces()
    lent: list[list[Piece]] = []

    def aside(buffer: pickle.PickleBuffer) -> bool:
        if memoryview(buffer).nbytes < LARGE_BYTES:
            return True  # goes into the pickle
        lent.append([buffer.raw()])
        return False

    pickle.Pickler(file, 5, buffer_callback=aside).dump(value)
    return [file.pieces, *lent]


def _sections(stored: Encoded, folder: Path) -> tuple[Any, Sequence[Any]]:
    """A pickle, and the memory that lies beside it."""
    from parslish.store import blobs  # here: not worth a worker's time to start

    reference = blobs.reference_in(stored)
    if reference is None:
        return stored, ()
    content, *buffers = blobs.read(folder, reference)
    return content, buffers
