"""Owns the far side: a worker process that runs jobs and answers; leaves what it is given to the driver.

Two threads. The main one runs jobs in the order they came. The listener takes messages off the socket even while
a job runs, so that the driver can always write; it gives unstarted jobs back when asked, sends answers that would
wait behind a long job, and ends the process when the driver is gone.

Messages, driver to worker (before them one byte, with the descriptor of the `Cell`):
    (RUN, new sys.path or None, [(function number, form, body) …], [job …])
        job = (number, function number, encode, form, body, buffers)
    (FORGET, [function number …])
    (RECALL,)   give back what has not started
    (STOP,)     end when idle
Worker to driver:
    (READY, peak memory so far)
    (ANSWERS, [answer …])
        answer = (job number, status, form, body, buffers, started, duration, cpu, peak memory)
    (RETURNED, [job number …])
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

from parslish.executors import functions, outcome, parcel
from parslish.executors.cell import Cell
from parslish.executors.clock import CpuClock
from parslish.executors.wire import Channel

RUN, FORGET, RECALL, STOP, READY, ANSWERS, RETURNED = range(7)

FLUSH_S = 0.002  #: answers wait this long for company while short jobs follow one another
LISTEN_S = 0.005  #: while jobs wait in line, the listener looks this often whether answers wait behind one
IDLE_S = 1.0  #: and else this often whether the driver still lives
NOTABLE_S = 0.001  #: a job shorter than this cannot have moved the peak of memory by much

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def serve(connection: Connection) -> None:
    """Run jobs until told to stop, or until the driver is gone. The target of the worker process."""
    # A handler, not SIG_IGN, which the commands that jobs start would inherit. Ctrl-C reaches the whole
    # process group; what it means is the driver's to decide.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sock = socket.socket(fileno=os.dup(connection.fileno()))
    connection.close()
    _, (fd,), _, _ = socket.recv_fds(sock, 1, 1)
    cell = Cell(fd)
    os.close(fd)
    Worker(Channel(sock), cell).run()


class Worker:
    """The jobs, functions and unsent answers of this process."""

    def __init__(self, channel: Channel, cell: Cell) -> None:
        self._channel = channel
        self._cell = cell
        self._pid = os.getpid()
        self._driver = os.getppid()
        # Jobs, lists of functions to forget, and at last None: the end. In the order they came.
        self._inbox: queue.SimpleQueue[tuple[Any, ...] | list[int] | None] = queue.SimpleQueue()
        self._functions: dict[int, _Function] = {}
        self._answers: deque[tuple[Any, ...]] = deque()
        self._sending = threading.Lock()  # guards writing to the channel
        self._flushed_s = 0.0
        self._clock = CpuClock(time.process_time)

    def run(self) -> None:
        """Run jobs until STOP."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._send((READY, usage.ru_maxrss * 1024))
        threading.Thread(target=self._listen, name="parslish-listener", daemon=True).start()
        while (entry := self._next()) is not None:
            if isinstance(entry, list):
                self._forget(entry)
            else:
                self._run_job(entry)
            del entry  # its arguments are not kept while this waits for the next

    def _next(self) -> tuple[Any, ...] | list[int] | None:
        try:
            entry = self._inbox.get_nowait()
        except queue.Empty:  # not by asking first: the listener may give back what was there
            self._cell.begin(0, 0.0)
            self._flush()
            return self._inbox.get()
        if time.perf_counter() - self._flushed_s > FLUSH_S:
            self._flush()
        return entry

    # ------------------------------------------------------------------------- main thread

    def _run_job(self, job: tuple[Any, ...]) -> None:
        """Run one job and keep its answer for the next flush."""
        number, function, encode, *packed_args = job

        def open_call() -> tuple[Any, Any, Any]:
            return self._functions[function].get(), *parcel.unpack(*packed_args)

        started, began = time.time(), time.perf_counter()
        self._cell.begin(number, began)
        ended = outcome.of_call(open_call)
        now = time.perf_counter()
        duration, cpu = now - began, self._clock.spent(began, now)
        if os.getpid() != self._pid:  # the job forked and this is the child: its answer is the parent's to give
            os._exit(0)
        if duration > NOTABLE_S:
            self._cell.grow(peak_memory())
        status, (form, body, buffers) = outcome.pack(ended, parcel.STORED_FROM if encode else parcel.BESIDE_FROM)
        cost = (started, duration, cpu, self._cell.peak)
        self._answers.append((number, status, form, parcel.beside(body), buffers, *cost))

    def _forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self._functions.pop(number, None)

    # ------------------------------------------------------------------------- both threads

    def _flush(self) -> None:
        """Send all answers there are, after what the jobs printed."""
        answers = []
        while self._answers:
            with contextlib.suppress(IndexError):  # the other thread was quicker
                answers.append(self._answers.popleft())
        self._flushed_s = time.perf_counter()
        if answers:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):  # user code: whatever a job has put there
                    stream.flush()
            self._send((ANSWERS, answers))

    def _send(self, envelope: tuple[Any, ...]) -> None:
        with self._sending:
            self._channel.send(envelope)
            self._channel.flush_all()

    # ------------------------------------------------------------------------- listener

    def _listen(self) -> None:
        _die_with_driver()
        self._cell.grow(peak_memory())
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while not self._channel.closed and os.getppid() == self._driver:
            queued = self._answers or not self._inbox.empty()
            if poll.poll(1e3 * (LISTEN_S if queued else IDLE_S)):
                for verb, *what in self._channel.receive():
                    self._take(verb, *what)
            elif self._answers:
                self._flush()
            else:
                self._cell.grow(peak_memory())  # for the driver to know, should this job not end well
        os._exit(1)  # the driver is gone: at once, whatever the main thread does

    def _take(self, verb: int, *what: Any) -> None:
        if verb == RUN:
            self._take_jobs(*what)
        elif verb == FORGET:
            self._inbox.put(*what)
        elif verb == RECALL:
            self._send((RETURNED, self._give_back()))
        else:
            assert verb == STOP
            self._inbox.put(None)

    def _take_jobs(self, path: list[str] | None, new: list[Any], jobs: list[tuple[Any, ...]]) -> None:
        if path is not None:
            sys.path[:] = path
        for number, form, body in new:
            self._functions[number] = _Function(form, body)
        for job in jobs:
            self._inbox.put(job)

    def _give_back(self) -> list[int]:
        """Take out of the inbox what has not begun; the numbers of those jobs."""
        numbers = []
        with contextlib.suppress(queue.Empty):
            while True:
                entry = self._inbox.get_nowait()
                if isinstance(entry, tuple):
                    numbers.append(entry[0])
                elif isinstance(entry, list):
                    self._forget(entry)  # what needed them is among the jobs given back, or done
        return numbers


class _Function:
    """A function as it came, opened when it is first called."""

    __slots__ = ("_body", "_form", "_func", "_opened")

    def __init__(self, form: int, body: Any) -> None:
        self._form, self._body = form, body
        self._opened = False

    def get(self) -> Any:
        if not self._opened:
            self._func = functions.load(self._form, self._body)
            self._opened, self._body = True, None
        return self._func


def _die_with_driver() -> None:
    """Have the kernel end this process when the driver dies: it can, even while a job in C holds the interpreter
    lock, when the listener cannot run. (It counts as dead with the thread that started us, the dispatcher's,
    which lives until its workers are gone.)"""
    import ctypes  # here: the first job need not wait for this

    with contextlib.suppress(OSError, AttributeError):  # not this system's: the listener notices, as it can
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def peak_memory() -> int:
    """Peak resident bytes of this process; 0 where /proc is missing.

    Not from getrusage, whose peak includes that of the driver at the time it started this process.
    """
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
