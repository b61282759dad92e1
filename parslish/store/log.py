"""Owns writing to a store for many threads: what is posted, who writes it, and who is told.

    append = post → posted ─ write → spool → durable
                       (one thread at a time, for all: a group)

Threads post entries; the first to come writes them, and all that others post meanwhile, in groups: a write gives up
the interpreter lock, and may wait for it thousands of times as long as the write takes. Nobody waits for the one who
writes, unless too much is waiting: what is to follow is said with `when_written`.

What becomes of a group is the `spool`'s business, also where the disk refuses: then the log is in trouble, and nobody
waits. The spool is flushed on the thread of `sync.Syncer` or on that of whoever calls `sync` or `close`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from parslish.errors import InternalError, StoreError, UsageError, near
from parslish.secret import Keys
from parslish.store import bodies, folder, frame
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import Type
from parslish.store.pending import Call, Entry
from parslish.store.spool import Spool, store_error
from parslish.store.sync import MODES, Syncer
from parslish.store.writer import Writer

BACKLOG_BYTES: Final = 256 << 20
RETRY_S: Final = 30.0
GROUP_BYTES: Final = 1 << 20  #: what is written at once, with no single frame larger
GROUP: Final = 1024  #: and how many frames; who finds so many waiting does not go on before they are written
_KEY_SIZES: Final = (0, len(frame.NO_KEY))  # none, and that of a result
_BY_SIGNAL: Final = (KeyboardInterrupt, SystemExit)  # what handlers raise, as a rule


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
        self.folder = Path(os.path.abspath(path))  # whatever folder the script is in later
        self._new_writer = partial(Writer, disk, self.folder, keys, run_number)
        self._new_spool = partial(
            Spool,
            path=self.folder,
            mode=MODES[sync],
            on_trouble=on_trouble,
            on_recovery=on_recovery,
            retry_s=retry_s,
            backlog_bytes=backlog_bytes,
        )
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
            raise store_error(exc, self.folder) from exc
        if refused:
            raise StoreError(f"the folder {str(self.folder)!r} {refused}")

    def _begin(self) -> None:
        self._lock = threading.Lock()  # guards _closed and _based_on
        self._writing = threading.RLock()  # held by the one thread that writes what is posted
        self._is_writing = False  # said by its holder, since a lock that is tried in vain costs an exception
        self._posted: deque[Entry] = deque()  # taken off by the holder of _writing
        self._calls: deque[Call] = deque()  # to be made while no lock is held; whoever comes takes one
        self._cut_short = False  # by a signal: the next flush writes what is posted
        self._writer = self._new_writer()
        self._spool = self._new_spool(self._writer, self._calls.append)
        self._syncer = Syncer(partial(self._flush, now=False))

    @property
    def trouble(self) -> StoreError | None:
        """Why the disk refuses, or None."""
        return self._spool.trouble

    @property
    def last_trouble(self) -> StoreError | None:
        """Why the disk refuses, or has refused last; None when it never has."""
        return self._spool.last_trouble

    @property
    def appended(self) -> int:
        """How many frames have been written or held."""
        return self._spool.appended

    @property
    def dropped(self) -> int:
        """How many results, or other frames but bases, the disk has not taken to the end, or were removed from it."""
        return self._spool.dropped

    def start(self) -> None:
        """Be ready to sync from now on: for one who may append when the interpreter is ending."""
        self._syncer.start()

    def append(
        self,
        type: int,
        body: bytes,
        key: bytes = b"",
        *,
        when_synced: Call | None = None,
    ) -> None:
        """Append one frame: `post` it, and `write`. With one thread, the frame is with the operating system on
        return, unless the log is in trouble."""
        self.post(type, body, key, when_synced=when_synced)
        self.write()

    def post(
        self,
        type: int,
        body: bytes,
        key: bytes = b"",
        when_written: Call | None = None,
        when_synced: Call | None = None,
    ) -> None:
        """Put one frame in line for the next `write`. Never raises for what the disk does (P3).

        Args:
            type: a `frame.Type`, or a number from 128 on that other readers may pass over.
            key: 32 bytes that a result is filed under; none for other types.
            when_written: a function and its arguments, called once, with no lock held: when the frame is with the
                operating system, or when the log is in trouble, so that nobody waits for ever. On any thread; must not
                raise.
            when_synced: the same, when an fsync has covered the frame.

        Raises:
            InternalError: the log is closed.
        """
        assert len(key) in _KEY_SIZES
        entry = Entry(type, body, key, when_written, when_synced)
        self._posted.append(entry)
        if self._closed and self._withdraw(entry):
            raise InternalError(f"a frame was appended to the log of {self.folder} after it was closed")

    def write(self) -> None:
        """Write what is posted, in groups; where another thread is at it, it writes ours too."""
        try:
            # Looked at again after the release: what was posted just before it found the lock taken.
            while self._posted:
                if self._is_writing and len(self._posted) <= GROUP:
                    break
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
            if self._calls:
                self._call_back()
        except _BY_SIGNAL:
            self._leave()
            raise

    def _write_group(self) -> float | None:
        """Write a group of what is posted; returns within how many seconds a flush is wanted."""
        self._is_writing = True
        try:
            group = self._next_group()
            delay_s = self._spool.take(group)
            posted, calls = self._posted, self._calls
            for entry in group:
                call = entry.when_written
                if call is not None:
                    entry.when_written = None  # the entry may be held for long; what follows from it must not be
                    calls.append(call)
                # Last, so that an interrupt, which shows after a call, loses none. (Not there any more: withdrawn.)
                if posted and posted[0] is entry:
                    posted.popleft()
            return delay_s
        finally:
            self._is_writing = False

    def _next_group(self) -> list[Entry]:
        group: list[Entry] = []
        size_bytes = 0
        posted = self._posted
        # By index, since others append meanwhile; the last ones may be withdrawn.
        with contextlib.suppress(IndexError):
            for at in range(min(GROUP, len(posted))):
                entry = posted[at]
                size_bytes += entry.size_bytes
                if size_bytes > GROUP_BYTES and group:
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

    def refuse(self, size_bytes: int, why: OSError) -> bool:
        """Whether a result of that size, which the disk has refused for a reason, is dropped: it is too large to be
        held until the disk takes it. Else it should be posted."""
        if size_bytes <= self._spool.room_bytes:
            return False
        self._follow(self._spool.refuse(why))
        self._call_back()
        return True

    def add_base(self, base: str | os.PathLike[str]) -> None:
        """Record that this store builds upon the one in folder `base`: who opens it opens both."""
        if base in self._bases_told:  # whenever a hit is from another folder than the one before
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
        self._spool.finish()
        return self.trouble is None

    def _flush(self, *, now: bool) -> None:
        try:
            if now or self._cut_short:
                self._cut_short = False
                self._write_posted()
            self._follow(self._spool.flush(now))
            self._call_back()
        except _BY_SIGNAL:
            self._leave()
            raise

    def _leave(self) -> None:
        """Have the syncer see to what a signal leaves undone: others wait for it, and perhaps nobody writes again."""
        self._cut_short = True
        self._follow(0.0)

    def _write_posted(self) -> None:
        """Write all that is posted, also where another thread is at it."""
        while self._posted:
            with self._writing:
                self._write_group()

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
            call[0](*call[1:])

    def _begin_in_child(self) -> None:
        """After a fork: the parent's segment, and what it has not written, stay the parent's (I5)."""
        inherited = self._writer
        self._begin()
        inherited.leave()


_LIVE: weakref.WeakSet[Log] = weakref.WeakSet()


def _begin_all_in_child() -> None:
    for log in list(_LIVE):
        log._begin_in_child()


# Rather than asking for the process id at every append: a lock that another thread held at the fork would
# stay locked in the child for ever, so it must be replaced before anybody takes it.
os.register_at_fork(after_in_child=_begin_all_in_child)
