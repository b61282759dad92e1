"""Owns waiting for several futures at once, without a thread that waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from parslish.future import task_id


def when_all(futures: Sequence[Future[Any]], then: Callable[[], None]) -> None:
    """Call `then` when all the futures are done, on the thread that ends the last one; now if there are none."""
    if not futures:
        then()
        return
    count_down = _CountDown(len(futures), then)
    for future in futures:
        future.add_done_callback(count_down)


class _CountDown:
    """Called once by each of so many futures. One object for all, which a chain of pending tasks has many of."""

    __slots__ = ("_then", "_tokens")

    def __init__(self, count: int, then: Callable[[], None]) -> None:
        # One token fewer than futures: the future that finds none left is the last. list.pop is atomic.
        self._tokens = [None] * (count - 1)
        self._then: Callable[[], None] | None = then

    def __call__(self, _: Future[Any]) -> None:
        try:
            self._tokens.pop()
        except IndexError:
            # Let go of: a future that lives on keeps its callbacks, which must not keep what follows (I10).
            then, self._then = self._then, None
            assert then is not None
            then()


def failures(futures: Sequence[Future[Any]]) -> list[tuple[BaseException, str]]:
    """The exceptions of those done futures that failed, each with the name of its task or future."""
    failed: list[tuple[BaseException, str]] = []
    for future in futures:
        exc = CancelledError() if future.cancelled() else future.exception()
        if exc is not None:
            tid = task_id(future)
            failed.append((exc, repr(future) if tid is None else f"task {tid}"))
    return failed
