"""Owns segments opened for reading, by offset and never mapped: a file that is cut short meanwhile gives short
reads, not SIGBUS. What the bytes mean is left to `scan` and `reader`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parslish.store import folder
from parslish.store.disk import Disk

MAX_OPEN: Final = 128  # descriptors that a store holds; a login node often allows 1,024 in all
_LAST: Final = (1 << 63) - 1  # the highest offset that the system takes
# O_NONBLOCK: a named pipe planted in the folder must not hang the program.
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_gone(exc: OSError) -> bool:
    """Whether an error says that a file is no longer there: not under its name, or not on its server."""
    return exc.errno in (errno.ENOENT, errno.ESTALE)


class Refused(OSError):
    """The file may be there, but is not to be read: a link, a pipe, or in the hands of others."""


class Source:
    """One segment, opened for reading.

    Raises:
        Refused: it is not a regular file, or not to be trusted.
        OSError: it cannot be opened.
    """

    __slots__ = ("_disk", "_fd", "path", "size")

    def __init__(self, disk: Disk, path: Path, *, shared: bool) -> None:
        self._fd = -1
        self._disk, self.path = disk, path
        if stat.S_ISLNK(disk.stat(path, follow_symlinks=False).st_mode):
            raise Refused("is a symbolic link: name the file itself")
        self._fd = disk.open(path, _FLAGS)
        found = disk.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            raise Refused("is not a regular file")
        refused = folder.refusal(found, shared)
        if refused:
            raise Refused(refused)
        self.size = found.st_size

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end of the file. Raises OSError."""
        if offset > _LAST:  # an index that somebody made up may say so
            return b""
        block: bytes = self._disk.pread(self._fd, size, offset)
        if len(block) == size or not block:
            return block
        parts = [block]
        while block and size > sum(map(len, parts)):
            done = sum(map(len, parts))
            block = self._disk.pread(self._fd, size - done, offset + done)
            parts.append(block)
        return b"".join(parts)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill memory with bytes from `offset` on; returns how many it got, fewer only at the end of the file. Raises
        OSError."""
        done = 0
        while done < len(into):
            got: int = self._disk.preadv(self._fd, [into[done:]], offset + done)
            if not got:
                break
            done += got
        return done

    # The descriptor closes with the last reference, so that a cache may forget a source while another thread
    # still reads from it.
    def __del__(self) -> None:
        if self._fd >= 0:
            self._disk.close(self._fd)


class Sources:
    """Sources that are kept open, up to a limit, and opened again when asked for.

    No lock (one could be held by another thread when the process forks): each step on the dict is atomic.
    Which source has to go does not matter, since keys are looked up in no order; `open_one(n)` opens source n.
    """

    def __init__(self, open_one: Callable[[int], Source]) -> None:
        self._open_one = open_one
        self._open: dict[int, Source] = {}

    def get(self, number: int) -> Source:
        """Source `number`. Raises OSError."""
        return self._open.get(number) or self.put(number, self._open_one(number))

    def put(self, number: int, source: Source) -> Source:
        """Keep a source that is open already."""
        if len(self._open) >= MAX_OPEN:
            with contextlib.suppress(KeyError):
                self._open.popitem()
        self._open[number] = source
        return source

    def forget(self, number: int) -> None:
        """Open source `number` anew when it is asked for again."""
        self._open.pop(number, None)

    def clear(self) -> None:
        """Let go of all of them."""
        self._open.clear()
