"""Owns the futures that callers hold: standard-library futures that know their task.

They resolve when the kernel says so and decide nothing themselves.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from parslish import interrupts
from parslish.errors import Unidentifiable
from parslish.identity.value import encode
from parslish.lean import LeanFuture
from parslish.task import State, Task

if TYPE_CHECKING:
    from parslish.files import File
    from parslish.kernel import DataFlowKernel

logger = logging.getLogger("parslish")


class _LiftingFuture(LeanFuture):
    """A future whose `f[key]` and `f.name` are futures of the result's item and attribute."""

    #: Iterating would ask for item 0, 1, 2, … and never end: every item is a future.
    __iter__ = None

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        # The standard library lets BaseException out of a callback, past the callbacks that follow: one
        # user's SystemExit would keep dependents waiting for ever (I2).
        super().add_done_callback(_Callback(fn))

    def __getitem__(self, key: Any) -> Future[Any]:
        return Lifted(self, "item", key)

    def __getattr__(self, name: str) -> Future[Any]:
        # Underscored names are asked for by protocols (copy, numpy, IPython), never by users.
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return Lifted(self, "attribute", name)

    def __await__(self) -> Generator[Any, None, Any]:
        import asyncio  # who awaits has imported it; who does not need not pay for it

        return asyncio.wrap_future(self).__await__()


class _Callback:
    """A done-callback, let go of as it is called: the standard library keeps callbacks for the future's life, and
    the first future of a chain would keep the whole chain in memory (I10)."""

    __slots__ = ("_fn",)

    def __init__(self, fn: Callable[[Future[Any]], object]) -> None:
        self._fn: Callable[[Future[Any]], object] | None = fn

    def __call__(self, future: Future[Any]) -> None:
        fn, self._fn = self._fn, None
        assert fn is not None
        try:
            fn(future)
        except BaseException as exc:
            logger.exception("a done-callback of %r raised; the future is resolved all the same", future)
            interrupts.give_to_script(exc)


class AppFuture(_LiftingFuture):
    """The future of a task: the result of one call of an app.

    Wait for it with `result()`, `concurrent.futures.wait`, `as_completed` or `await`; pass it to another app
    as an argument.
    """

    def __init__(self, task: Task, kernel: DataFlowKernel) -> None:
        LeanFuture.__init__(self)  # not by `super`, which takes half as long as the rest
        self._task = task
        self._kernel = kernel
        self._encoding: bytes | None = None

    @property
    def tid(self) -> int:
        """The task's number within its run."""
        return self._task.id

    @property
    def stdout(self) -> Any:
        """Where the task's stdout goes, as it was given (the path, when it was AUTO_LOGNAME); or None."""
        return self._task.options.stdout if self._task.options else None

    @property
    def stderr(self) -> Any:
        """Where the task's stderr goes; see `stdout`."""
        return self._task.options.stderr if self._task.options else None

    @property
    def outputs(self) -> Sequence[DataFuture]:
        """A future for each file in `outputs=[…]`."""
        return self._task.options.output_futures if self._task.options else []

    @property
    def task_record(self) -> Task:
        """The task, readable like Parsl's task record: `future.task_record["func_name"]`."""
        return self._task

    def task_status(self) -> str:
        """Where the task stands, as the name of a `States` member."""
        return self._task.state.name

    def encoding(self) -> bytes | None:
        """The result's canonical encoding, made once; None when it has no identity. Only for a result."""
        if self._encoding is None:
            try:
                self._encoding = encode(self.result())
            except Unidentifiable:
                self._encoding = b""
        return self._encoding or None

    def running(self) -> bool:
        return self._task.state in (State.running, State.joining) and not self.done()

    def cancel(self) -> bool:
        """Cancel the task: it is not started, or, in a process, stopped within a second.

        A task that a thread is running cannot be stopped: the call returns False, as it does for a task that
        is done.
        """
        return self._kernel.cancel(self._task)

    def __repr__(self) -> str:
        return f"<AppFuture of {self._task} {self._task.state.name}>"


class Lifted(_LiftingFuture):
    """An item or attribute of a future's result: a future too, and no task of its own."""

    def __init__(self, parent: Future[Any], how: str, which: Any) -> None:
        super().__init__()
        self._parent = parent
        #: ("item", key) or ("attribute", name).
        self._step = how, which
        parent.add_done_callback(partial(self._take, _GETTERS[how](which)))

    def _take(self, get: Callable[[Any], Any], parent: Future[Any]) -> None:
        # `get` runs the result's own __getitem__: whatever it raises is the answer.
        try:
            value = get(parent.result())
        except BaseException as exc:
            self.set_exception(exc)
        else:
            self.set_result(value)

    def __repr__(self) -> str:
        return f"{self._parent!r}{step_text(*self._step)}"


_GETTERS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "item": operator.itemgetter,
    "attribute": operator.attrgetter,
}


def step_text(how: str, which: Any) -> str:
    """How a program spells a step from a future to one of its parts."""
    return f"[{which!r}]" if how == "item" else f".{which}"


def steps_to(future: Future[Any]) -> list[tuple[str, Any]]:
    """The steps from the future of a task to a part of it: ("item", key) or ("attribute", name) each."""
    steps: list[tuple[str, Any]] = []
    while isinstance(future, Lifted):
        steps.insert(0, future._step)
        future = future._parent
    return steps


class DataFuture(_LiftingFuture):
    """The future of a file that a task writes: done when the task is, with the `File` as its result."""

    def __init__(self, parent: Future[Any], file_obj: File, tid: int | None = None) -> None:
        super().__init__()
        self.parent = parent
        self.file_obj = file_obj
        self.tid = tid
        parent.add_done_callback(self._parent_done)

    def _parent_done(self, parent: Future[Any]) -> None:
        if parent.cancelled():
            super().cancel()
            self.set_running_or_notify_cancel()
        elif exc := parent.exception():
            self.set_exception(exc)
        else:
            self.set_result(self.file_obj)

    @property
    def filepath(self) -> str:
        """The path of the file on this machine."""
        return self.file_obj.filepath

    @property
    def filename(self) -> str:
        """The last part of the file's path."""
        return self.file_obj.filename

    def cancel(self) -> bool:
        """Always False: cancel the task that writes the file, `parent`."""
        return False

    def __repr__(self) -> str:
        return f"<DataFuture of {self.file_obj} from {self.parent!r}>"


class StoredFuture(_LiftingFuture):
    """The future of a result that an earlier run has stored: done from the beginning, and no task's of this run."""

    def __init__(self, key: bytes, value: Any) -> None:
        super().__init__()
        self._key = key
        self.set_result(value)


def task_id(future: Future[Any], kernel: DataFlowKernel | None = None) -> int | None:
    """The id of the task behind a future, its item, attribute or file; None for a foreign future, and for one of
    another kernel than the one that is given."""
    whole = _whole(future)
    return whole.tid if isinstance(whole, AppFuture) and (kernel is None or whole._kernel is kernel) else None


def stored_key(future: Future[Any]) -> bytes | None:
    """The key of the stored result behind a future, as `task_id`; None for others."""
    whole = _whole(future)
    return whole._key if isinstance(whole, StoredFuture) else None


def _whole(future: Future[Any]) -> Future[Any]:
    """The future of which another one is of an item, attribute or file."""
    # Not by way of `__dict__`: to make one, CPython takes the attributes out of the object, and with the garbage
    # collector's help may let another thread write to them meanwhile, into nowhere.
    while True:
        if isinstance(future, Lifted):
            future = future._parent
        elif isinstance(future, DataFuture):
            future = future.parent
        else:
            return future
