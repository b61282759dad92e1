"""Owns the process pool as its users see it; leaves queue, workers and wire to `dispatch` and below.

The way of a job:  `processes` → `dispatch` (queue, one thread) → `remote` (one process, our side) → `wire` (the
socket) → `worker` (its side), with `functions`, `parcel` and `cell` for what crosses, and `batch` for how many.
"""

from __future__ import annotations

import atexit
import concurrent.futures.process  # noqa: F401 — loky does, which is too late when the interpreter is ending
import functools
import os
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from typing import Any

from parslish.errors import ConfigurationError, InvalidResourceSpecification
from parslish.executors.base import Executor, FutureSink, Reply, Sink
from parslish.executors.dispatch import Dispatcher
from parslish.task import Try

RESOURCES = frozenset({"cores", "memory", "disk", "gpus", "priority"})


class ProcessPoolExecutor(Executor):
    """Runs tasks in worker processes of this machine.

    A function is sent to each worker once; functions of scripts, notebooks and `python -c` need no
    `if __name__ == "__main__"` guard. Short tasks are packed, a lone one is sent at once. A worker that dies costs
    the task it ran, and no other. `cancel` ends a running task by ending its worker.

    Args:
        label: the name apps choose it by.
        max_workers: processes at most, started as they are needed; None: the CPUs this process may use.

    Raises:
        ConfigurationError: `max_workers` is not a positive number.
    """

    def __init__(self, label: str = "processes", max_workers: int | None = None) -> None:
        if max_workers is not None and (not isinstance(max_workers, int) or max_workers < 1):
            raise ConfigurationError(f"max_workers must be a whole number above 0, or None; got {max_workers!r}")
        self.label = label
        self.max_workers = max_workers or len(os.sched_getaffinity(0))
        self._dispatcher: Dispatcher | None = None
        self._finalizer: weakref.finalize[..., ProcessPoolExecutor] | None = None
        self._closed = False
        self._lock = threading.Lock()  # guards the three above
        _watch_exit()
        _executors.add(self)

    def copy(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.label, self.max_workers)

    def start(self) -> None:
        """Make ready to run. Processes are started when there is work."""
        with self._lock:
            self._closed = False
        self._begin()

    def submit(
        self, func: Any, resource_specification: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Run `func(*args, **kwargs)` in a worker and return its future.

        Raises:
            InvalidResourceSpecification: a key that no executor here knows.
        """
        _check(resource_specification)
        sink = FutureSink()
        self.launch(Try(None, 1, func, args, kwargs), sink)
        return sink.future

    def launch(self, attempt: Try, sink: Sink) -> None:
        """Run one try and answer through `sink`, on the dispatcher's thread."""
        try:
            _check(attempt.resources)
        except InvalidResourceSpecification as exc:
            sink.deliver(Reply(attempt, exception=exc))
            return
        dispatcher = self._dispatcher or self._begin()
        if dispatcher is None:
            sink.deliver(Reply(attempt, exception=CancelledError()))
        else:
            dispatcher.launch(attempt, sink)

    def cancel(self, attempt: Try) -> bool:
        """Stop a launched try; a running one is stopped by ending its worker. False when it has ended already."""
        dispatcher = self._dispatcher
        return dispatcher is not None and dispatcher.cancel(attempt)

    def shutdown(self, block: bool = True) -> None:
        """End all workers; what they run and what waits gets CancelledError. `start` makes it usable again.

        With `block` it returns when the processes are gone.
        """
        with self._lock:
            dispatcher, self._dispatcher, self._closed = self._dispatcher, None, True
            if self._finalizer is not None:
                self._finalizer.detach()
        if dispatcher is None:
            return
        dispatcher.stop()
        if block and dispatcher.thread is not threading.current_thread():
            dispatcher.thread.join()

    def _begin(self) -> Dispatcher | None:
        """The dispatcher, made if need be (also in a forked child); None when this is shut down."""
        with self._lock:
            if self._dispatcher is None and not self._closed:
                self._dispatcher = Dispatcher(self.max_workers, f"parslish-{self.label}")
                # The thread knows the dispatcher, not this object, so an executor that is dropped still ends.
                self._finalizer = weakref.finalize(self, self._dispatcher.stop)
                self._finalizer.atexit = False
            return self._dispatcher

    def _after_fork(self) -> None:
        """In a forked child: begin anew; workers and jobs belong to the parent."""
        self._lock = threading.Lock()
        dispatcher, self._dispatcher = self._dispatcher, None
        if self._finalizer is not None:
            self._finalizer.detach()
        if dispatcher is not None:
            dispatcher.forsake()


_executors: weakref.WeakSet[ProcessPoolExecutor] = weakref.WeakSet()


def _check(resources: Mapping[str, Any] | None) -> None:
    unknown = set(resources or ()) - RESOURCES
    if unknown:
        raise InvalidResourceSpecification(unknown)


@functools.cache
def _watch_exit() -> None:
    """Once, with the first executor: no worker outlives the process, and no forked child touches our workers."""
    atexit.register(_shutdown_all)  # the dispatchers' daemon threads still run then
    os.register_at_fork(after_in_child=_begin_anew)


def _shutdown_all() -> None:
    for executor in list(_executors):
        executor.shutdown()


def _begin_anew() -> None:
    for executor in list(_executors):
        executor._after_fork()
