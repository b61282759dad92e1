"""Owns whether a run is degraded: what of it the disk refuses for now, and that the user is told once when that
begins and once when it is over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from parslish.errors import StoreError

RESULTS, RECORD = "results", "record"

logger = logging.getLogger("parslish")


class Trouble:
    """The trouble that a run has with its disk.

    Args:
        on_results: called when it is about results.
        note: given what is in trouble, and a sentence, for the run's record.
    """

    def __init__(self, on_results: Callable[[StoreError], None], note: Callable[[str, str], None]) -> None:
        self._on_results, self._note = on_results, note
        self._open: set[str] = set()  # what the disk refuses: RESULTS, RECORD
        self._lock = threading.Lock()  # guards _open, and the order of what the user is told

    def __bool__(self) -> bool:
        return bool(self._open)

    def begin(self, what: str, error: StoreError) -> None:
        """The disk refuses the run's `what`."""
        with self._lock:
            if not self._open:
                logger.warning("%s; tasks go on, and what is held back is written as soon as that is mended", error)
            self._open.add(what)
        self._note(what, str(error))
        if what == RESULTS:
            self._on_results(error)

    def end(self, what: str) -> None:
        """The disk takes it again."""
        with self._lock:
            self._open.discard(what)
            if not self._open:
                logger.warning("all that was held back has been written")
        self._note(what, "is being stored again")
