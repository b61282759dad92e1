"""Owns what becomes of the groups that a log writes: durable in the end, or held while the disk refuses.

    take → writer → unsynced ─ flush: fsync → durable
       ↘ backlog ─ flush: write again ↗

Where the disk refuses, the spool is in trouble: frames gather in the writer's backlog, nobody waits for them, and the
disk is tried again from time to time. When to flush, on which thread, and making the calls that follow, is the log's
business.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from parslish.errors import StoreError, StoreFull
from parslish.store.frame import Type
from parslish.store.pending import UNNUMBERED, Call, Entry
from parslish.store.segment import SegmentWriter
from parslish.store.sync import Mode
from parslish.store.writer import Writer

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Spool:
    """Takes entries for a writer, for any number of threads, and sees to it that they become durable.

    Args:
        writer: with nothing written yet.
        soon: given what is to be called once no lock is held: `when_synced` of entries, and the two below.
        path: the store's folder, for messages.
        mode: when to sync.
        on_trouble: called when the disk refuses, once until it works again.
        on_recovery: called then.
        retry_s: how often, at most, a disk that refused is tried again.
        backlog_bytes: how much is held in memory meanwhile; beyond it the newest entries are dropped.
    """

    def __init__(
        self,
        writer: Writer,
        soon: Callable[[Call], None],
        *,
        path: Path,
        mode: Mode,
        on_trouble: Callable[[StoreError], None] | None,
        on_recovery: Callable[[], None] | None,
        retry_s: float,
        backlog_bytes: int,
    ) -> None:
        self.trouble: StoreError | None = None
        self.last_trouble: StoreError | None = None
        self.appended = 0
        self.dropped = 0
        self._writer, self._soon, self._path, self._mode = writer, soon, path, mode
        self._on_trouble, self._on_recovery = on_trouble, on_recovery
        self._retry_s, self._backlog_limit_bytes = retry_s, backlog_bytes
        self._retry_at = 0.0
        self._has_proved = True  # whether something was durable since the disk last refused
        self._finished = False
        # One flush at a time, for as long as it takes; taken before _lock, never inside it.
        self._flushing = threading.Lock()
        # Guards the writer and the trouble. It is held while frames are written; never while one waits for an
        # fsync.
        self._lock = threading.Lock()

    def take(self, entries: Sequence[Entry]) -> float | None:
        """Write entries, or queue them; returns within how many seconds a flush is wanted."""
        if not entries:  # another thread was quicker
            return None
        with self._lock:
            writer = self._writer
            self.appended += len(entries)
            if self._finished:
                self._drop(entries)
                self._release(entries)
                return None
            # Numbered already: their writing was cut short, by Ctrl-C perhaps, and only a file may have their bodies.
            if self.trouble is None and not writer.backlog and entries[0].seq == UNNUMBERED:
                first = not writer.unsynced
                try:
                    writer.write(entries)
                except OSError as exc:
                    self._queue(entries)
                    self._fall(exc)
                    if len(entries) > 1:
                        self._write_backlog()  # one of them may be too large, and the others not
                    delay_s = self._sync_delay()
                    return self._retry_s if delay_s is None else delay_s
                return self._mode.delay(writer.unsynced.count, writer.unsynced.size_bytes, first=first)
            return self._hold(entries)

    def refuse(self, why: OSError) -> float | None:
        """Take no entry for a result that the disk refused, and that is too large to be held: it is dropped. Returns
        within how many seconds a flush is wanted."""
        with self._lock:
            self.appended += 1
            self.dropped += 1
            if self.trouble is not None:
                return None
            self._fall(why)
            return self._retry_s

    @property
    def room_bytes(self) -> int:
        """How much can be held while the disk refuses."""
        return self._backlog_limit_bytes - self._writer.backlog.size_bytes

    def flush(self, now: bool) -> float | None:
        """Write the backlog, when it is time or `now`, and sync; once more when the first fsync fails. Returns within
        how many seconds the next flush is wanted."""
        with self._flushing:
            # What a retry writes in vain is removed again: a disk on which every fsync fails would fill with
            # one copy of the backlog after the other.
            retried_from = None if self.trouble is None else self._writer.next_ordinal
            for last in (False, True):
                self._drain(now)
                if self._fsync(last):
                    break
            with self._lock:
                delay_s = self._settle(now)
                self._writer.close_given_up(retried_from)
        return delay_s

    def finish(self) -> None:
        """Write the index and end; what the disk has not taken by now is dropped, and so is what is still to come."""
        with self._flushing, self._lock:
            self._finished = True
            segment = self._writer.segment
            try:
                self._writer.finish()
            except FileNotFoundError as exc:
                assert segment is not None
                self._lose(segment, exc)
            self._drop(self._writer.backlog)
            self._writer.backlog.clear()

    # ---------------------------------------------------------------- without _lock

    def _drain(self, now: bool) -> None:
        while True:
            with self._lock:
                if not self._writer.backlog or not self._is_due(now) or not self._write_backlog():
                    return

    def _fsync(self, last: bool) -> bool:
        """Sync the segment; False when it had to be given up, so that there is something to drain."""
        writer = self._writer
        with self._lock:
            segment, groups = writer.segment, len(writer.unsynced)
            if segment is not None and segment.sealed:  # an interrupt came before it was given up (I8)
                writer.give_up_segment()
                return False
        if segment is None or not groups:
            return True
        try:
            segment.fsync()
        except OSError as exc:
            with self._lock:
                if isinstance(exc, FileNotFoundError):
                    self._lose(segment, exc)
                if writer.segment is segment:
                    writer.give_up_segment()
                # A file that was removed can be made anew at once, but not what was durable in it: that is told.
                if last or self.trouble is not None or isinstance(exc, FileNotFoundError):
                    self._fall(exc)
            return False
        with self._lock:
            self._has_proved = True
            if writer.segment is segment:  # else an append has given it up meanwhile
                # In this order: an interrupt in between may sync again, and leaves nobody waiting.
                for group in islice(writer.unsynced, groups):
                    self._release(group.awaited)
                writer.forget_synced(groups)
        return True

    # ---------------------------------------------------------------- with _lock held

    def _hold(self, entries: Sequence[Entry]) -> float | None:
        """Queue entries; unless in trouble, write what is queued, with bodies read back where only a file has them."""
        self._queue(entries)
        if self.trouble is not None:
            self._release(entries)
            return None
        return self._sync_delay() if self._write_backlog() else self._retry_s

    def _write_backlog(self) -> bool:
        """Write from the backlog for a while; False when the disk refuses."""
        try:
            lost = self._writer.write_from_backlog()
        except OSError as exc:
            self._fall(exc)
            return False
        self._drop(lost)
        self._release(lost)
        return True

    def _lose(self, segment: SegmentWriter, exc: FileNotFoundError) -> None:
        """Somebody has removed a segment, and with it what was durable in it."""
        self.dropped += segment.durable(self._writer.synced)
        self.last_trouble = store_error(exc, self._path)

    def _drop(self, entries: Iterable[Entry]) -> None:
        # What says on which folders this one stands is no loss of its own: it is worth what it stood for.
        self.dropped += sum(entry.type != Type.BASES for entry in entries)

    def _queue(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self._writer.backlog.size_bytes + entry.size_bytes > self._backlog_limit_bytes:
                self._drop([entry])
                self._release([entry])
            else:
                self._writer.backlog.append(entry)

    def _fall(self, exc: OSError) -> None:
        """Be in trouble, or for longer; nobody waits any more for what is in the backlog."""
        self._has_proved = False
        self._retry_at = time.monotonic() + self._retry_s
        self._release(self._writer.backlog)
        if self.trouble is None:
            self.trouble = self.last_trouble = store_error(exc, self._path)
            if self._on_trouble is not None:
                self._soon((self._on_trouble, self.trouble))

    def _release(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            call = entry.when_synced
            if call is not None:
                entry.when_synced = None
                self._soon(call)  # last: an interrupt shows after a call

    def _is_due(self, now: bool) -> bool:
        return now or self.trouble is None or time.monotonic() >= self._retry_at

    def _settle(self, now: bool) -> float | None:
        """See whether the trouble is over; returns within how many seconds to flush again."""
        if self.trouble is not None:
            if self._writer.backlog or not self._is_due(now):
                return max(0.0, self._retry_at - time.monotonic())
            if not self._works():
                return self._retry_s
            self.trouble = None
            if self._on_recovery is not None:
                self._soon((self._on_recovery,))
        return self._sync_delay()

    def _works(self) -> bool:
        """Whether the disk takes anything again; where nothing was to be written, it is tried."""
        if not self._has_proved:
            try:
                self._writer.probe()
            except OSError as exc:
                self._fall(exc)
                return False
        return True

    def _sync_delay(self) -> float | None:
        unsynced = self._writer.unsynced
        return self._mode.delay(unsynced.count, unsynced.size_bytes, first=True) if unsynced else None


def store_error(exc: OSError, path: Path) -> StoreError:
    """What to tell of a disk that refuses results in the folder `path`."""
    if exc.errno in _FULL:
        return StoreFull(f"no space is left for results in {str(path)!r} ({exc.strerror}): free some")
    return StoreError(f"results cannot be written to {str(path)!r}: {exc.strerror or exc}")
