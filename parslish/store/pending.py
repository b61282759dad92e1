"""Owns frames on their way to the disk: what is kept of each until it is known to be durable."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from parslish.store import frame
from parslish.store.disk import Disk

UNNUMBERED: Final = -1
_OVERHEAD_BYTES: Final = 512  # of an entry in memory, besides its body


class Entry:
    """One frame. It gets its number at its first write and keeps it through further ones.

    `body` is None while only a file has it, at `source`: path and offset.
    """

    __slots__ = ("body", "digest", "key", "seq", "size_bytes", "source", "type", "when_synced", "when_written")

    def __init__(
        self,
        type: int,
        body: bytes,
        key: bytes,
        when_written: Callable[[], None] | None = None,
        when_synced: Callable[[], None] | None = None,
    ) -> None:
        self.type = type
        self.body: bytes | None = body
        self.key = key
        self.when_written = when_written
        self.when_synced = when_synced
        self.digest = frame.digest(body)
        self.size_bytes = len(body) + _OVERHEAD_BYTES
        self.seq = UNNUMBERED
        self.source: tuple[Path, int] | None = None

    def leave_to_file(self, path: Path, offset: int) -> None:
        """Give the body's memory back; it can be read at `offset` of the file."""
        self.body, self.source = None, (path, offset)

    def read_back(self, disk: Disk) -> bytes | None:
        """The body, from memory or the file; None when the file no longer has it."""
        if self.body is not None or self.source is None:
            return self.body
        path, offset = self.source
        try:
            fd = disk.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                body: bytes = disk.pread(fd, self.size_bytes - _OVERHEAD_BYTES, offset)
            finally:
                disk.close(fd)
        except OSError:
            return None
        return body if frame.digest(body) == self.digest else None


class Queue:
    """Entries, first in first out, and their size. Not for two threads at once."""

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

    def extend(self, entries: Sequence[Entry]) -> None:
        self._entries.extend(entries)
        self.size_bytes += sum([entry.size_bytes for entry in entries])

    def first(self) -> Entry:
        return self._entries[0]

    def pop(self) -> Entry:
        entry = self._entries.popleft()
        self.size_bytes -= entry.size_bytes
        return entry

    def pop_many(self, count: int) -> list[Entry]:
        """Take the first `count` off."""
        taken = [self._entries.popleft() for _ in range(count)]
        # Where nothing is left, as at first: an interrupt may have come between a step of this and the next.
        self.size_bytes = self.size_bytes - sum([entry.size_bytes for entry in taken]) if self._entries else 0
        return taken

    def put_off(self) -> None:
        """Put the first behind all others."""
        self._entries.rotate(-1)

    def take_before(self, other: Queue) -> None:
        """Move all of `other` in front of what is here."""
        self._entries.extendleft(reversed(other._entries))
        self.size_bytes += other.size_bytes
        other.clear()

    def clear(self) -> None:
        self._entries.clear()
        self.size_bytes = 0
