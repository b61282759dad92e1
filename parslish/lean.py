"""Owns `LeanFuture`: a standard-library future whose lock and lists are made only when somebody needs them.

Most futures of a large run are resolved before anyone waits for them. A lock, a condition, a queue and two lists
for each would be most of the memory of a run and, through the garbage collector, a third of its time.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from parslish.latch import Latch, wait_for

logger = logging.getLogger("parslish")

_PENDING, _FINISHED = "PENDING", "FINISHED"
_ENDED = frozenset({"CANCELLED", "CANCELLED_AND_NOTIFIED", _FINISHED})

Callback = Callable[[Future[Any]], object]
_Parts = tuple[threading.Condition, list[Any], list[Callback]]

# Guards, of every lean future, the passage from no parts to parts, and its resolution while it has none: so whoever
# makes the parts finds it resolved, or is there when it is. Nobody is called under it.
_passing = Latch()


def _renew_lock() -> None:
    global _passing
    _passing = Latch()


os.register_at_fork(after_in_child=_renew_lock)  # another thread of the parent may have held it


class LeanFuture(Future[Any]):
    """Behaves as its base class in all that is public, for `concurrent.futures.wait` and `as_completed` too."""

    def __init__(self) -> None:
        # Instead of the base class's, which makes the parts. All attributes, in this order: an object that gets one
        # later may need a dict of its own, which costs memory, and in the making of which another thread may write
        # to the object in vain.
        self._state = _PENDING
        self._result: Any = None
        self._exception: BaseException | None = None
        self._parts: _Parts | None = None
        # As long as there are no parts: one callback is kept bare, which is what a link of a chain has.
        self._callbacks: Callback | list[Callback] | None = None

    def set_result(self, result: Any) -> None:
        if not self._resolve_bare(result, None):
            super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        if not self._resolve_bare(None, exception):
            super().set_exception(exception)

    def _resolve_bare(self, result: Any, exception: BaseException | None) -> bool:
        try:
            _passing.acquire(False) or wait_for(_passing)
            if self._parts is not None or self._state in _ENDED:
                return False
            self._result = result
            self._exception = exception
            self._state = _FINISHED
            callbacks, self._callbacks = self._callbacks, None
        finally:
            _passing.release()
        if callbacks is not None:
            for callback in _listed(callbacks):
                self._call(callback)
        return True

    def when_done(self, fn: Callback) -> None:
        """`add_done_callback`, for callbacks of our own: none of them raises, or holds what follows from it."""
        try:
            _passing.acquire(False) or wait_for(_passing)
            if self._parts is None and self._state not in _ENDED:
                if self._callbacks is None:
                    self._callbacks = fn
                elif isinstance(self._callbacks, list):
                    self._callbacks.append(fn)
                else:
                    self._callbacks = [self._callbacks, fn]
                return
        finally:
            _passing.release()
        if self._state in _ENDED:
            self._call(fn)
        else:
            super().add_done_callback(fn)

    def add_done_callback(self, fn: Callback) -> None:
        self.when_done(fn)

    def _call(self, callback: Callback) -> None:
        try:
            callback(self)
        except Exception:  # user code, and the standard library's way with it
            logger.exception("exception calling callback for %r", self)

    def result(self, timeout: float | None = None) -> Any:
        # The result is there before the state says so.
        if self._state == _FINISHED and self._exception is None:
            return self._result
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return self._exception if self._state == _FINISHED else super().exception(timeout)

    def done(self) -> bool:
        return self._state in _ENDED

    # The base class's parts, by the names that its methods and the module's functions know.

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        return (self._parts or self._make_parts())[0]

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        return (self._parts or self._make_parts())[1]

    @property
    def _done_callbacks(self) -> list[Callback]:
        return (self._parts or self._make_parts())[2]

    def _make_parts(self) -> _Parts:
        condition: threading.Condition = threading.Condition()
        try:
            _passing.acquire(False) or wait_for(_passing)
            if self._parts is None:
                self._parts = (condition, [], _listed(self._callbacks))
                self._callbacks = None
            return self._parts
        finally:
            _passing.release()


def _listed(callbacks: Callback | list[Callback] | None) -> list[Callback]:
    if callbacks is None:
        return []
    return callbacks if isinstance(callbacks, list) else [callbacks]
