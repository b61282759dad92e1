"""Owns when the log syncs: the three modes, and the thread that waits for the moment.

What a sync does, and what follows when it fails, is the log's business.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

RETAINED_BYTES: Final = 64 << 20  # what a log holds in memory to write again should an fsync fail


@dataclass(frozen=True, slots=True)
class Mode:
    """Sync `delay_s` after the first frame that is not synced, or at so many frames or bytes; None: never."""

    delay_s: float | None
    records: int
    size_bytes: int

    def delay(self, records: int, size_bytes: int, *, first: bool) -> float | None:
        """Within how many seconds to sync, now that so much has been appended; None: as was said before, to the
        `first` of them."""
        if records >= self.records or size_bytes >= self.size_bytes:
            return 0.0
        return self.delay_s if first else None


MODES: Final = {
    # Nothing waits for a timer: while one fsync runs, the next group gathers.
    "always": Mode(0.0, 1, 0),
    "batch": Mode(0.2, 64, 8 << 20),
    # Syncing early breaks no promise, and bounds what must be held in memory.
    "manual": Mode(None, sys.maxsize, RETAINED_BYTES),
}


class Syncer:
    """Calls `sync` on a thread of its own, at the moments asked for; waits without polling in between.

    Args:
        sync: called with no lock held; must not raise. It asks for its next call by `request`.
    """

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        # Guards what follows. A bare lock is taken and given back in one step each, as Ctrl-C sees it.
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._due: float | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def request(self, delay_s: float) -> None:
        """See to a sync within so many seconds."""
        due = time.monotonic() + delay_s if delay_s else 0.0
        known = self._due
        # Without the lock: the thread forgets a due time before it looks at what there is to sync, so
        # what the caller appended before this call is seen.
        if known is not None and known <= due:
            return
        with self._lock:
            if self._closing or (self._due is not None and self._due <= due):
                return
            self._due = due
            self._start()
            self._wake.notify()

    def start(self) -> None:
        """Start the thread, which else starts when it is first needed: an ending interpreter starts none."""
        with self._lock:
            self._start()

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            thread = threading.Thread(target=self._run, name="parslish-sync", daemon=True)
            # RuntimeError: the interpreter is ending. Then the log syncs as it is closed.
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """End the thread; a sync that is running is waited for, unless this is called from within it."""
        with self._lock:
            self._closing = True
            self._wake.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while self._wait():
            self._sync()

    def _wait(self) -> bool:
        """Wait for the moment; False when closing."""
        with self._lock:
            while not self._closing:
                left_s = None if self._due is None else self._due - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._due = None
                    return True
                self._wake.wait(left_s)
            return False
