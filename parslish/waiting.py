"""Owns waiting for several futures at once, without a thread that waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from parslish.future import task_id


def when_all(futures: Sequence[Future[Any]], then: Callable[[], None]) -> None:
    """Call `then` when all the futures are done, on the thread that ends the last one; now if there are none."""
    # One token fewer than futures: the future that finds none left is the last. list.pop is atomic.
    tokens = [None] * (len(futures) - 1)
    # Popped as it is called: a future that lives on keeps its callbacks, which must not keep what follows (I10).
    last = [then]

    def one_done(_: Future[Any]) -> None:
        try:
            tokens.pop()
        except IndexError:
            last.pop()()

    if not futures:
        then()
    for future in futures:
        future.add_done_callback(one_done)


def failures(futures: Sequence[Future[Any]]) -> list[tuple[BaseException, str]]:
    """The exceptions of those done futures that failed, each with the name of its task or future."""
    failed: list[tuple[BaseException, str]] = []
    for future in futures:
        exc = CancelledError() if future.cancelled() else future.exception()
        if exc is not None:
            tid = task_id(future)
            failed.append((exc, repr(future) if tid is None else f"task {tid}"))
    return failed
