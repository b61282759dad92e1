"""Owns executors that do nothing until told, then all of it in turn: so that each side of a task can be measured alone.

They are the pools of `parslish.executors` themselves, without their threads and processes: what is measured is the code
that runs for a user. What is measured of it is left to the callers: the budget times, `tests/costs` counts.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import parslish
from parslish import Config
from parslish.executors import crew, dispatch, remote
from parslish.executors import worker as far
from parslish.executors.base import Reply, Sink
from parslish.executors.cell import Cell, create
from parslish.executors.processes import ProcessPoolExecutor
from parslish.executors.threads import ThreadPoolExecutor
from parslish.executors.wire import Channel
from parslish.history.recorder import Recorder
from parslish.store.sync import Syncer
from parslish.task import Try

DISPATCHER, WORKER, NOBODY = "dispatcher", "worker", ""

PACK = 250  # replies that are delivered at once; a pool of processes has up to 256

OnSide = Callable[[str], None]
Side = Callable[[str], AbstractContextManager[None]]


class HeldThreads(ThreadPoolExecutor):
    """A pool of threads without the threads: what is launched waits for `work`."""

    def start(self) -> None:
        self._queue = queue.SimpleQueue()

    def work(self) -> None:
        """Do on this thread what a thread of the pool would do with all that waits."""
        self._queue.put(None)
        self._work(self._queue)


class HeldPacks(HeldThreads):
    """The same, with replies in packs: as the dispatcher of processes gives them, and as groups form in the log when
    several threads have one at once."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Try, Sink]] = []

    def launch(self, attempt: Try, sink: Sink) -> None:
        self._waiting.append((attempt, sink))

    def work(self) -> None:
        waiting, self._waiting = self._waiting, []
        for at in range(0, len(waiting), PACK):
            pack = waiting[at : at + PACK]
            for attempt, sink in pack:
                sink.started(attempt, "pack")
            pack[0][1].deliver_all([Reply(each, each.func(*each.args), worker="pack") for each, _ in pack])


class HeldProcesses(ProcessPoolExecutor):
    """A pool of processes whose workers are objects in this process; made by `held_processes`.

    Its dispatcher has its thread, which waits for `work`; then dispatcher and workers take turns on it.
    """

    crew: HeldCrew

    def start(self) -> None:
        super().start()
        self._rest()

    def work(self) -> None:
        """Let dispatcher and workers go on until nothing is left to do."""
        self.crew.parked.clear()
        self.crew.proceed.release()
        self._rest()

    def _rest(self) -> None:
        assert self._dispatcher is not None
        while not self.crew.parked.wait(1.0):
            assert self._dispatcher.thread.is_alive(), "the dispatcher has failed"

    def shutdown(self, block: bool = True) -> None:
        dispatcher = self._dispatcher
        super().shutdown(block=False)
        if dispatcher is not None:
            self.crew.proceed.release()
            dispatcher.thread.join()


class HeldCrew(crew.Crew):
    """Runs the far sides while the dispatcher would wait for them.

    Args:
        on_side: called, on the dispatcher's thread, with the side whose turn it is.
    """

    def __init__(self, most: int, bell: crew.Bell, on_side: OnSide) -> None:
        super().__init__(most, bell)
        self.proceed, self.parked = threading.Semaphore(0), threading.Event()
        self._on_side = on_side

    def wait(self, timeout_s: float | None) -> Iterator[tuple[remote.RemoteWorker, crew.News]]:
        self._on_side(WORKER)
        for worker in self.workers:
            assert isinstance(worker, HeldWorker)
            worker.far_side.turn()
        self._on_side(NOBODY)
        if not self._selector.select(0):
            self.parked.set()
            self.proceed.acquire()
        self._on_side(DISPATCHER)
        yield from super().wait(0)


class FarSide(far.Worker):
    """A worker without its process and threads."""

    def turn(self) -> None:
        """Take what was sent, run it, and answer."""
        for verb, *what in self._channel.receive():
            self._take(verb, *what)
        self._inbox.put(None)
        while (entry := self._next()) is not None:
            if isinstance(entry, list):
                self._forget(entry)
            else:
                self._run_job(entry)
        self._cell.begin(0, 0.0)
        self._flush()


class HeldWorker(remote.RemoteWorker):
    """A worker whose process idles while its `FarSide` works; by the process it can be killed and waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._of_process = self.channel
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        fd = create()
        self.cell = Cell(fd)
        self.far_side = FarSide(Channel(theirs), Cell(fd))
        os.close(fd)
        self.far_side._send((far.READY, 0))

    def forsake(self) -> None:
        super().forsake()
        self._of_process.close()


@contextlib.contextmanager
def held_processes(on_side: OnSide) -> Iterator[HeldProcesses]:
    """A pool of one such worker; to be used in the `with` only, by a kernel that ends in it."""
    executor = HeldProcesses(max_workers=1)

    def make_crew(most: int, bell: crew.Bell) -> HeldCrew:
        executor.crew = HeldCrew(most, bell, on_side)
        return executor.crew

    with (
        mock.patch.object(dispatch, "Crew", make_crew),
        mock.patch.object(crew, "RemoteWorker", HeldWorker),
        mock.patch.object(crew, "GRACE_S", 0.0),
    ):
        yield executor


def side_of(on_side: OnSide) -> Side:
    """A `with` for the time of one side; `on_side` hears when it begins, and that it is nobody's when it ends."""

    @contextlib.contextmanager
    def side(name: str) -> Iterator[None]:
        on_side(name)
        try:
            yield
        finally:
            on_side(NOBODY)

    return side


def held_side_of_work(side: Side, on_side: OnSide) -> tuple[Side, OnSide]:
    """For `held_processes`, whose dispatcher says itself whose turn it is: only in "work" does that count, and there
    the caller's thread only waits."""
    working = False

    def while_working(name: str) -> None:
        if working:
            on_side(name)

    @contextlib.contextmanager
    def side_or_work(name: str) -> Iterator[None]:
        nonlocal working
        working = name == "work"
        with contextlib.nullcontext() if working else side(name):
            yield
        working = False

    return side_or_work, while_working


@contextlib.contextmanager
def held_kernel(executor: Any, **options: Any) -> Iterator[tuple[Any, Recorder]]:
    """A kernel beside which no thread runs, and its recorder: events wait for `_write_gathered`, fsyncs for the end."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Recorder, "_write_groups", lambda self: None),
        mock.patch.object(Syncer, "_start", lambda self: None),
        parslish.load(Config([executor], run_dir=folder, **options)) as kernel,
    ):
        recorder: Any = kernel._run.journal._recorder
        recorder._idle = False  # as in a run that has begun
        yield kernel, recorder
