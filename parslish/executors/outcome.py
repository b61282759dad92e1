"""Owns how a job ends: the call of user code in a worker, and how value, exception or mishap is told to the
driver and read there; knows no sockets or threads."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from parslish.codec import kind, why_unreadable
from parslish.errors import SerializationError
from parslish.executors import parcel

#: What an answer holds: a value · (exception, traceback) · (sentence, traceback, missing module or None).
DONE, RAISED, BROKEN = range(3)

Outcome = tuple[int, Any]


def of_call(open_call: Callable[[], tuple[Any, Any, Any]]) -> Outcome:
    """Open a function with its arguments and call it: (DONE, value), (RAISED or BROKEN, exception)."""
    try:
        func, args, kwargs = open_call()
    except BaseException as exc:  # user code: imports, constructors and __setstate__
        return BROKEN, exc
    try:
        return DONE, func(*args, **kwargs)
    except BaseException as exc:  # user code: SystemExit and KeyboardInterrupt are its outcome too
        return RAISED, exc


def pack(outcome: Outcome, beside_from: int | None) -> tuple[int, parcel.Parcel]:
    """Pack an outcome for the driver, `beside_from` as in `parcel.pack`; what cannot cross becomes a sentence that says
    so."""
    status, value = outcome
    if status == DONE:
        try:
            return DONE, parcel.pack_result(value, beside_from)
        except SerializationError as exc:
            return _broken(f"its result cannot be sent back: {exc}")
    text = traceback_text(value)
    if status == BROKEN:
        missing = value.name if isinstance(value, ModuleNotFoundError) else None
        return _broken(f"a worker cannot open its function or arguments: {why_unreadable(value)}", text, missing)
    packed = parcel.pack_exception(value, text)
    if packed is None:
        return _broken(f"it raised {kind(value)}, which cannot be sent back: {_words(value)}", text)
    return RAISED, packed


def unpack(job: object, status: int, form: int, body: Any, buffers: list[Any]) -> tuple[Any, BaseException | None]:
    """At the driver: the value or the exception of `job`, whose text begins the sentence that tells a mishap."""
    try:
        opened = parcel.unpack(form, body, buffers)
    except BaseException as exc:  # user code: constructors and __setstate__; SystemExit is its outcome too
        error = SerializationError(f"{job}: its outcome cannot be opened: {why_unreadable(exc)}")
        error.__cause__ = exc
        return None, error
    if status == DONE:
        return opened, None
    told, text, *_ = opened
    exception = told if status == RAISED else SerializationError(f"{job}: {told}")
    if text:
        exception.__cause__ = parcel.RemoteTraceback(text)
    return None, exception


def missing_module(body: Any) -> str:
    """Of a BROKEN one: the module that the worker could not import; empty when that was not the trouble."""
    _, _, missing = parcel.unpack(parcel.PLAIN, body)
    return missing or ""


def traceback_text(exc: BaseException) -> str:
    """The traceback of what a task raised, without the frame here that called it."""
    tb = exc.__traceback__
    return "".join(traceback.format_exception(type(exc), exc, tb.tb_next if tb else None))


def _broken(sentence: str, text: str = "", missing: str | None = None) -> tuple[int, parcel.Parcel]:
    return BROKEN, parcel.pack((sentence, text, missing), shun=())


def _words(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # user code: __str__
        return "and its text cannot be made"
