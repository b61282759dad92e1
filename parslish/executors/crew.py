"""Owns the worker processes of a pool: how many there are, when another is started, and waiting for news from
any of them; leaves their jobs to `dispatch`.

Only the dispatcher's thread uses a `Crew`; `Bell.ring` alone is for all threads.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Iterator
from enum import Enum, auto

from parslish.executors.remote import RemoteWorker

GRACE_S = 1.0  #: idle workers get this long to end by themselves at shutdown
STILLBORN = 3  #: workers that do not come to life, in a row, until the crew gives up


class News(Enum):
    """What `Crew.wait` may report of a worker."""

    SPOKE = auto()
    DIED = auto()


class Bell:
    """Wakes the thread that waits for the crew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the descriptor: its number may be another file's once closed
        self._fd: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        assert self._fd is not None
        return self._fd

    def ring(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.eventfd_write(self._fd, 1)

    def hush(self) -> None:
        os.eventfd_read(self.fileno())

    def close(self) -> None:
        with self._lock:
            fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def forsake(self) -> None:
        """In a forked child, where another thread may have held the lock for ever."""
        self._lock = threading.Lock()
        self.close()


class Crew:
    """The workers of one pool, `most` at a time."""

    def __init__(self, most: int, bell: Bell) -> None:
        self.most = most
        self.workers: list[RemoteWorker] = []
        self._bell = bell
        self._stillborn = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(bell, selectors.EVENT_READ)

    # ------------------------------------------------------------------------- who is there

    def roomiest(self) -> RemoteWorker | None:
        """The worker that should get the next jobs; None when none has room."""
        roomy = (worker for worker in self.workers if worker.has_room)
        return min(roomy, key=lambda worker: worker.load_s, default=None)

    def can_take_more(self) -> bool:
        """Whether a job that came now could go to a worker, or have one started for it."""
        return len(self.workers) < self.most or self.roomiest() is not None

    def any_ready(self) -> bool:
        return any(worker.ready for worker in self.workers)

    # ------------------------------------------------------------------------- births

    def grow(self, waiting: int) -> str | None:
        """Start workers for jobs that wait, as far as `most` allows.

        Returns the reason when that is hopeless: nobody is ready, and the last few did not come to life.
        """
        while waiting > self._starting() and len(self.workers) < self.most:
            if self._stillborn >= STILLBORN and self.any_ready():
                return None  # go on with those there are
            try:
                worker = RemoteWorker()
            except OSError as exc:
                if hopeless := self.stillbirth(f"the system refuses another process: {exc}"):
                    return hopeless
                continue
            self.workers.append(worker)
            self._selector.register(worker.channel, selectors.EVENT_READ, worker)
            self._selector.register(worker.death, selectors.EVENT_READ, worker)
        return None

    def born(self, worker: RemoteWorker, inherited: int) -> None:
        """A worker has said that it is ready."""
        worker.ready, worker.born_rss = True, inherited
        self._stillborn = 0

    def stillbirth(self, why: str) -> str | None:
        """A worker did not come to life; returns `why` when there is no use in trying on."""
        self._stillborn += 1
        if self._stillborn < STILLBORN or self.any_ready():
            return None
        self._stillborn = 0
        return why

    def _starting(self) -> int:
        return sum(1 for worker in self.workers if not worker.ready)

    # ------------------------------------------------------------------------- news

    def wait(self, timeout_s: float | None) -> Iterator[tuple[RemoteWorker, News]]:
        """Wait until a worker speaks or dies, the bell rings, or the time is over; write what was unsent."""
        for key, mask in self._selector.select(timeout_s):
            worker = key.data
            if worker is None:
                self._bell.hush()
            elif worker not in self.workers:
                continue  # buried a moment ago
            elif key.fd == worker.death:
                yield worker, News.DIED
            else:
                if mask & selectors.EVENT_WRITE:
                    worker.channel.flush()
                if mask & selectors.EVENT_READ:
                    yield worker, News.SPOKE
                self.watch(worker)

    def watch(self, worker: RemoteWorker) -> None:
        """After sending or reading: wait for room in its socket too, if something is unsent."""
        if worker not in self.workers or worker.channel not in self._selector.get_map():
            return
        if worker.channel.closed:
            self._selector.unregister(worker.channel)
            worker.silent_s = time.perf_counter()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.unsent else 0)
        if self._selector.get_key(worker.channel).events != events:
            self._selector.modify(worker.channel, events, worker)

    # ------------------------------------------------------------------------- deaths

    def bury(self, worker: RemoteWorker) -> tuple[int | None, int]:
        """Remove a dead worker; returns its exit code and peak memory in bytes."""
        self.workers.remove(worker)
        self._selector.unregister(worker.death)
        with contextlib.suppress(KeyError):
            self._selector.unregister(worker.channel)
        return worker.reap()

    def disband(self) -> None:
        """End all workers: the idle may end by themselves, within a second; then close."""
        for worker in self.workers:
            if worker.jobs or not worker.ready:
                worker.kill()
            else:
                worker.stop()
        deadline = time.monotonic() + GRACE_S
        for worker in list(self.workers):
            worker.await_death(deadline - time.monotonic())
            worker.kill()
            self.bury(worker)
        self._selector.close()
        self._bell.close()

    def forsake(self) -> None:
        """In a forked child: close our copies of the descriptors. No unregistering: the kernel's list of what
        is waited for is shared with the parent."""
        self._selector.close()
        self._bell.forsake()
        for worker in self.workers:
            worker.forsake()
