"""Owns waiting for several futures at once, without a thread that waits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from parslish.future import task_id
from parslish.lean import LeanFuture
from parslish.task import Task

Then = Callable[..., None]


def when_all(futures: Sequence[Future[Any]], then: Then, task: Task, *more: Any) -> None:
    """Call `then(task, futures, *more)` when all the futures are done, on the thread that ends the last one; now if
    there are none."""
    if not futures:
        then(task, futures, *more)
        return
    count_down = _CountDown(futures, then, task, more)
    for future in futures:
        if isinstance(future, LeanFuture):
            future.when_done(count_down)
        else:
            future.add_done_callback(count_down)


class _CountDown:
    """Called once by each of its futures. One object for all, which a chain of pending tasks has many of."""

    __slots__ = ("_futures", "_more", "_task", "_then", "_tokens")

    def __init__(self, futures: Sequence[Future[Any]], then: Then, task: Task, more: tuple[Any, ...]) -> None:
        # One token fewer than futures: the future that finds none left is the last. list.pop is atomic.
        self._tokens = [None] * (len(futures) - 1) if len(futures) > 1 else None
        self._then = then
        self._task: Task | None = task
        self._futures = futures
        self._more = more

    def __call__(self, _: Future[Any]) -> None:
        if self._tokens:
            with contextlib.suppress(IndexError):
                self._tokens.pop()
                return
        task, futures, more = self._task, self._futures, self._more
        assert task is not None
        # Let go of: a future that lives on keeps its callbacks, which must not keep what follows (I10).
        self._task, self._futures, self._more = None, (), ()
        self._then(task, futures, *more)


def failures(futures: Sequence[Future[Any]]) -> list[tuple[BaseException, str]]:
    """The exceptions of those done futures that failed, each with the name of its task or future."""
    failed: list[tuple[BaseException, str]] = []
    for future in futures:
        exc = CancelledError() if future.cancelled() else future.exception()
        if exc is not None:
            tid = task_id(future)
            failed.append((exc, repr(future) if tid is None else f"task {tid}"))
    return failed
