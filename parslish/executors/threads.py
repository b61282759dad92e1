"""Owns running tasks in threads of this process.

A thread cannot be stopped: `cancel()` and `walltime` give up on a running task, which runs on unheeded and keeps
its thread until it returns.
"""

from __future__ import annotations

import contextvars
import copy
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from parslish.errors import ConfigurationError, InvalidResourceSpecification
from parslish.executors.base import Executor, FutureSink, Reply, Sink, worker_name
from parslish.executors.clock import CpuClock
from parslish.task import Try


class ThreadPoolExecutor(Executor):
    """Runs tasks in `max_threads` threads.

    The threads are ours and not those of `concurrent.futures.ThreadPoolExecutor`: that one makes a future of
    its own for each call, which costs as much as all the rest of a task does here.

    Args:
        label: the name by which apps choose it.
        max_threads: how many threads.
        thread_name_prefix: what the threads' names begin with; the label by default.
        storage_access: staging providers for `File`s; None for the default ones.
        working_dir: where staged files are put; None for the current folder.
        max_workers: an older name of `max_threads`.
    """

    def __init__(
        self,
        label: str = "threads",
        max_threads: int = 2,
        thread_name_prefix: str = "",
        storage_access: Sequence[Any] | None = None,
        working_dir: str | None = None,
        max_workers: int | None = None,
    ) -> None:
        max_threads = max_threads if max_workers is None else max_workers
        if not isinstance(max_threads, int) or max_threads < 1:
            raise ConfigurationError(f"max_threads={max_threads!r}: a whole number of 1 or more is needed")
        self.label = label
        self.max_threads = max_threads
        self.thread_name_prefix = thread_name_prefix
        self.storage_access = storage_access
        self.working_dir = working_dir
        self._queue: queue.SimpleQueue[Try | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def copy(self) -> ThreadPoolExecutor:
        other = copy.copy(self)
        other._threads = []
        return other

    def start(self) -> None:
        self._queue = queue.SimpleQueue()
        prefix = self.thread_name_prefix or self.label
        # Daemons: at the interpreter's exit the kernel decides what is waited for, not the threads.
        self._threads = [
            threading.Thread(target=self._work, args=(self._queue,), name=f"{prefix}-{i}", daemon=True)
            for i in range(self.max_threads)
        ]
        for thread in self._threads:
            thread.start()

    def launch(self, attempt: Try, sink: Sink) -> None:
        if attempt.resources:
            unknown = InvalidResourceSpecification(
                attempt.resources,
                f"threads have no resources, but {sorted(attempt.resources)} were asked for",
            )
            sink.deliver(Reply(attempt, exception=unknown))
            return
        attempt.sink = sink
        self._queue.put(attempt)

    def submit(
        self, func: Any, resource_specification: Mapping[str, Any] | None, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        sink = FutureSink()
        self.launch(Try(None, 1, func, args, kwargs, resource_specification), sink)
        return sink.future

    def shutdown(self, block: bool = True) -> None:
        """Drop what has not started; with `block`, wait for what has."""
        for _ in self._threads:
            self._queue.put(None)
        self._drop_queued()
        if block:
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join()
        self._threads = []

    def _drop_queued(self) -> None:
        """Take what is queued out again, all but the Nones that end the threads."""
        ends = 0
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                ends += 1
            else:
                item.sink.deliver(Reply(item, exception=CancelledError()))
        for _ in range(ends):
            self._queue.put(None)

    @staticmethod
    def _work(tasks: queue.SimpleQueue[Try | None]) -> None:
        # In a context of its own: what `enter_thread` says of this thread holds for this work alone.
        contextvars.Context().run(_work, tasks)


def _work(tasks: queue.SimpleQueue[Try | None]) -> None:
    worker, clock = worker_name(), CpuClock(time.thread_time)
    entered: Sink | None = None
    while (attempt := tasks.get()) is not None:
        if attempt.task is not None and attempt.sink is not entered:
            entered = attempt.sink
            entered.enter_thread(attempt)
        if attempt.sink.started(attempt, worker):
            attempt.sink.deliver(_run(attempt, worker, clock))
        del attempt  # an idle thread must not keep arguments and results alive


def _run(attempt: Try, worker: str, clock: CpuClock) -> Reply:
    started, began = time.time(), time.perf_counter()
    value: Any = None
    exception: BaseException | None = None
    try:
        value = attempt.func(*attempt.args, **attempt.kwargs)
    except BaseException as exc:  # user code: SystemExit in an app is its result too
        exception = exc
    ended = time.perf_counter()
    return Reply(
        attempt, value, exception, started=started, duration=ended - began, cpu=clock.spent(began, ended), worker=worker
    )  # fmt: skip
