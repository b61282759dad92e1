"""Owns what a run's record keeps of a call's arguments: a preview of each, the files among them, and, where previews
are not all there is, the arguments themselves in a form that a re-execution can open.

Only what is small and of a type whose pickling runs nobody's code is kept that way; of a failed task whatever can be.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from parslish import codec, graph
from parslish.errors import SerializationError
from parslish.files import File
from parslish.future import DataFuture, step_text, steps_to, task_id
from parslish.history import previews
from parslish.history.previews import Preview
from parslish.task import Task

LIMIT_BYTES = 4096  # of the arguments of a call that are kept
FAILED_LIMIT_BYTES = 1 << 20  # and of a failed task's
_NODES: Final = 200  # parts of containers that are looked at
_CONTAINERS: Final = (list, tuple, set, frozenset)
_SIMPLE: Final = frozenset({
    *graph.ATOMS, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal,
    fractions.Fraction, uuid.UUID,
}) - {type}  # fmt: skip


class Described(NamedTuple):
    """What the record keeps of one call that is not plain."""

    arguments: Sequence[Preview]
    keywords: Mapping[str, Preview] | None
    inputs: Sequence[str]
    outputs: Sequence[str]
    call: bytes | None


class ResultOf(NamedTuple):
    """Stands for the result of a task, or for a part of it, among arguments that were kept."""

    task: int
    steps: tuple[tuple[str, Any], ...] = ()

    def of(self, result: Any) -> Any:
        """The part that it stands for."""
        for how, which in self.steps:
            result = result[which] if how == "item" else getattr(result, which)
        return result


def described(task: Task) -> Described:
    """What is to be kept of a task's arguments, before anything waits for them."""
    args, kwargs = task.args, task.kwargs
    options = task.options
    arguments = [_preview(value) for value in args]
    keywords = {name: _preview(value) for name, value in kwargs.items()}
    return Described(
        arguments,
        keywords or None,
        [path for value in _flat(args, kwargs) if (path := _path(value)) is not None],
        [path for value in options.outputs if (path := _path(value)) is not None] if options else [],
        None if all(map(_is_told, [*arguments, *keywords.values()])) else _call(args, kwargs),
    )


def call_of_failed(task: Task) -> bytes | None:
    """A failed task's arguments, with the results that it was given; None when that cannot be kept."""
    try:
        resolved = graph.replaced(task.args, task.kwargs, Future, lambda future: future.result(timeout=0))
        kept = codec.encode(resolved)
    except Exception:  # a dependency failed, or user code did: __reduce__
        return None
    return kept if len(kept) <= FAILED_LIMIT_BYTES else None


def opened(call: bytes, result_of: Callable[[ResultOf], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call that was kept, by a record whose signature held (I6).

    Raises:
        SerializationError: a class or module that they need is not there.
    """
    args, kwargs = codec.decode(call)
    return graph.replaced(args, kwargs, ResultOf, result_of)


def _preview(value: Any) -> Preview:
    if isinstance(value, Future):
        reference = _reference(value)
        if reference is None:
            return {"repr": "<a future of no task>"}
        of = "".join(step_text(*step) for step in reference.steps)
        return {"task": reference.task, **({"of": of} if of else {})}
    if isinstance(value, File):
        return {"file": str(value.url)}
    return previews.of(value)


def _is_told(preview: Preview) -> bool:
    """Whether a preview is all there is of an argument."""
    return previews.is_exact(preview) or (isinstance(preview, dict) and "task" in preview and "of" not in preview)


def _reference(future: Future[Any]) -> ResultOf | None:
    task = task_id(future)
    return None if task is None else ResultOf(task, tuple(steps_to(future)))


def _flat(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments, and what is in lists and tuples among them: files are given so."""
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        found += value if type(value) in (list, tuple) else [value]
    return found


def _path(value: Any) -> str | None:
    if isinstance(value, DataFuture):
        value = value.file_obj
    if isinstance(value, File):
        return value.path if value.scheme == "file" else str(value.url)
    return str(value) if isinstance(value, PurePath) else None


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | None:
    if not _is_simple((args, kwargs)):
        return None
    try:
        kept = codec.encode(graph.replaced(args, kwargs, Future, _reference))
    except SerializationError:
        return None
    return kept if len(kept) <= LIMIT_BYTES else None


def _is_simple(value: Any) -> bool:
    """Whether all of a value is small, and of types whose pickling runs nobody's code."""
    left, stack = _NODES, [value]
    while stack:
        value = stack.pop()
        kind = type(value)
        left -= 1
        if left < 0 or (kind in (str, bytes, bytearray) and len(value) > LIMIT_BYTES):
            return False
        if kind in _SIMPLE or isinstance(value, PurePath):
            continue
        if kind in _CONTAINERS or kind is dict:
            if len(value) > left:
                return False
            stack += [*value, *value.values()] if kind is dict else value
        elif isinstance(value, Future):
            if isinstance(value, DataFuture) or task_id(value) is None:
                return False
        elif not _is_small_array(kind, value):
            return False
    return True


def _is_small_array(kind: type, value: Any) -> bool:
    if kind.__module__ != "numpy":
        return False
    dtype = getattr(value, "dtype", None)
    return dtype is not None and dtype.kind in "biufcSUmM" and value.nbytes <= LIMIT_BYTES
