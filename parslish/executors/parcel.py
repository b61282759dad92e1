"""Owns how a value crosses between processes: which pickler carries it, and its large memory uncopied.

Numbers and short texts go as they are, in the envelope that is pickled anyway. Else plain pickle comes first; then
cloudpickle, which carries classes and functions of a script or notebook by value and keeps a class the same class when
it comes back; then dill. What `codec` stores is another matter: there a class of `__main__` goes by reference.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from parslish import unpickling
from parslish.codec import kind
from parslish.errors import SerializationError
from parslish.store.values import LARGE_BYTES

PLAIN, CLOUD, DILL, DIRECT = range(4)

_NUMBERS = frozenset({int, float, bool, complex, type(None)})
_TEXTS = frozenset({str, bytes})
_SHORT = 1 << 10  # texts up to this length

_LARGE = 1 << 16
BESIDE_FROM = 1 << 12  #: memory below this size is cheaper inside the pickle than beside it
STORED_FROM = LARGE_BYTES  #: a body without buffers from this size on is a value's stored form, if it is PLAIN

#: Modules that a worker cannot import, as they stand in a pickle: what names one of them goes by value.
by_value: set[bytes] = {b"__main__"}


class Parcel(NamedTuple):
    """A pickled value: the pickler that made it, its body, and the memory that travels beside it. If DIRECT, the
    body is the value."""

    form: int
    body: Any
    buffers: Sequence[pickle.PickleBuffer]


class RemoteTraceback(Exception):
    """The cause of an exception that was raised in a worker: its traceback there, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def pack(value: Any, *, beside_from: int | None = BESIDE_FROM, shun: Iterable[bytes] = by_value) -> Parcel:
    """Pickle a value for another process.

    Args:
        value: what is to cross.
        beside_from: from how many bytes on memory travels beside the body; None: never.
        shun: plain pickles that contain one of these byte strings are not good at the other side.

    Raises:
        SerializationError: nothing can carry it; names the type and the reasons.
    """
    buffers: list[pickle.PickleBuffer] = []
    try:
        body = pickle.dumps(value, 5, buffer_callback=None if beside_from is None else _aside(buffers, beside_from))
        for name in shun:
            if name in body:
                break
        else:
            return Parcel(PLAIN, body, buffers)
        reason = f"it refers to {name.decode()}, which a worker cannot import"
    except Exception as exc:  # user code: __reduce__ and its like may raise anything
        reason = f"{type(exc).__name__}: {exc}"
    return _pack_by_value(value, reason)


def pack_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Parcel:
    """Pack the arguments of a call. Raises as `pack`."""
    if not kwargs:
        for value in args:
            if not _is_direct(value):
                break
        else:
            return Parcel(DIRECT, (args, kwargs), ())
    return pack((args, kwargs))


def pack_result(value: Any, beside_from: int | None) -> Parcel:
    """Pack what a call returned. Raises as `pack`."""
    return Parcel(DIRECT, value, ()) if _is_direct(value) else pack(value, beside_from=beside_from, shun=())


def _is_direct(value: Any) -> bool:
    return type(value) in _NUMBERS or (type(value) in _TEXTS and len(value) <= _SHORT)


def beside(body: Any) -> Any:
    """The body, as it goes into an envelope: a large one beside it, so that it is not copied again."""
    return pickle.PickleBuffer(body) if type(body) is bytes and len(body) >= _LARGE else body


def unpack(form: int, body: Any, buffers: Iterable[Any] = ()) -> Any:
    """Open what `pack` made. Raises whatever the value's own code raises, and what `pickle.loads` does."""
    if form == DIRECT:
        return body
    if form == DILL:
        return unpickling.loads_dill(body)
    return unpickling.loads(body, buffers)


def pack_exception(exc: BaseException, text: str) -> Parcel | None:
    """Pickle an exception with its traceback's text; None when it would not survive the journey.

    An exception may pickle well and still not open (its `__init__` takes other arguments than `args` holds), so
    it is opened here once, where a failure harms nobody.
    """
    try:
        parcel = pack((exc, text), beside_from=None, shun=())
        unpack(*parcel)
    except Exception:  # user code, and the reason is told by the caller
        return None
    return parcel


def _aside(buffers: list[pickle.PickleBuffer], from_bytes: int) -> Callable[[pickle.PickleBuffer], bool]:
    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < from_bytes:
            return True
        buffers.append(buffer)
        return False

    return keep_inside


def _pack_by_value(value: Any, reason: str) -> Parcel:
    reasons = [f"pickle: {reason}"]
    for form, name in ((CLOUD, "cloudpickle"), (DILL, "dill")):
        pickler = importlib.import_module(name)  # dill hardly ever: it takes as long as all else here
        try:
            return Parcel(form, pickler.dumps(value, protocol=5), [])
        except Exception as exc:  # user code, as in `pack`
            reasons.append(f"{name}: {type(exc).__name__}: {exc}")
    raise SerializationError(f"a value of type {kind(value)} cannot cross to another process ({'; '.join(reasons)})")
