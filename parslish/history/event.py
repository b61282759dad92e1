"""Owns what a run's record says: the kinds of events and their fields, in the order they are written.

An event is a flat tuple that starts with its kind; a group of them is one msgpack array in one frame of the
store. Fields are only ever added at the end, and a reader ignores kinds and fields that it does not know.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgpack

from parslish.history import previews

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
    SCOPE = 10
    ARGUMENTS = 11
    MISS = 12
    FORCE = 13
    MARK = 14


#: The fields of each kind after `kind`. Times are seconds since the epoch, durations and CPU seconds, sizes
#: and memory bytes; `task` and `parent` are task ids (parent -1: the script itself). Arguments and results are
#: previews (`previews`), digests of arguments 8 bytes.
FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.RUN_START: ("time", "facts"),
    Kind.APP: (
        "app", "name", "module", "code", "app_kind", "cache", "version", "file", "line", "parameters", "parts",
        "ignored", "draws",
    ),
    Kind.WORKER: ("worker", "name"),
    # `call`: the arguments as they can be opened again, where their previews are not all there is of them.
    Kind.SUBMIT: (
        "task", "time", "app", "parent", "position", "occurrence", "label", "dependencies",
        "arguments", "keywords", "scope", "inputs", "outputs", "call",
    ),
    Kind.START: ("task", "time", "try", "worker"),
    Kind.REUSE: ("task", "time", "key", "origin_run", "origin_task", "result"),
    Kind.END: ("task", "time", "key", "worker", "started", "duration", "cpu", "peak_memory", "result"),
    Kind.FAIL: ("task", "time", "try", "state", "type", "message", "traceback", "key", "worker", "call"),
    Kind.RUN_END: ("time", "reason", "counts", "lost_results"),
    Kind.TROUBLE: ("time", "what", "message"),
    # A block of the program in which calls are counted by themselves; `scope` -1: none around it.
    Kind.SCOPE: ("number", "parent", "scope", "name", "label"),
    # What a call that is not plain was bound to when its futures were done, in the order of the parameters.
    Kind.ARGUMENTS: ("task", "names", "digests", "arguments"),
    # A result was there and was not used: "expired", "output changed", "unreadable".
    Kind.MISS: ("task", "reason", "detail"),
    # The task was computed though a result may be known: why.
    Kind.FORCE: ("task", "reason"),
    # Said of the run from outside, later on: "restart", "invalidate", "undo", "edit", "accept", "plan"; or by itself,
    # of what its workflow came to: "outcome".
    Kind.MARK: ("time", "what", "facts"),
}  # fmt: skip

_SUBMIT = int(Kind.SUBMIT)
_WITH_RESULTS = frozenset({int(Kind.END), int(Kind.REUSE)})
_ARGUMENTS = 1 + FIELDS[Kind.SUBMIT].index("arguments")
_PLAIN_LENGTH = _ARGUMENTS + 3  # of a call that is not described: with its arguments, no keywords, and its scope
_KINDS = frozenset(map(int, Kind))
CALL_BYTES = 4096  # of the arguments of a call that are kept
_PLAIN_CALL = b"M"  # then the arguments in msgpack; other forms of a call begin with a tag of `codec`

_NUMBERS = frozenset({int, float, bool, type(None)})  # which a packer takes, or hands on as too large
_NUMBER = (int, float)
_BYTES_OR_NONE = (bytes, type(None))
#: What the fields of rare kinds are, as far as they have to be there; `columns` looks at the others itself.
_TYPES: Mapping[int, tuple[Any, ...]] = {
    Kind.RUN_START: (_NUMBER, dict),
    Kind.APP: (int, str, str),
    Kind.WORKER: (int, str),
    Kind.FAIL: (int, _NUMBER, int, str, str, str, str, _BYTES_OR_NONE),
    Kind.RUN_END: (_NUMBER, str, dict),
    Kind.TROUBLE: (_NUMBER, str, str),
    Kind.SCOPE: (int, int, int, str, str),
    Kind.ARGUMENTS: (int, tuple, tuple, tuple),
    Kind.MISS: (int, str, str),
    Kind.FORCE: (int, str),
    Kind.MARK: (_NUMBER, str, dict),
}


def pack(events: Iterable[Event]) -> bytes:
    """The body of one event frame."""
    return joined([packed(event) for event in events])


def joined(events: Sequence[bytes]) -> bytes:
    """The body of one event frame, of `packed` events."""
    header: bytes = msgpack.Packer().pack_array_header(len(events))
    return header + b"".join(events)


def packed(event: Event) -> bytes:
    """One event. Long texts and numbers among its arguments and results are cut short here."""
    kind = event[0]
    if kind == _SUBMIT:
        told = event[_ARGUMENTS]
        # What most have is looked at here: to call a function for each would cost as much as to pack it.
        if told and not (_NUMBERS.issuperset(map(type, told)) and len(told) <= previews.ARGUMENTS):
            event = _submitted(event)
    elif kind in _WITH_RESULTS and type(event[-1]) not in _NUMBERS:
        event = (*event[:-1], previews.of_atom(event[-1]))
    try:
        packer = _idle.pop()
    except IndexError:  # names of files may hold what is no Unicode
        packer = msgpack.Packer(default=previews.of_other, unicode_errors="surrogatepass")
    row: bytes = packer.pack(event)
    _idle.append(packer)  # not after an error: nobody knows what it holds then
    return row


#: Packers that have nothing to do. Not one for all: what a packer calls lets other threads go on meanwhile.
_idle: list[msgpack.Packer] = []


def _submitted(event: Event) -> Event:
    arguments = event[_ARGUMENTS]
    is_described = len(event) > _PLAIN_LENGTH  # and then these are previews
    if is_described or (len(arguments) <= previews.ARGUMENTS and previews.are_short(arguments)):
        return event
    shown = previews.of_each(arguments, previews.of_atom)
    return (*event[:_ARGUMENTS], shown, *event[_ARGUMENTS + 1 :], (), (), _plain_call(arguments))


def _plain_call(arguments: tuple[Any, ...]) -> bytes | None:
    """The form of a plain call that can be opened again, where previews are not all there is of it."""
    sizes = [len(each) if type(each) in (str, bytes) else 1 for each in arguments]
    if sum(sizes) > CALL_BYTES or not previews.ATOMS.issuperset(map(type, arguments)):
        return None
    try:
        packed = _PLAIN_CALL + msgpack.packb(arguments, unicode_errors="surrogatepass")
    except (OverflowError, ValueError):  # a large integer
        return None
    return packed if len(packed) <= CALL_BYTES else None


def plain_arguments(call: bytes) -> tuple[Any, ...] | None:
    """The arguments of a plain call that was kept; None for a call in another form."""
    if not call.startswith(_PLAIN_CALL):
        return None
    found: tuple[Any, ...] = msgpack.unpackb(call[1:], use_list=False, unicode_errors="surrogatepass")
    return found


def rows(body: bytes) -> list[Event]:
    """The events of one frame, as they were written: tuples of at least a kind. What else may be there is left out."""
    try:
        found = msgpack.unpackb(body, strict_map_key=False, use_list=False, unicode_errors="surrogatepass")
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return []
    return [event for event in found if type(event) is tuple and event] if type(found) is tuple else []


def fits(event: Event) -> bool:
    """Whether an event of a rare kind has the fields of its kind."""
    types = _TYPES.get(event[0])
    return types is not None and len(event) > len(types) and all(map(isinstance, event[1:], types))


def unpack(body: bytes) -> Iterator[dict[str, Any]]:
    """The events of one frame, each as a dict of its fields and its `kind`; unknown kinds are passed over."""
    for kind, *values in rows(body):
        if type(kind) is int and kind in _KINDS:
            yield {"kind": Kind(kind), **dict(zip(FIELDS[Kind(kind)], values, strict=False))}
