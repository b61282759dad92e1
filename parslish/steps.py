"""Owns the order of what follows from finished tasks: one step after the other, never one inside another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Step = Callable[[], None]


class _Queue(deque[Step]):
    __slots__ = ("runs",)

    def __init__(self) -> None:
        super().__init__()
        self.runs = False  #: whether a step does


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.queue = _Queue()


class Steps:
    """A queue of steps for each thread.

    The first step a thread asks for runs at once; those that come while it runs wait in the queue. So a chain
    of a hundred thousand tasks that are all known, or all run inline, needs no stack (I10). A step must not raise;
    where Ctrl-C does, between two steps, those that are left are taken before it goes on to the script (I2).
    """

    def __init__(self) -> None:
        self._local = _OfThread()

    def soon(self, step: Step) -> None:
        """Run `step` on this thread, now or after the step that is running."""
        queue = self._local.queue
        queue.append(step)
        if queue.runs:
            return
        try:
            queue.runs = True
            while queue:
                queue.popleft()()
        finally:
            queue.runs = False
            if queue:
                self.soon(queue.pop())  # the last, and so all before it
