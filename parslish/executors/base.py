"""Owns the contract between the kernel and whatever runs tasks; leaves how to run them to the executors.

The kernel calls `launch(try, sink)`; the executor answers through the sink: `started` when a worker has
the try, then exactly one `deliver` with its `Reply`, whatever happens to the worker (I2). Both may be called
on any thread, and `deliver` may be called before `launch` returns.
"""

from __future__ import annotations

import abc
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol

from parslish.errors import UsageError
from parslish.task import Try

HOST = socket.gethostname()


class Reply:
    """How one try ended: a value, or an exception, with what it cost.

    Args:
        attempt: the try it answers.
        value: what the function returned; meaningless when `exception` is set.
        exception: what it raised, or what kept it from running (`WorkerLost`, `SerializationError`, …).
        encoded: the value's stored form (`codec.encode`), when the worker has made it already.
        started: wall clock at the start, seconds since the epoch; 0.0 when it never started.
        duration: wall seconds it ran.
        cpu: CPU seconds of the thread or process that ran it.
        peak_memory: peak resident bytes of the worker process; 0 where that says nothing about the task.
        worker: `host:pid` or `host:pid:thread`.
    """

    __slots__ = (
        "attempt", "cpu", "duration", "encoded", "exception", "peak_memory", "started", "value", "worker",
    )  # fmt: skip

    def __init__(
        self,
        attempt: Try,
        value: Any = None,
        exception: BaseException | None = None,
        *,
        encoded: bytes | None = None,
        started: float = 0.0,
        duration: float = 0.0,
        cpu: float = 0.0,
        peak_memory: int = 0,
        worker: str = "",
    ) -> None:
        self.attempt = attempt
        self.value = value
        self.exception = exception
        self.encoded = encoded
        self.started = started
        self.duration = duration
        self.cpu = cpu
        self.peak_memory = peak_memory
        self.worker = worker


class Sink(Protocol):
    """The kernel as an executor sees it."""

    def started(self, attempt: Try, worker: str) -> bool:
        """A worker has the try; its walltime counts from now.

        False when nobody wants it any more (cancelled while queued): it may be dropped without a reply.
        """

    def enter_thread(self, attempt: Try) -> None:
        """This thread of our own process begins with a task's try, and takes no other kernel's."""
        return

    def deliver(self, reply: Reply) -> None:
        """The try has ended. Never raises."""

    def deliver_all(self, replies: Sequence[Reply]) -> None:
        """As `deliver` for each, at less cost. What follows from one does not begin before all are taken."""
        for reply in replies:
            self.deliver(reply)


class Executor(abc.ABC):
    """Base of all executors, ours and users' own.

    A subclass needs `submit`, in the manner of Parsl's executors; one that can do better than a future per
    call (batches, known workers, cancelling) overrides `launch` and `cancel` too.
    """

    label: str = "executor"

    def start(self) -> None:  # noqa: B027 — many executors have nothing to do here
        """Make ready to run; called once per kernel before the first launch. A shut-down executor may be
        started again."""

    def copy(self) -> Executor:
        """Another one with the same options, not started: for a second kernel at the same time.

        Raises:
            UsageError: its class does not say how.
        """
        raise UsageError(
            f"executor {self.label!r} is used by another kernel that is still going, and {type(self).__name__} has no "
            f"copy(): make one for each kernel"
        )

    @abc.abstractmethod
    def submit(
        self, func: Any, resource_specification: Mapping[str, Any] | None, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Run `func(*args, **kwargs)` and return its future.

        Raises:
            InvalidResourceSpecification: the executor does not know or have what was asked for.
        """

    def shutdown(self, block: bool = True) -> None:  # noqa: B027
        """Free all workers. What has not started is cancelled; with `block`, returns when they are gone."""

    def launch(self, attempt: Try, sink: Sink) -> None:
        """Run one try and answer through `sink`."""
        started, began = time.time(), time.perf_counter()
        try:
            future = self.submit(attempt.func, attempt.resources, *attempt.args, **attempt.kwargs)
        except Exception as exc:  # executor boundary
            sink.deliver(Reply(attempt, exception=exc))
            return
        worker = f"{HOST}:{self.label}"
        sink.started(attempt, worker)

        def answer(done: Future[Any]) -> None:
            exc = CancelledError() if done.cancelled() else done.exception()
            value = None if exc else done.result()
            duration = time.perf_counter() - began
            sink.deliver(Reply(attempt, value, exc, started=started, duration=duration, worker=worker))

        future.add_done_callback(answer)

    def cancel(self, attempt: Try) -> bool:
        """Stop a launched try within a second and free its slot; False where that cannot be done.

        The try still gets its one reply, with `CancelledError`.
        """
        return False


class FutureSink(Sink):
    """The sink behind `Executor.submit`: answers go to a future instead of a kernel."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()

    def started(self, attempt: Try, worker: str) -> bool:
        # A try whose neighbour killed their worker starts twice.
        return self.future.running() or self.future.set_running_or_notify_cancel()

    def deliver(self, reply: Reply) -> None:
        if self.future.cancelled():
            return
        if reply.exception is not None:
            self.future.set_exception(reply.exception)
        else:
            self.future.set_result(reply.value)


def worker_name() -> str:
    """This thread as a worker: `host:pid:thread`."""
    return f"{HOST}:{os.getpid()}:{threading.current_thread().name}"
