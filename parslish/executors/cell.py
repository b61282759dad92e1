"""Owns the few bytes that a worker and the driver share: which job it runs, since when, and its peak memory.

The driver reads them when the worker has died, to know which of several jobs it had was the one that killed it,
and now and then while it lives, to see whether short jobs wait behind a long one. A message could say neither:
a process that dies sends none, and one a job would cost more than the job.
"""

from __future__ import annotations

import mmap
import os

SIZE = 24


class Cell:
    """Three words of shared memory. The worker writes, the driver reads; each word is written at once."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SIZE)
        view = memoryview(self._memory)
        self._job = view[:8].cast("Q")
        self._since = view[8:16].cast("d")
        self._peak = view[16:].cast("Q")

    def begin(self, job: int, now_s: float) -> None:
        """The worker begins a job (0: none). `now_s` is `time.perf_counter()`, the same clock in all processes."""
        self._since[0] = now_s
        self._job[0] = job

    def grow(self, peak: int) -> None:
        """The worker's peak memory, in bytes."""
        self._peak[0] = peak

    @property
    def job(self) -> int:
        return self._job[0]

    @property
    def since_s(self) -> float:
        return self._since[0]

    @property
    def peak(self) -> int:
        return self._peak[0]


def create() -> int:
    """A descriptor of fresh shared memory for a cell, all zero."""
    fd = os.memfd_create("parslish-cell", os.MFD_CLOEXEC)
    os.ftruncate(fd, SIZE)
    return fd
