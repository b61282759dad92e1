"""Owns knowing which segments a folder holds without listing it each time. What is in them is left to `loading`."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parslish.store import folder
from parslish.store.disk import Disk

SETTLED_S: Final = 3.0  # a file system that counts in whole seconds gives two changes of one second the same time


class Listing:
    """The segments of a folder, by name.

    A folder that has the time of change that it had is not listed again, unless that time was new so shortly before
    that a further change may have got the same. Only our own clock's steps count in this, not what any clock says.
    """

    def __init__(self, disk: Disk, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._disk, self._monotonic = disk, monotonic
        self._changed_ns: int | None = None  # the folder's time of change
        self._since = 0.0  # when that was first seen
        self._listed = -math.inf

    def is_old(self, found: os.stat_result) -> bool:
        """Whether a folder, as `stat` found it, may hold others than when it was last listed."""
        now = self._monotonic()
        if found.st_mtime_ns != self._changed_ns:
            self._changed_ns, self._since = found.st_mtime_ns, now
        return self._listed < self._since + SETTLED_S

    def names(self) -> list[str]:
        """The segments. Raises OSError."""
        listed = self._monotonic()
        names = [path.name for path in folder.segments(self._disk, self.path)]
        self._listed = listed
        return names

    def forget(self) -> None:
        """List again the next time: what was listed was not there."""
        self._listed = -math.inf
