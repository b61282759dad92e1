"""Owns what a run's record keeps of a call's arguments: a preview of each, the files among them, and, where previews
are not all there is, the arguments themselves in a form that a re-execution can open.

Only what is small and of a type whose pickling runs nobody's code is kept that way; of a failed task whatever can be.
Nothing here fails a task: what cannot be told or kept is not.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parslish import codec, graph, interrupts
from parslish.bash import AUTO_LOGNAME, auto_logname
from parslish.errors import SerializationError
from parslish.files import File
from parslish.future import DataFuture, Lifted, steps_to, stored_key, task_id
from parslish.history import event, previews
from parslish.history.event import CALL_BYTES
from parslish.history.previews import PATHS, Preview
from parslish.task import Options, Task

if TYPE_CHECKING:
    from parslish.kernel import DataFlowKernel

FAILED_BYTES = 1 << 20  # of the arguments of a failed task that are kept
_NODES: Final = 200  # parts of containers that are looked at
_STEPS: Final = 20  # from a future to a part of it that are told
_CONTAINERS: Final = (list, tuple, set, frozenset)
_SIMPLE: Final = frozenset({
    int, str, float, bool, type(None), bytes, complex, bytearray, range, type(Ellipsis), type(AUTO_LOGNAME),
    datetime.date, datetime.timedelta, decimal.Decimal, *PATHS,
})  # fmt: skip


class Described(NamedTuple):
    """What the record keeps of one call that is not plain."""

    arguments: Sequence[Preview]
    keywords: Mapping[str, Preview] | None
    inputs: Sequence[str]
    outputs: Sequence[str]
    call: bytes | None


class ResultOf(NamedTuple):
    """Stands for the result of a task, or for a part of it or a file that it writes, among arguments that were kept.

    `task` is its id, or, for a result that another run had stored, the key of that.
    """

    task: int | bytes
    steps: tuple[tuple[str, Any], ...] = ()

    def of(self, result: Any) -> Any:
        """The part that it stands for; of a future of the result, a future of the part."""
        for how, which in self.steps:
            if how == "file":
                result = DataFuture(result, which, task_id(result)) if isinstance(result, Future) else which
            else:
                result = result[which] if how == "item" else getattr(result, which)
        return result


def described(task: Task) -> Described:
    """What is to be kept of a task's arguments, before anything waits for them."""
    args, kwargs, said = task.args, task.kwargs, _said(task)
    kernel = task.future._kernel
    arguments = previews.of_each(args, partial(preview, kernel=kernel))
    keywords = {name: preview(kwargs[name], kernel) for name in list(kwargs)[: previews.ARGUMENTS]}
    is_told = not said and len(keywords) == len(kwargs) and all(map(_is_told, [*arguments, *keywords.values()]))
    outputs = task.options.outputs if task.options else ()
    return Described(
        arguments,
        keywords or None,
        [path for value in _flat(args, kwargs) if (path := _path(value)) is not None],
        [path for value in outputs if (path := _path(value)) is not None],
        None if is_told else _call(args, {**kwargs, **said}, kernel),
    )


def call_of_failed(task: Task) -> bytes | None:
    """A failed task's arguments, with the results that it was given; None when that cannot be kept."""
    try:
        resolved = graph.replaced(task.args, task.kwargs, Future, lambda future: future.result(timeout=0))
        return _kept(resolved, FAILED_BYTES)
    except BaseException as exc:  # a dependency failed, or user code did, by whatever means: __reduce__
        interrupts.give_to_script(exc)
        return None


def opened(call: bytes, result_of: Callable[[ResultOf], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call that was kept, by a record whose signature held (I6): as it was made, with what it said
    to parslish (`outputs`, `stdout`, …) but its label; of a failed task, as its function got them.

    Raises:
        SerializationError: a class or module that they need is not there.
    """
    plain = event.plain_arguments(call)
    kept = codec.decode(call) if plain is None else (plain, {})
    if not (isinstance(kept, tuple) and len(kept) == 2 and isinstance(kept[0], tuple) and isinstance(kept[1], dict)):
        raise SerializationError("what was recorded is no call: it is neither to be opened nor made again")
    return graph.replaced(*kept, ResultOf, result_of)


def preview(value: Any, kernel: DataFlowKernel | None = None) -> Preview:
    """The preview of an argument as it was given: a future is the task that it is of, if that is the kernel's."""
    # Not isinstance: that asks a value for its `__class__`, which may be anybody's code.
    if issubclass(type(value), DataFuture):
        value = value.file_obj
    elif issubclass(type(value), Future):
        reference = _reference(value, kernel)
        if reference is None:
            return {"repr": "<a future of no task of this run>"}
        of = "".join(_step_text(*step) for step in reference.steps[:_STEPS])
        whole = reference.task
        found: dict[str, Any] = {"task": whole} if isinstance(whole, int) else {"stored": whole.hex()}
        return {**found, "of": of} if of else found
    if issubclass(type(value), File):
        return previews.of_path(value) or previews.of(value)
    return previews.of(value)


def _step_text(how: str, which: Any) -> str:
    return f"[{previews.shown(which)}]" if how == "item" else f".{str.__str__(which)[: previews.TEXT]}"


def _is_told(preview: Preview) -> bool:
    """Whether a preview is all there is of an argument."""
    return not isinstance(preview, dict) or preview.keys() in ({"task"}, {"stored"})


def _reference(future: Future[Any], kernel: DataFlowKernel | None = None) -> ResultOf | None:
    task = task_id(future, kernel)
    whole = stored_key(future) if task is None else task
    if whole is None:
        return None
    if isinstance(future, DataFuture):
        return ResultOf(whole, (("file", future.file_obj),))
    return ResultOf(whole, tuple(steps_to(future)))


def _flat(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments, and what is in lists and tuples among them: files are given so."""
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        found += value if type(value) in (list, tuple) else [value]
    return found


def _path(value: Any) -> str | None:
    kind = type(value)
    if issubclass(kind, DataFuture):
        value, kind = value.file_obj, type(value.file_obj)
    if issubclass(kind, File):
        return str.__str__(value.path if value.scheme == "file" else value.url)
    return str(value) if kind in PATHS else None


# ------------------------------------------------------------------------------------- kept to be opened


def _said(task: Task) -> dict[str, Any]:
    """What a call said to parslish, as it may say it again: but its label, which is recorded as such."""
    options: Options | None = task.options
    if options is None:
        return {}
    said = {
        "outputs": options.outputs or None,
        "stdout": _stream(task, "stdout", options.stdout),
        "stderr": _stream(task, "stderr", options.stderr),
        "walltime": options.walltime,
        "parsl_resource_specification": options.resources,
    }
    return {name: value for name, value in said.items() if value is not None}


def _stream(task: Task, kind: str, path: Any) -> Any:
    """Where a stream goes: a file of this run's own is another one in the next."""
    own = auto_logname("", task.id, task.app.name, task.label, kind)
    return AUTO_LOGNAME if type(path) is str and path.endswith(own) else path


def _call(args: tuple[Any, ...], kwargs: dict[str, Any], kernel: DataFlowKernel) -> bytes | None:
    def referring_to(future: Future[Any]) -> ResultOf:
        found = _reference(future, kernel)
        if found is None:
            raise ValueError("a future of another kernel")
        return found

    try:
        if _is_simple((args, kwargs)):
            referring = graph.replaced(args, kwargs, Future, referring_to)
            return _kept(graph.replaced(*referring, File, File.cleancopy), CALL_BYTES)
    except (ValueError, TypeError, RuntimeError):  # an integer or a depth that no form carries; changed meanwhile
        pass
    return None


def _is_simple(value: Any) -> bool:
    """Whether all of a value is small, and of types whose pickling runs nobody's code."""
    left, stack = _NODES, [value]
    while stack:
        value = stack.pop()
        kind = type(value)
        left -= 1
        if left < 0 or (kind in (str, bytes, bytearray) and len(value) > CALL_BYTES):
            return False
        if kind in _SIMPLE:
            continue
        parts = _parts(kind, value)
        if parts is None or len(parts) > left:
            return False
        stack += parts
    return True


def _parts(kind: type, value: Any) -> Sequence[Any] | None:
    """What a value is made of; None for what is not simple."""
    if kind in _CONTAINERS:
        return list(value) if len(value) <= _NODES else None
    if kind is dict:
        return [*value, *value.values()] if len(value) <= _NODES else None
    if issubclass(kind, Future):
        return _parts_of_future(value)
    if kind is slice:
        return [value.start, value.stop, value.step]
    if kind is fractions.Fraction:
        return [value.numerator, value.denominator]
    if previews.is_of(kind, "uuid") and kind.__name__ == "UUID":
        return [value.int]
    if kind is datetime.datetime or kind is datetime.time:
        return [value.tzinfo]
    if kind is datetime.timezone:
        return [value.tzname(None)]
    if "zoneinfo" in sys.modules and kind is sys.modules["zoneinfo"].ZoneInfo:
        return [value.key]
    if kind is File:
        return [value.url]
    return () if _is_small_array(kind, value) else None


def _parts_of_future(future: Future[Any]) -> Sequence[Any] | None:
    if _reference(future) is None:
        return None
    if isinstance(future, DataFuture):
        return [future.file_obj]
    return [which for _, which in steps_to(future)] if isinstance(future, Lifted) else ()


def _is_small_array(kind: type, value: Any) -> bool:
    if not previews.is_of(kind, "numpy"):
        return False
    dtype = getattr(value, "dtype", None)
    is_plain = dtype is not None and dtype.kind in "biufcSUmM" and dtype.metadata is None
    return is_plain and value.nbytes <= CALL_BYTES


def _kept(value: Any, limit_bytes: int) -> bytes | None:
    """The stored form of a value; None for one that is longer, most of which is never made.

    Raises:
        Exception: whatever user code does that takes part in this.
    """
    file = _Limited(limit_bytes)
    try:
        try:
            pickle.Pickler(file, 5, buffer_callback=file.take).dump(value)
            return bytes(file.content)
        except _TooLong:
            raise
        except Exception:  # not for pickle, perhaps for dill
            import dill  # here, since most scripts never need it

            file = _Limited(limit_bytes)
            file.write(bytes((codec.DILL,)))
            dill.dump(value, file, protocol=5)
            return bytes(file.content)
    except _TooLong:
        return None


class _TooLong(Exception):
    pass


class _Limited:
    """The file that a pickler writes to."""

    def __init__(self, limit_bytes: int) -> None:
        self.content = bytearray()
        self._limit = limit_bytes

    def write(self, piece: Any) -> None:
        if len(self.content) + len(piece) > self._limit:
            raise _TooLong
        self.content += piece

    def take(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether memory that a value lends goes into the pickle."""
        if memoryview(buffer).nbytes > self._limit:
            raise _TooLong
        return True
