"""Owns whether a run is degraded: what of it the disk refuses for now, and that the user is told once when that
begins and once when it is over. What is lost in the end, others say."""

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
        note: given what is in trouble, and a sentence, for the run's record; by then this object knows of it.
    """

    def __init__(self, on_results: Callable[[StoreError], None], note: Callable[[str, str], None]) -> None:
        self._on_results, self._note = on_results, note
        self._open: set[str] = set()  # what the disk refuses: RESULTS, RECORD
        self._told = False  # the user knows
        self._ending = False
        self._lock = threading.Lock()  # guards all that, and the order of what is told

    def __bool__(self) -> bool:
        return bool(self._open)

    def run_ends(self) -> None:
        """No task goes on from now on, and nothing is tried again later."""
        with self._lock:
            self._ending = True

    def begin(self, what: str, error: StoreError) -> None:
        """The disk refuses the run's `what`."""
        with self._lock:
            if not self._told and not self._ending:
                logger.warning("%s; tasks go on, and what is held back is written as soon as that is mended", error)
                self._told = True
            self._open.add(what)
            self._note(what, str(error))
        if what == RESULTS:
            self._on_results(error)

    def end(self, what: str) -> None:
        """The disk takes it again."""
        with self._lock:
            self._open.discard(what)
            if self._told and not self._open:
                logger.warning("all that was held back has been written")
                self._told = False
            self._note(what, "is being stored again")
