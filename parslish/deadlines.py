"""Owns the walltime clock: calls back when a running try has had its time. What then happens is the kernel's."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from parslish.task import Try


class Deadlines:
    """One thread, started with the first deadline, that sleeps until the next one."""

    def __init__(self, on_expiry: Callable[[Try], None]) -> None:
        self._on_expiry = on_expiry
        self._condition = threading.Condition()  # guards all below
        self._heap: list[tuple[float, int, Try]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, attempt: Try, seconds: float) -> None:
        """Call back for `attempt` in `seconds`, whether or not it has ended by then."""
        with self._condition:
            heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._numbers), attempt))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._watch, name="parslish-deadlines", daemon=True)
                self._thread.start()
            self._condition.notify()

    def close(self) -> None:
        """Forget all deadlines and end the thread."""
        with self._condition:
            self._closed = True
            self._heap.clear()
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        while (attempt := self._next()) is not None:
            self._on_expiry(attempt)

    def _next(self) -> Try | None:
        """Wait for the next deadline to pass; None when closed."""
        with self._condition:
            while not self._closed:
                if not self._heap:
                    self._condition.wait()
                elif (left := self._heap[0][0] - time.monotonic()) > 0:
                    self._condition.wait(left)
                else:
                    return heapq.heappop(self._heap)[2]
            return None
