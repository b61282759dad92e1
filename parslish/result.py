"""Owns the stored form of a result: what a result record's body says besides the value.

A body is a msgpack array (the facts, readable without unpickling) followed by the value as `codec` encoded it, or by
what refers to the blob of a large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack

from parslish.store.values import LARGE_BYTES, Encoded

RESULT_VERSION = 1
VALUE, EXCEPTION = 0, 1

_pack = msgpack.Packer().pack


class StoredResult(NamedTuple):
    """One stored result.

    Args:
        kind: VALUE, or EXCEPTION for a failure that the app's `remember=` names.
        app: the app's name.
        task_id: the task's number in the run that computed it.
        completed: when it was computed, seconds since the epoch (for `expires=`; decides no order, I7).
        duration: seconds it took.
        outputs: (path, size in bytes, mtime in ns) of each local output file.
        encoded: the value, in `codec`'s form.
    """

    kind: int
    app: str
    task_id: int
    completed: float
    duration: float
    outputs: Sequence[tuple[str, int, int]]
    encoded: Encoded

    def pack(self) -> bytes:
        """The record's body."""
        return pack(*self)

    @classmethod
    def unpack(cls, body: bytes) -> StoredResult:
        """Read a body whose checksum and signature held.

        Raises:
            ValueError: the body is of a newer version, or no result at all.
        """
        return cls(*unpack(body))


def pack(
    kind: int,
    app: str,
    task_id: int,
    completed: float,
    duration: float,
    outputs: Sequence[tuple[str, int, int]],
    encoded: Encoded,
) -> bytes:
    """The body of a record, from the fields of a `StoredResult` that is not needed otherwise."""
    head: bytes = _pack((RESULT_VERSION, kind, app, task_id, completed, duration, outputs))
    return b"".join((head, encoded))


def unpack(body: bytes) -> tuple[int, str, int, float, float, Sequence[tuple[str, int, int]], Encoded]:
    """The fields of a `StoredResult` that is not needed otherwise. Raises ValueError as its `unpack`."""
    try:
        facts, end = _facts(body)
        if not isinstance(facts, list) or not facts or facts[0] != RESULT_VERSION:
            raise ValueError(f"a result of version {RESULT_VERSION} was expected, not {str(facts)[:40]}")
        _, kind, app, task_id, completed, duration, outputs = facts
        encoded = (body if len(body) < LARGE_BYTES else memoryview(body))[end:]
        files = outputs if outputs == [] else [tuple(each) for each in outputs]
        return kind, app, task_id, completed, duration, files, encoded
    except (msgpack.exceptions.UnpackException, TypeError) as exc:
        raise ValueError("it is no result") from exc


def _facts(body: bytes) -> tuple[Any, int]:
    """What a body begins with, and where that ends. Raises what msgpack does."""
    try:
        unpacker = _idle.pop()
    except IndexError:
        unpacker = msgpack.Unpacker(max_buffer_size=_HEAD_LIMIT)
    head = body[:_HEAD_LIMIT]
    unpacker.feed(head)
    try:
        facts = unpacker.unpack()
    except (msgpack.exceptions.OutOfData, ValueError):  # more than it takes, or damaged
        unpacker = msgpack.Unpacker(max_buffer_size=len(body) or 1)
        unpacker.feed(body)
        return unpacker.unpack(), unpacker.tell()
    end = len(head) - len(unpacker.read_bytes(_HEAD_LIMIT))
    _idle.append(unpacker)  # not after an error: nobody knows what it holds then
    return facts, end


#: The facts are nearly always shorter than this, so a large value is not copied into the unpacker.
_HEAD_LIMIT = 512
#: Unpackers that have nothing to do: to make one is to clear forty kilobytes.
_idle: list[msgpack.Unpacker] = []
