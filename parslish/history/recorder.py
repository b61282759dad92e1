"""Owns the writing of a run's record: events are packed as they happen, and written in groups by a thread.

As bytes they are nothing to the garbage collector, for which thousands of waiting events would be work.
A crash loses at most the last `PERIOD_S` of events.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from parslish.errors import StoreError
from parslish.history import event
from parslish.history.event import Event
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import read_frames

logger = logging.getLogger("parslish")

PERIOD_S = 0.05
_AWAITED_S = 5.0  # a disk that takes longer is not waited for
GROUP = 512  # events a frame
FRAMES = 32  # and frames a write, which gives the interpreter up and has to get it back


class Recorder:
    """Writes the events of one run into a folder.

    Args:
        folder: where the segments go.
        keys: what signs them.
        run_number: the run they tell of.
        on_trouble, on_recovery: called when the disk refuses, and when it takes events again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keys: Keys,
        run_number: int,
        on_trouble: Callable[[StoreError], None] | None = None,
        on_recovery: Callable[[], None] | None = None,
    ) -> None:
        self._log = Log(folder, keys=keys, run_number=run_number, on_trouble=on_trouble, on_recovery=on_recovery)
        self._log.start()
        self._packed: deque[bytes] = deque()
        self._idle = True
        self._awaited: threading.Event | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_groups, name="parslish-recorder", daemon=True)
        self._thread.start()

    def add(self, happened: Event) -> None:
        """Note an event; it is written within `PERIOD_S`. Never fails what it tells of."""
        try:
            self._packed.append(event.packed(happened))
        except Exception:
            logger.exception("an event of kind %s cannot be recorded; please report this", happened[0])
        if self._idle:
            self._wake.set()

    def add_now(self, first: Event) -> None:
        """Note an event, and wait until it is written, or the disk has refused it: without what its run is a run of,
        one that is killed now could not be resumed. For one thread at a time."""
        self._awaited = awaited = threading.Event()
        self.add(first)
        if self._thread.is_alive():
            awaited.wait(_AWAITED_S)

    def close(self) -> StoreError | None:
        """Write what is left and close the segment. Returns why events are lost; None when all are stored."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        self._write_gathered()
        self._log.close()
        return self._log.last_trouble if self._log.dropped else None

    def _write_groups(self) -> None:
        while not self._closing.is_set():
            self._idle = True
            # An event that came before `_idle` was set has not set `_wake`: look before sleeping.
            if not self._packed and self._awaited is None:
                self._wake.wait()
            self._idle = False
            self._wake.clear()
            awaited, self._awaited = self._awaited, None
            if awaited is None:
                self._closing.wait(PERIOD_S)
            self._write_gathered()
            if awaited is not None:
                awaited.set()

    def _write_gathered(self) -> None:
        packed = self._packed
        while packed:
            for _ in range(FRAMES):
                group = [packed.popleft() for _ in range(min(GROUP, len(packed)))]
                if group:
                    self._log.post(Type.EVENT, event.joined(group))
            self._log.write()


def read_events(run: Path, keys: Keys) -> Iterator[dict[str, Any]]:
    """The events of a run's folder in the order they were written; unpickles nothing."""
    for frame in read_frames(Path(run, "events"), keys, types={Type.EVENT}):
        yield from event.unpack(frame.body)
