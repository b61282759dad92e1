"""Owns writing to a store for many threads: what waits, who is told, and going on when the disk refuses.

    append = post → posted ─ write → writer → unsynced ─ fsync → durable
                       (one thread at a time, for all: a group)

Threads post entries; the first to come writes them, and all that others post meanwhile, in groups: a write gives up
the interpreter lock, and may wait for it thousands of times as long as the write takes. Nobody waits for the one who
writes, unless too much is waiting: what is to follow is said with `when_written`.

Where the disk refuses, the log is in trouble: frames gather in the writer's backlog, nobody waits for them, and the
disk is tried again from time to time. Syncing and trying again happen in `_flush`, on the thread of `sync.Syncer` or
on that of whoever calls `sync` or `close`.
"""

from __future__ import annotations

import errno
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from parslish.errors import InternalError, StoreError, StoreFull, UsageError, near
from parslish.secret import Keys
from parslish.store import bodies, folder, frame
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import Type
from parslish.store.parts import Body
from parslish.store.pending import Entry
from parslish.store.sync import MODES, Syncer
from parslish.store.writer import Writer

BACKLOG_BYTES: Final = 256 << 20
RETRY_S: Final = 30.0
GROUP_BYTES: Final = 1 << 20  #: what is written at once, with no single frame larger
GROUP: Final = 1024  #: and how many frames; who finds so many waiting does not go on before they are written
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Log:
    """Appends frames to a store's folder, for any number of threads; each process writes its own segments.

    Args:
        path: the store's folder; made if need be. No file is made before the first append.
        keys: whose first key signs.
        run_number: the run that the frames belong to; among results for one key, the highest wins.
        sync: "always": fsync at once, grouped · "batch": within 200 ms, 64 frames or 8 MiB · "manual": in
            `sync()` and `close()`, and early when 64 MiB wait.
        on_trouble: called when the disk refuses, once until it works again.
        on_recovery: called then.
        retry_s: how often, at most, a disk that refused is tried again.
        backlog_bytes: how much is held in memory meanwhile; beyond it the newest frames are dropped.
        shared: accept a folder that others can write to.

    Raises:
        UsageError: there is no such sync mode.
        StoreError: the folder cannot be made, or others could write to it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keys: Keys,
        run_number: int = 0,
        sync: str = "batch",
        disk: Disk = OS_DISK,
        on_trouble: Callable[[StoreError], None] | None = None,
        on_recovery: Callable[[], None] | None = None,
        retry_s: float = RETRY_S,
        backlog_bytes: int = BACKLOG_BYTES,
        shared: bool = False,
    ) -> None:
        if sync not in MODES:
            raise UsageError(f"sync is one of {', '.join(MODES)}, not {sync!r}{near(sync, MODES)}")
        self.folder = Path(path)
        self._mode = MODES[sync]
        self._on_trouble, self._on_recovery = on_trouble, on_recovery
        self._retry_s, self._backlog_limit_bytes = retry_s, backlog_bytes
        self._new_writer = partial(Writer, disk, self.folder, keys, run_number)
        self._closed = False
        self._based_on: set[str] = {os.path.abspath(self.folder)}
        self._bases_told: set[str | os.PathLike[str]] = set()
        self._make_folder(disk, shared)
        self._begin()
        _LIVE.add(self)

    def _make_folder(self, disk: Disk, shared: bool) -> None:
        try:
            folder.make(disk, self.folder)
            refused = folder.refusal(disk.stat(self.folder), shared)
        except OSError as exc:
            raise _store_error(exc, self.folder) from exc
        if refused:
            raise StoreError(f"the folder {str(self.folder)!r} {refused}")

    def _begin(self) -> None:
        self.trouble: StoreError | None = None
        self.appended = 0
        self.dropped = 0
        self._finished = False
        # One flush at a time, for as long as it takes; taken before the two below, never inside them.
        self._flushing = threading.Lock()
        # Held by the one thread that writes what is posted; taken before _lock.
        self._writing = threading.RLock()
        # Guards the writer and the trouble. It is held while frames are written; never while one waits for an
        # fsync.
        self._lock = threading.Lock()
        self._posted: deque[Entry] = deque()  # taken off by the holder of _writing
        self._calls: deque[Callable[[], None]] = deque()  # to be made while no lock is held; whoever comes takes one
        self._writer = self._new_writer()
        self._retry_at = 0.0
        self._syncer = Syncer(partial(self._flush, now=False))

    def start(self) -> None:
        """Be ready to sync from now on: for one who may append when the interpreter is ending."""
        self._syncer.start()

    def append(
        self,
        type: int,
        body: Body,
        key: bytes = b"",
        *,
        when_synced: Callable[[], None] | None = None,
    ) -> None:
        """Append one frame: `post` it, and `write`. With one thread, the frame is with the operating system on
        return, unless the log is in trouble."""
        self.post(type, body, key, when_synced=when_synced)
        self.write()

    def post(
        self,
        type: int,
        body: Body,
        key: bytes = b"",
        *,
        when_written: Callable[[], None] | None = None,
        when_synced: Callable[[], None] | None = None,
    ) -> None:
        """Put one frame in line for the next `write`. Never raises for what the disk does (P3).

        Args:
            type: a `frame.Type`, or a number from 128 on that other readers may pass over.
            key: 32 bytes that a result is filed under; none for other types.
            when_written: called once, with no lock held: when the frame is with the operating system, or when the
                log is in trouble, so that nobody waits for ever. On any thread; must not raise.
            when_synced: the same, when an fsync has covered the frame.

        Raises:
            InternalError: the log is closed.
        """
        assert not key or len(key) == len(frame.NO_KEY)
        entry = Entry(type, body, key or frame.NO_KEY, when_written, when_synced)
        self._posted.append(entry)
        if self._closed and self._withdraw(entry):
            raise InternalError(f"a frame was appended to the log of {self.folder} after it was closed")

    def write(self) -> None:
        """Write what is posted, in groups; where another thread is at it, it writes ours too."""
        # Looked at again after the release: what was posted just before it found the lock taken.
        while self._posted:
            try:
                if not self._writing.acquire(blocking=len(self._posted) > GROUP):
                    break
                delay_s = self._write_group()
            finally:
                # Inside, and tried whether it is ours or not, because Ctrl-C may come right after it was taken.
                try:  # noqa: SIM105 - a context manager is four calls more, for each lone record
                    self._writing.release()
                except RuntimeError:
                    pass
            self._follow(delay_s)
            self._call_back()
        self._call_back()

    def _write_group(self) -> float | None:
        """Write a group of what is posted; returns within how many seconds a flush is wanted."""
        group = self._next_group()
        with self._lock:
            delay_s = self._take(group)
        for entry in group:
            # Only now, so that an interrupt loses none. (Not there any more: withdrawn.)
            if self._posted and self._posted[0] is entry:
                self._posted.popleft()
            if entry.when_written is not None:
                self._calls.append(entry.when_written)
                entry.when_written = None  # the entry may be held for long; what follows from it must not be
        return delay_s

    def _next_group(self) -> list[Entry]:
        group: list[Entry] = []
        size_bytes = 0
        # By index, since others append meanwhile; the last ones may be withdrawn.
        for at in range(GROUP):
            try:
                entry = self._posted[at]
            except IndexError:
                break
            size_bytes += entry.size_bytes
            if group and size_bytes > GROUP_BYTES:
                break
            group.append(entry)
        return group

    def _withdraw(self, entry: Entry) -> bool:
        """Whether an entry was posted too late to be written."""
        try:
            self._posted.remove(entry)
        except ValueError:
            return False
        return True

    def add_base(self, base: str | os.PathLike[str]) -> None:
        """Record that this store builds upon the one in folder `base`: who opens it opens both."""
        if base in self._bases_told:  # at each hit
            return
        self._bases_told.add(base)
        absolute = os.path.abspath(base)
        with self._lock:
            if absolute in self._based_on:
                return
            self._based_on.add(absolute)
        self.append(Type.BASES, bodies.bases(self.folder, Path(absolute)))

    def sync(self) -> bool:
        """Write and fsync all that was appended before the call; False when the disk refuses."""
        self._flush(now=True)
        return self.trouble is None

    def close(self) -> bool:
        """Sync, write the index that makes the next opening fast, and end; False when the disk refuses.

        What the disk has not taken by then is dropped, and counted. Calling it again does nothing.
        """
        with self._lock:
            if self._closed:
                return self.trouble is None
            self._closed = True
        self._syncer.close()
        self._flush(now=True)
        with self._flushing, self._lock:
            self._finished = True
            self._writer.finish()
            self.dropped += len(self._writer.backlog)
            self._writer.backlog.clear()
        return self.trouble is None

    # ---------------------------------------------------------------- with _lock held

    def _take(self, entries: Sequence[Entry]) -> float | None:
        """Write entries, or queue them; returns within how many seconds a flush is wanted."""
        writer = self._writer
        self.appended += len(entries)
        if self._finished:
            self.dropped += len(entries)
            self._release(entries)
            return None
        if entries and self.trouble is None and not writer.backlog:
            first = not writer.unsynced
            try:
                writer.write(entries)
            except OSError as exc:
                self._queue(entries)
                self._fall(exc)
                return self._retry_s
            return self._mode.delay(len(writer.unsynced), writer.unsynced.size_bytes, first=first)
        self._queue(entries)
        if self.trouble is not None:
            self._release(entries)
        return None

    def _queue(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self._writer.backlog.size_bytes + entry.size_bytes > self._backlog_limit_bytes:
                self.dropped += 1
                self._release([entry])
            else:
                self._writer.backlog.append(entry)

    def _fall(self, exc: OSError) -> None:
        """Be in trouble, or for longer; nobody waits any more for what is in the backlog."""
        self._retry_at = time.monotonic() + self._retry_s
        self._release(self._writer.backlog)
        if self.trouble is None:
            self.trouble = _store_error(exc, self.folder)
            if self._on_trouble is not None:
                self._calls.append(partial(self._on_trouble, self.trouble))

    def _release(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.when_synced is not None:
                self._calls.append(entry.when_synced)
                entry.when_synced = None

    def _is_due(self, now: bool) -> bool:
        return now or self.trouble is None or time.monotonic() >= self._retry_at

    def _settle(self, now: bool) -> float | None:
        """See whether the trouble is over; returns within how many seconds to flush again."""
        writer = self._writer
        if self.trouble is not None:
            if writer.backlog or not self._is_due(now):
                return max(0.0, self._retry_at - time.monotonic())
            self.trouble = None
            if self._on_recovery is not None:
                self._calls.append(self._on_recovery)
        if not writer.unsynced:
            return None
        return self._mode.delay(len(writer.unsynced), writer.unsynced.size_bytes, first=True)

    # ---------------------------------------------------------------- without _lock

    def _flush(self, *, now: bool) -> None:
        """Write the backlog, when it is time or `now`, and sync; once more when the first fsync fails."""
        with self._flushing:
            if now:
                self._write_posted()
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
        self._follow(delay_s)
        self._call_back()

    def _write_posted(self) -> None:
        """Write all that is posted, also where another thread is at it."""
        while self._posted:
            with self._writing:
                self._write_group()

    def _drain(self, now: bool) -> None:
        while True:
            with self._lock:
                if not self._writer.backlog or not self._is_due(now):
                    return
                try:
                    lost = self._writer.write_from_backlog()
                except OSError as exc:
                    self._fall(exc)
                    return
                self.dropped += len(lost)
                self._release(lost)

    def _fsync(self, last: bool) -> bool:
        """Sync the segment; False when it had to be given up, so that there is something to drain."""
        writer = self._writer
        with self._lock:
            segment, count = writer.segment, len(writer.unsynced)
        if segment is None or not count:
            return True
        try:
            segment.fsync()
        except OSError as exc:
            with self._lock:
                if writer.segment is segment:
                    writer.give_up_segment()
                if last or self.trouble is not None:
                    self._fall(exc)
            return False
        with self._lock:
            if writer.segment is segment:  # else an append has given it up meanwhile
                self._release(writer.forget_synced(count))
        return True

    def _follow(self, delay_s: float | None) -> None:
        if delay_s is not None:
            self._syncer.request(delay_s)

    def _call_back(self) -> None:
        # One by one: should a call take its time, others who come this way make those that are left.
        calls = self._calls
        while calls:
            try:
                call = calls.popleft()
            except IndexError:  # another thread was quicker
                return
            call()

    def _begin_in_child(self) -> None:
        """After a fork: the parent's segment, and what it has not written, stay the parent's (I5)."""
        inherited = self._writer
        self._begin()
        inherited.leave()


def _store_error(exc: OSError, path: Path) -> StoreError:
    if exc.errno in _FULL:
        return StoreFull(f"no space is left for results in {str(path)!r} ({exc.strerror}): free some")
    return StoreError(f"results cannot be written to {str(path)!r}: {exc.strerror or exc}")


_LIVE: weakref.WeakSet[Log] = weakref.WeakSet()


def _begin_all_in_child() -> None:
    for log in list(_LIVE):
        log._begin_in_child()


# Rather than asking for the process id at every append: a lock that another thread held at the fork would
# stay locked in the child for ever, so it must be replaced before anybody takes it.
os.register_at_fork(after_in_child=_begin_all_in_child)
