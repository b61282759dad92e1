"""Owns what a run's record says: the kinds of events and their fields, in the order they are written.

An event is a flat tuple that starts with its kind; a group of them is one msgpack array in one frame of the
store. Fields are only ever added at the end, and a reader ignores kinds and fields that it does not know.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgpack

Event = tuple[Any, ...]


class Kind(enum.IntEnum):
    """What happened."""

    RUN_START = 0
    APP = 1
    WORKER = 2
    SUBMIT = 3
    START = 4
    REUSE = 5
    END = 6
    FAIL = 7
    RUN_END = 8
    TROUBLE = 9


#: The fields of each kind after `kind`. Times are seconds since the epoch, durations and CPU seconds, sizes
#: and memory bytes; `task` and `parent` are task ids (parent -1: the script itself).
FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.RUN_START: ("time", "facts"),
    Kind.APP: ("app", "name", "module", "code"),
    Kind.WORKER: ("worker", "name"),
    Kind.SUBMIT: ("task", "time", "app", "parent", "position", "occurrence", "label", "dependencies"),
    Kind.START: ("task", "time", "try", "worker"),
    Kind.REUSE: ("task", "time", "key", "origin_run", "origin_task"),
    Kind.END: ("task", "time", "key", "worker", "started", "duration", "cpu", "peak_memory"),
    Kind.FAIL: ("task", "time", "try", "state", "type", "message", "traceback", "key", "worker"),
    Kind.RUN_END: ("time", "reason", "counts"),
    Kind.TROUBLE: ("time", "what", "message"),
}

_packer = msgpack.Packer(default=str)


def pack(events: Iterable[Event]) -> bytes:
    """The body of one event frame."""
    packed: bytes = _packer.pack(list(events))
    return packed


def unpack(body: bytes) -> Iterator[dict[str, Any]]:
    """The events of one frame, each as a dict of its fields and its `kind`; unknown kinds are passed over."""
    for kind, *values in msgpack.unpackb(body, strict_map_key=False):
        if kind in Kind.__members__.values():
            yield {"kind": Kind(kind), **dict(zip(FIELDS[Kind(kind)], values, strict=False))}
