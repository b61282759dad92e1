"""Owns the reading of CPU clocks: a system call, many times as long as a short task's share of it."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_S = 0.001


class CpuClock:
    """Tells what each task of one worker has cost in CPU time, exact to `EVERY_S`.

    It reads the clock when that was last done longer ago. So a short task is said to have used all of its time, and a
    longer one may be charged what its worker did in the moment before.

    Args:
        read: `time.thread_time` or `time.process_time`, of the worker that runs the tasks.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._read_at = time.perf_counter()
        self._cpu_s = read()

    def spent(self, began: float, ended: float) -> float:
        """CPU seconds between two values of `time.perf_counter`, the second of them now."""
        if ended - self._read_at < EVERY_S:
            return ended - began
        before, self._cpu_s, self._read_at = self._cpu_s, self._read(), ended
        return min(self._cpu_s - before, ended - began)
