"""Owns the tasks of a kernel and their states: the one place where a state changes (I1). Decides nothing."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future
from typing import Any

from parslish.task import FINAL, TRANSITIONS, Calls, State, Task, Try


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
        # Guards all of this object, and the state, place and try of each task. Nothing else runs under it.
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._counts: Counter[State] = Counter()
        self._open = 0
        self._calls = Calls()

    def add(self, task: Task) -> None:
        """Enter a new task. With a limit, waits for room; not for a join app's children, whose parent would
        wait for them in turn."""
        with self._lock:
            if self._limit is not None and task.parent is None:
                self._room.wait_for(self._has_room)
            siblings = self._calls if task.parent is None else task.parent.calls
            assert siblings is not None
            task.position, task.occurrence = siblings.next(task.app.name)
            self.by_id[task.id] = task
            self._counts[State.unsched] += 1
            self._open += 1

    def move(self, task: Task, state: State, attempt: Try | None = None) -> bool:
        """Change a task's state along the table of legal moves.

        False, and nothing is changed, when the task has ended already, or `attempt` no longer counts.
        """
        with self._lock:
            before = task.state
            if before in FINAL or (attempt is not None and task.attempt is not attempt):
                return False
            assert state in TRANSITIONS[before], f"I1: {task} from {before.name} to {state.name}"
            task.state = state
            self._counts[before] -= 1
            self._counts[state] += 1
            if state in FINAL:
                self._end(task)
            return True

    def claim(self, attempt: Try) -> bool:
        """Whether a try is still the one that counts; the one who gets True, and nobody else, ends it (I2)."""
        task = attempt.task
        assert task is not None
        with self._lock:
            if task.attempt is not attempt:
                return False
            task.attempt = None
            return True

    def counts(self) -> dict[State, int]:
        """How many tasks stand in each state."""
        with self._lock:
            return {state: self._counts[state] for state in State}

    def open_tasks(self) -> list[Task]:
        """The tasks that have not ended."""
        with self._lock:
            return [task for task in self.by_id.values() if task.state not in FINAL]

    def futures(self) -> list[Future[Any]]:
        """The futures of the open tasks."""
        return [task.future for task in self.open_tasks()]

    def _has_room(self) -> bool:
        return self._limit is None or self._open < self._limit

    def _end(self, task: Task) -> None:
        """Let go of what only a running task needs (I10)."""
        task.attempt = None
        task.args, task.kwargs = (), {}
        self._open -= 1
        if self._forgets:
            del self.by_id[task.id]
        if self._limit is not None:
            self._room.notify()
