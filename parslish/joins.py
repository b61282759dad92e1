"""Owns what is special about join apps: the tasks that a body submits are its children, and it returns futures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from parslish.task import Calls, Task


class Parents(threading.local):
    """Which join task's body is running, on each thread."""

    current: Task | None = None

    def run(self, task: Task, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a join app's body: the tasks it submits are children of its own."""
        task.calls = Calls()  # a second try counts its children anew: they are the same places
        self.current = task
        try:
            return func(*args, **kwargs)
        finally:
            self.current = None


def futures_of(task: Task, returned: Any) -> Sequence[Future[Any]]:
    """The futures that a join app's body has returned.

    Raises:
        TypeError: it returned something else.
    """
    futures = [returned] if isinstance(returned, Future) else returned
    if not isinstance(futures, (list, tuple)) or not all(isinstance(f, Future) for f in futures):
        kind = type(returned).__name__
        raise TypeError(f"join_app {task.app.name} returned {kind}; a future or a list of futures is needed")
    return futures
