"""Owns the driver's side of one worker process: its start, what it holds, its end; leaves what to send it, and
what its end means for its jobs, to `dispatch`.

Only the dispatcher's thread touches a `RemoteWorker`.
"""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import os
import select
import signal
import socket
import sys
from multiprocessing.connection import Connection
from typing import Any

from parslish.executors import batch
from parslish.executors import worker as far
from parslish.executors.base import HOST
from parslish.executors.cell import Cell, create
from parslish.executors.job import Job
from parslish.executors.parcel import Parcel, beside
from parslish.executors.wire import Channel


class RemoteWorker:
    """One worker process."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: the system gives no more processes, descriptors or memory.
        """
        self._path = list(sys.path)  # what it has for `sys.path`
        # All that may fail comes before the process, which comes last.
        self.cell, ours, theirs = _connection()
        try:
            self._process = _start(theirs)
        except BaseException:
            ours.close()
            raise
        self.pid: int = self._process.pid
        self.name = f"{HOST}:{self.pid}"
        self.channel = Channel(ours)
        self.death = _death_watch(self.pid, self._process.sentinel)  #: readable once it has died
        self.ready = False
        self.silent_s = 0.0  #: when its channel ended (`time.perf_counter`); its death should follow
        self.condemned = False  #: killed on purpose: no job of its is to blame
        self.born_rss = 0  #: peak memory it inherited from the driver in the kernel's accounts, bytes
        self.jobs: dict[int, Job] = {}  #: sent and not yet answered
        self.load_s = 0.0  #: what they are expected to cost together
        self.functions: set[int] = set()  #: numbers of the functions it has
        self._recalled = 0  # the job during which its others were called back, until that is answered

    # ------------------------------------------------------------------------- what is sent

    def send_jobs(self, packed: list[tuple[Job, Parcel]]) -> int:
        """Send jobs, with the functions it does not know yet; return how many functions that were."""
        new, jobs = [], []
        for job, (form, body, buffers) in packed:
            carried = job.carried
            if carried.number not in self.functions:
                self.functions.add(carried.number)
                new.append((carried.number, carried.form, carried.body))
            self.jobs[job.number] = job
            self.load_s += job.cost_s
            jobs.append((job.number, carried.number, job.attempt.encode, form, beside(body), buffers))
        self.channel.send((far.RUN, self._new_path() if new else None, new, jobs))
        return len(new)

    def forget(self, numbers: list[int]) -> None:
        """Let it drop functions that the driver no longer has."""
        gone = [number for number in numbers if number in self.functions]
        if gone:
            self.functions.difference_update(gone)
            self.channel.send((far.FORGET, gone))

    @property
    def has_room(self) -> bool:
        """Whether it should get jobs: not while it runs the job on whose account it had to give some back."""
        if not self.ready or not batch.has_room(self.load_s, len(self.jobs)):
            return False
        return not self._recalled

    def recall(self) -> None:
        """Ask for the jobs back that it has not started; not twice during the same job."""
        running = self.cell.job
        if running in self.jobs and running != self._recalled:
            self._recalled = running
            self.channel.send((far.RECALL,))

    def stop(self) -> None:
        """Let it end by itself; for an idle one."""
        self.channel.send((far.STOP,))

    def release(self, number: int) -> Job:
        """Take a job off its account: it was answered, or given back."""
        job = self.jobs.pop(number)
        # By the answer, not by the cell: that changes a moment later, which wakes nobody.
        if number == self._recalled:
            self._recalled = 0
        self.load_s = self.load_s - job.cost_s if self.jobs else 0.0
        return job

    def _new_path(self) -> list[str] | None:
        """Our `sys.path`, if it has changed since this worker was told: the next function may need it."""
        if self._path == sys.path:
            return None
        self._path = list(sys.path)
        return self._path

    # ------------------------------------------------------------------------- its end

    def kill(self) -> None:
        """End it at once, stopped or not. Its death is noticed like any other."""
        with contextlib.suppress(ProcessLookupError):
            if self.death != self._process.sentinel:
                signal.pidfd_send_signal(self.death, signal.SIGKILL)  # surely this process and no later one
            else:
                os.kill(self.pid, signal.SIGKILL)

    def await_death(self, timeout_s: float) -> None:
        poll = select.poll()  # select() would refuse descriptors above 1023
        poll.register(self.death, select.POLLIN)
        poll.poll(max(timeout_s, 0.0) * 1e3)

    def reap(self) -> tuple[int | None, int]:
        """Take leave of a dead worker: its exit code (negative: a signal) and its peak memory in bytes."""
        self.kill()  # should it live, its sentinel closed by a job: else this would wait for it
        self.forsake()
        try:
            _, status, usage = os.wait4(self.pid, 0)
        except ChildProcessError:  # somebody else has waited for all children
            return None, self.cell.peak
        peak = usage.ru_maxrss * 1024
        return os.waitstatus_to_exitcode(status), peak if peak > self.born_rss else self.cell.peak

    def forsake(self) -> None:
        """Close our descriptors, and no more: also what a forked child does, whose worker this is not."""
        self.channel.close()
        if self.death != self._process.sentinel:
            os.close(self.death)


def _connection() -> tuple[Cell, socket.socket, socket.socket]:
    """A cell and two ends of a socket, in which the cell's descriptor already waits for the worker."""
    fd = create()
    try:
        cell = Cell(fd)
        ours, theirs = socket.socketpair()
        socket.send_fds(ours, [b"\0"], [fd])
    finally:
        os.close(fd)
    return cell, ours, theirs


def _start(theirs: socket.socket) -> Any:
    """Start a process with its end of the socket; close our copy of that end."""
    # loky starts a process without fork (threads, locks) and without the script's __main__ (no guard needed),
    # with our sys.path and working directory. Its Popen alone, without Process.start(): that would enter the
    # worker among multiprocessing's children, which are joined at exit, by a forked child too.
    from loky.backend import resource_tracker
    from loky.backend.popen_loky_posix import Popen
    from loky.backend.process import LokyProcess

    # It inherits that Ctrl-C is blocked, until `serve` can say what that means there. The trackers come first,
    # because starting them ends with unblocking.
    resource_tracker.ensure_running()
    multiprocessing.resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with contextlib.closing(Connection(theirs.detach())) as connection:
            return Popen(LokyProcess(target=far.serve, args=(connection,), name="parslish-worker"))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _death_watch(pid: int, sentinel: int) -> int:
    """A descriptor that becomes readable when the process has died.

    The sentinel is a pipe, which stays open as long as any process that the worker forked holds it; a pid's
    own descriptor knows better, on kernels that have it.
    """
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return sentinel
