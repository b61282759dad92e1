"""Owns frames on their way to the disk: what is kept of each until it is known to be durable.

    Entry, in a `Queue` → written, as a `Group` with others, in `Unsynced` → durable, and forgotten

What is written waits for its fsync as the bytes that were written: thousands of objects would be work for the garbage
collector.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from parslish.store import frame
from parslish.store.disk import Disk

UNNUMBERED: Final = -1
#: What is to be called later, and with what. A `partial` would be four objects for the collector.
Call = tuple[Any, ...]
_OVERHEAD_BYTES: Final = 512  # of an entry in memory, besides its body


class Entry:
    """One frame. It gets its number at its first write and keeps it through further ones.

    `body` is None while only a file has it, at `source`: path, offset, and the checksum that it must have.
    """

    __slots__ = ("body", "key", "seq", "size_bytes", "source", "type", "when_synced", "when_written")

    def __init__(
        self,
        type: int,
        body: bytes,
        key: bytes,
        when_written: Call | None = None,
        when_synced: Call | None = None,
    ) -> None:
        self.type = type
        self.body: bytes | None = body
        self.key = key
        self.when_written = when_written
        self.when_synced = when_synced
        self.size_bytes = len(body) + _OVERHEAD_BYTES
        self.seq = UNNUMBERED
        self.source: tuple[Path, int, bytes] | None = None

    def leave_to_file(self, path: Path, offset: int) -> None:
        """Give the body's memory back; it can be read at `offset` of the file."""
        body = self.body
        if body is not None:
            self.body, self.source = None, (path, offset, frame.digest(body))

    def read_back(self, disk: Disk) -> bytes | None:
        """The body, from memory or the file; None when the file no longer has it."""
        if self.body is not None or self.source is None:
            return self.body
        path, offset, digest = self.source
        try:
            fd = disk.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                body: bytes = disk.pread(fd, self.size_bytes - _OVERHEAD_BYTES, offset)
            finally:
                disk.close(fd)
        except OSError:
            return None
        return body if frame.digest(body) == digest else None


class Queue:
    """Entries that are to be written, first in first out, and their size. Not for two threads at once."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.size_bytes += entry.size_bytes

    def first(self) -> Entry:
        return self._entries[0]

    def pop(self) -> Entry:
        entry = self._entries.popleft()
        self.size_bytes -= entry.size_bytes
        return entry

    def put_off(self) -> None:
        """Put the first behind all others."""
        self._entries.rotate(-1)

    def put_before(self, entries: Sequence[Entry]) -> None:
        """Put entries in front of what is here, in their order."""
        self._entries.extendleft(reversed(entries))
        self.size_bytes += sum([entry.size_bytes for entry in entries])

    def clear(self) -> None:
        self._entries.clear()
        self.size_bytes = 0


class Group:
    """Entries that were written together, numbered one after the other.

    Args:
        frames: what was written; None where that is not in memory in one piece.
    """

    __slots__ = ("_entries", "_frames", "count", "next_seq", "size_bytes")

    def __init__(self, entries: Sequence[Entry], frames: bytes | None) -> None:
        self.count = len(entries)
        self.next_seq = entries[-1].seq + 1
        self._frames, self._entries = frames, entries
        more_to_tell = [entry for entry in entries if entry.when_synced or entry.source]
        if frames is None or more_to_tell:
            self.size_bytes = sum([entry.size_bytes for entry in entries])
        else:  # the frames tell all that there is to the entries
            self.size_bytes = len(frames)
            self._entries = ()

    @property
    def awaited(self) -> Sequence[Entry]:
        """Entries among which are all that have somebody to be called."""
        return self._entries

    def entries(self) -> Sequence[Entry]:
        """All of them, made anew where only their frames are left."""
        if not self._entries:
            assert self._frames is not None
            self._entries = list(_entries_in(self._frames))
        self._frames = None
        return self._entries

    def leave_to_file(self, path: Path, place: int) -> None:
        """Give the bodies' memory back; the first frame begins at `place` of the file."""
        for entry in self.entries():
            place += frame.HEADER_BYTES
            entry.leave_to_file(path, place)
            place += entry.size_bytes - _OVERHEAD_BYTES


def _entries_in(frames: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(frames):
        header = frame.parse(frames, at)
        assert header is not None
        start = at + frame.HEADER_BYTES
        at = start + header.length
        entry = Entry(header.type, frames[start:at], header.key)
        entry.seq = header.seq
        yield entry


class Unsynced:
    """Groups that no fsync has covered yet, oldest first. Not for two threads at once."""

    def __init__(self) -> None:
        self._groups: deque[Group] = deque()
        self.count = 0  #: of entries
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups)

    def append(self, group: Group) -> None:
        self._groups.append(group)
        self.count += group.count
        self.size_bytes += group.size_bytes

    def first(self) -> Group:
        return self._groups[0]

    def pop(self) -> None:
        group = self._groups.popleft()
        if self._groups:
            self.count -= group.count
            self.size_bytes -= group.size_bytes
        else:  # as at first: an interrupt may have come between a step of this and the next
            self.count = self.size_bytes = 0

    def clear(self) -> None:
        self._groups.clear()
        self.count = self.size_bytes = 0
