"""Owns waiting for other kernels: a task that is exclusive is launched when its kernel has the lease of its key, and
not at all when the result of another kernel is there first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from parslish.leases import Leases
    from parslish.store.reader import Store

FIRST_PAUSE_S: Final = 0.05  #: from one look at what others do to the next
LAST_PAUSE_S: Final = 1.0
CLOSER_S: Final = 2.0  #: and between two looks at whether leases still count


class Turns:
    """Whose turn it is at a key, among the kernels on a run folder. Who has to wait is called: no thread of its own,
    but one for all.

    Args:
        held: this kernel's.
        follow: gives the store of what other kernels have stored, and may raise.
    """

    def __init__(self, held: Leases, follow: Callable[[], Store]) -> None:
        self._leases, self._follow = held, follow
        self._condition = threading.Condition()  # guards all below
        self._waiting: dict[bytes, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._expiry_at = 0.0  # when to look for expired leases next; of the thread alone

    def take(self, key: bytes) -> bool:
        """Whether it is our turn. On return the store has all that was stored before that was decided."""
        store = self._follow()
        is_ours = self._leases.take(key)
        store.refresh()
        return is_ours

    def wait(self, key: bytes, step: Callable[[], None]) -> bool:
        """Have `step` called when the key is stored, or it may be our turn; False when nobody would call it."""
        with self._condition:
            if self._closed or not self._has_thread():
                return False
            self._waiting[key] = step
            self._condition.notify()
            return True

    def close(self) -> None:
        """End the thread; who still waits is called."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._watch, name="parslish-turns", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending
                return False
            self._thread = thread
        return True

    def _watch(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while keys := self._next(pause_s):
                ready = self._ready(keys)
                self._call(ready)
                pause_s = FIRST_PAUSE_S if ready else min(1.5 * pause_s, LAST_PAUSE_S)
        finally:  # whatever ends this thread: nobody is to wait for ever (I2)
            with self._condition:
                self._closed = True
            self._call(list(self._waiting))

    def _next(self, pause_s: float) -> list[bytes]:
        """The keys that are waited for, after a pause; none when closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed)
            self._condition.wait_for(lambda: self._closed, pause_s)
            return [] if self._closed else list(self._waiting)

    def _ready(self, keys: list[bytes]) -> set[bytes]:
        """The keys that are stored by now, or that nobody holds."""
        store = self._follow()
        stored = {key for key in keys if key in store} if store.refresh() else set()
        now = time.monotonic()
        looks_closer = now >= self._expiry_at
        if looks_closer:
            self._expiry_at = now + CLOSER_S
        return stored | self._leases.free(keys, expired=looks_closer)

    def _call(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            step = self._waiting.pop(key, None)
            if step is not None:
                step()
