"""Owns the tasks of a kernel and their states: the one place where a state changes (I1). Decides nothing."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from parslish.latch import Latch, wait_for
from parslish.task import FINAL, TRANSITIONS, Calls, State, Task, Try

#: The keywords of every task that has ended: a dict of its own each would be as much for the collector as the task.
_NOTHING: dict[str, Any] = {}


class TaskTable:
    """The open tasks by number, how many stand in which state, and each task's place among its siblings.

    Args:
        forgets: whether a finished task leaves the table.
        limit: how many tasks may be open; None: any number.
    """

    def __init__(self, *, forgets: bool, limit: int | None) -> None:
        self.by_id: dict[int, Task] = {}
        self._forgets = forgets
        self._limit = limit
        # Guards what follows, and the state, place and try of each task. Nothing else runs under it.
        self._latch = Latch()
        self._counts = [0] * len(State)
        self._calls = Calls()
        self._room = threading.Condition()  # guards _open; used only where there is a limit
        self._open = 0

    def add(self, task: Task) -> None:
        """Enter a new task. With a limit, waits for room; not for a join app's children, whose parent would
        wait for them in turn."""
        if self._limit is not None:
            self._enter(waits=task.parent is None)
        latch = self._latch
        try:
            latch.acquire(False) or wait_for(latch)
            siblings = self._calls if task.parent is None else task.parent.calls
            assert siblings is not None
            task.position, task.occurrence = (
                siblings.next(task.app.name) if task.scope is None else siblings.next_in(task.scope, task.app.name)
            )
            self.by_id[task.id] = task
            self._counts[task.state] += 1
        finally:
            latch.release()

    def move(self, task: Task, state: State, attempt: Try | None = None) -> bool:
        """Change a task's state along the table of legal moves.

        False, and nothing is changed, when the task has ended already, or `attempt` no longer counts.
        """
        latch = self._latch
        try:
            latch.acquire(False) or wait_for(latch)
            before = task.state
            if before in FINAL or (attempt is not None and task.attempt is not attempt):
                return False
            assert state in TRANSITIONS[before], f"I1: {task} from {before.name} to {state.name}"
            task.state = state
            self._counts[before] -= 1
            self._counts[state] += 1
            if state in FINAL:
                self._end(task)
        finally:
            latch.release()
        if self._limit is not None and state in FINAL:
            self._leave()
        return True

    def claim(self, attempt: Try) -> bool:
        """Whether a try is still the one that counts; the one who gets True, and nobody else, ends it (I2)."""
        task = attempt.task
        assert task is not None
        latch = self._latch
        try:
            latch.acquire(False) or wait_for(latch)
            if task.attempt is not attempt:
                return False
            task.attempt = None
            return True
        finally:
            latch.release()

    def counts(self) -> dict[State, int]:
        """How many tasks stand in each state."""
        return dict(zip(State, self._counts[:], strict=True))

    def open_tasks(self) -> list[Task]:
        """The tasks that have not ended."""
        return [task for task in list(self.by_id.values()) if task.state not in FINAL]

    def futures(self) -> list[Future[Any]]:
        """The futures of the open tasks."""
        return [task.future for task in self.open_tasks()]

    def _end(self, task: Task) -> None:
        """Let go of what only a running task needs (I10)."""
        task.attempt = None
        task.args, task.kwargs = (), _NOTHING
        if self._forgets:
            del self.by_id[task.id]

    def _enter(self, waits: bool) -> None:
        with self._room:
            if waits:
                self._room.wait_for(lambda: self._limit is None or self._open < self._limit)
            self._open += 1

    def _leave(self) -> None:
        with self._room:
            self._open -= 1
            self._room.notify()
