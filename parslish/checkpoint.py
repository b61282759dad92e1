"""Owns when results reach the store: the checkpoint modes. What a record is belongs to `result`, how it gets to
the disk to `store`.

================  ===============================  ==========================================================
mode              a result is appended             lost when the driver is killed with SIGKILL
================  ===============================  ==========================================================
`task_exit`       before its future resolves       nothing that any caller saw
`periodic`        every period, and at the end     one period
`dfk_exit`        at the end of the run            this run
`manual`          in `checkpoint()`                what came since the last call
None              in `checkpoint()`, as far as     what came since the last call
                  memory still holds it
================  ===============================  ==========================================================

The end of the run is `cleanup()`, the interpreter's exit, an exception, SIGTERM or SIGINT.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from parslish import codec
from parslish.codec import Sections
from parslish.errors import SerializationError, StoreError
from parslish.memo import Facts, Memo
from parslish.result import EXCEPTION, VALUE, pack
from parslish.secret import Keys
from parslish.store.blobs import Blobs
from parslish.store.frame import Type
from parslish.store.log import GROUP, Log
from parslish.store.pending import Call
from parslish.store.values import Encoded

logger = logging.getLogger("parslish")


@dataclass(frozen=True)
class Mode:
    """A row of the table above: append at once, hold until the end, or leave in memory; and on a timer."""

    at_once: bool = False
    at_end: bool = False
    timed: bool = False
    encodes: bool = True


MODES: dict[str | None, Mode] = {
    "task_exit": Mode(at_once=True, at_end=True),
    "periodic": Mode(at_end=True, timed=True),
    "dfk_exit": Mode(at_end=True),
    "manual": Mode(),
    None: Mode(encodes=False),
}

_RESULT = Type.RESULT  # looked up once, not for each result
#: Where a mode lets results be written early, this many bytes of them are held at most.
HELD_BYTES = 64 * 2**20


class Checkpointer:
    """Keeps the results of one run in its checkpoint folder, as its mode says.

    Args:
        folder: the run's checkpoint folder; made at once, empty as it may stay.
        mode: a key of `MODES`.
        sync: "always" or "batch": when `task_exit` calls fsync; the other modes do after each checkpoint.
        period_s: seconds between two checkpoints in `periodic`.
        memo: where mode None finds its results.
        on_trouble: called when the store fails, once per episode; `on_recovery` when it works again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keys: Keys,
        run_number: int,
        mode: str | None,
        sync: str,
        period_s: float,
        memo: Memo,
        on_trouble: Callable[[StoreError], None],
        on_recovery: Callable[[], None],
    ) -> None:
        self.folder = folder
        self.mode = MODES[mode]
        self._memo = memo
        self._sync_always = self.mode.at_once and sync == "always"
        self._log = Log(
            folder,
            keys=keys,
            run_number=run_number,
            sync=sync if self.mode.at_once else "manual",
            on_trouble=on_trouble,
            on_recovery=on_recovery,
        )
        #: Writes what is kept and to be written at once, and has `then` called for it.
        self.write = self._log.write
        self._log.start()
        self._blobs = Blobs(folder)
        self._lock = threading.Lock()  # guards _held and _held_bytes
        # Held while results are on their way from _held to the log, so that close() finds them in either.
        self._appending = threading.Lock()
        self._held: deque[tuple[bytes, bytes]] = deque()
        self._held_bytes = 0
        self._closing = threading.Event()
        self._timer: threading.Thread | None = None
        if self.mode.timed:
            self._timer = threading.Thread(
                target=self._checkpoint_every, args=(period_s,), name="parslish-checkpoint", daemon=True
            )
            self._timer.start()

    @property
    def trouble(self) -> StoreError | None:
        """What keeps results from being written, or None."""
        return self._log.trouble

    @property
    def written(self) -> int:
        """How many results this run has appended, without those that the disk did not take to the end."""
        return max(0, self._written - self._log.dropped)

    _written = 0

    def keep(self, key: bytes, known: Facts, encoded: Encoded | None, then: Call) -> bool:
        """Keep a result as the mode says; its future may resolve (I3) when this returns False, or else when `then`, a
        function and its arguments, is called: in the next `write`, on the thread of whoever does it.

        Raises:
            SerializationError: the value cannot be stored.
        """
        body = self._body(known, encoded) if self.mode.encodes else None
        if body is None:
            return False
        if not self.mode.at_once:
            self._hold(key, body)
            return False
        self._written += 1
        if self._sync_always:
            self._log.post(_RESULT, body, key, None, then)
        else:
            self._log.post(_RESULT, body, key, then)
        return True

    def put(self, key: bytes, known: Facts, encoded: Encoded | None = None) -> None:
        """Store one result now, whatever the mode says; on return it is on the disk, unless that refuses.

        Raises:
            SerializationError: the value cannot be stored.
        """
        body = self._body(known, encoded)
        if body is not None:
            self._append(key, body)
        self._log.sync()

    def add_base(self, folder: Path) -> None:
        """Results of this run stand upon those in another checkpoint folder: who loads this one needs both."""
        self._log.add_base(folder)

    def checkpoint(self) -> Path:
        """Write and fsync all results that are not stored yet; returns the folder."""
        if self.mode.encodes:
            self._append_held()
        else:
            self._append_from_memory()
        self._log.sync()
        return self.folder

    def settle(self) -> None:
        """Have `then` called for all results that were kept so far."""
        if self._sync_always:
            self._log.sync()

    def close(self) -> int:
        """Do the last checkpoint where the mode has one, and close the segment. Returns how many results are lost,
        the disk not having taken them to the end."""
        self._closing.set()
        if self._timer is not None:
            self._timer.join()
        if self.mode.at_end:
            self._append_held()
        with self._appending:
            self._log.close()
        if self._log.dropped:
            logger.warning(
                "%s could not be stored (%s): the next run computes %s again",
                "1 result" if self._log.dropped == 1 else f"{self._log.dropped} results",
                self._log.last_trouble,
                "it" if self._log.dropped == 1 else "them",
            )
        return self._log.dropped

    def _hold(self, key: bytes, body: bytes) -> None:
        with self._lock:
            self._held.append((key, body))
            self._held_bytes += len(body)
            overfull = self.mode.at_end and self._held_bytes > HELD_BYTES
        if overfull:
            self._append_held()

    def _append_held(self) -> None:
        with self._appending:
            held: deque[tuple[bytes, bytes]] = deque()
            try:
                with self._lock:
                    held, self._held, self._held_bytes = self._held, held, 0
                while held:
                    some = list(islice(held, GROUP))
                    for key, body in some:
                        self._log.post(_RESULT, body, key)
                    self._log.write()
                    self._written += len(some)
                    for _ in some:
                        held.popleft()
            finally:
                if held:  # Ctrl-C came in between: some may be appended twice, and none is forgotten
                    with self._lock:
                        self._held.extendleft(reversed(held))
                        self._held_bytes += sum([len(body) for _, body in held])

    def _append_from_memory(self) -> None:
        if self._memo.dropped_unstored:
            logger.warning(
                "%d results are no longer in memory and not in this checkpoint: raise memo_entries, or set a "
                "checkpoint_mode",
                self._memo.dropped_unstored,
            )
        for key, known in self._memo.unstored():
            try:
                body = self._body(known, None)
                if body is not None:
                    self._append(key, body)
                    self._memo.mark_stored(key, known)
            except SerializationError as exc:
                logger.warning("a result of %s is not checkpointed: %s", known.app, exc)

    def _body(self, known: Facts, encoded: Encoded | None) -> bytes | None:
        """The record of a result; a large value is in a blob by then, whatever the mode says. None when it is lost: the
        disk refuses it, and it is too large to be held."""
        value, exception, task_id, completed, duration, outputs, _, _, app = known
        kind, value = (VALUE, value) if exception is None else (EXCEPTION, exception)
        stored = codec.encode_apart(value) if encoded is None else codec.apart(encoded)
        if isinstance(stored, list):
            sections = stored
            try:
                stored = self._put(sections)
            except OSError as exc:
                # The record itself takes the value, meets the same trouble, and the log knows what to do.
                if self._log.refuse(sum(len(piece) for section in sections for piece in section), exc):
                    self._written += 1
                    return None
                stored = encoded or codec.encode(value)
        return pack(kind, app, task_id, completed, duration, outputs, stored)

    def _put(self, sections: Sections) -> bytes:
        """Store a large value as a blob, and return what refers to it. Raises OSError; it is not tried on a disk that
        refused other results."""
        trouble = self._log.trouble
        if trouble is not None:
            raise OSError(errno.EIO, str(trouble))
        return self._blobs.put(sections).pack()

    def _append(self, key: bytes, body: bytes) -> None:
        self._written += 1
        self._log.append(_RESULT, body, key)

    def _checkpoint_every(self, period_s: float) -> None:
        while not self._closing.wait(period_s):
            self.checkpoint()
