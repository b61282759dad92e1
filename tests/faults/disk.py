"""A disk in memory that can refuse, tear, forget and lose its power, for tests of the store.

What it models: a write is visible at once and durable after an fsync; a new name is durable after an fsync of its
folder; an fsync that fails has thrown away what was not durable, and the next one knows nothing of it.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from parslish.store.disk import Disk

FAILING = (
    "open",
    "write",
    "writev",
    "fsync",
    "truncate",
    "mkdir",
    "unlink",
    "rename",
    "pread",
    "listdir",
    "stat",
    "fstat",
)


class _File:
    def __init__(self, content: bytes = b"", durable: bool = False) -> None:
        self.content = bytearray(content)
        self.synced = bytes(content) if durable else b""
        self.pending: list[tuple[int, bytes | None]] = []  # (offset, written) or (length, None): cut to it
        self.mode = stat.S_IFREG | 0o600
        self.is_named = durable

    def write(self, data: bytes) -> None:
        self.pending.append((len(self.content), data))
        self.content += data

    def truncate(self, length: int) -> None:
        self.pending.append((length, None))
        del self.content[length:]

    def survivors(self, rng: random.Random) -> bytes:
        """What a power cut leaves: of each step since the last fsync all, nothing or a part."""
        left = bytearray(self.synced)
        for at, data in self.pending:
            fate = rng.choice(("keep", "drop", "tear"))
            if data is None:
                if fate == "keep":
                    del left[at:]
            elif fate != "drop":
                kept = data if fate == "keep" else data[: rng.randrange(len(data) + 1)]
                left.extend(bytes(max(0, at - len(left))))
                left[at : at + len(kept)] = kept
        return bytes(left)


class MemoryDisk(Disk):
    """Files and folders in memory.

    Args:
        before: called with the name of each call before it has an effect; what it raises, the call raises. It may
            return a number for a write: that many bytes are written, and no error is given.
    """

    def __init__(self, before: Callable[[str], int | None] = lambda call: None) -> None:
        self.files: dict[str, _File] = {}
        self.folders: set[str] = {"/"}
        self.before = before
        self.now = 1_700_000_000.0
        self._fds: dict[int, str] = {}
        self._next_fd = 1000

    @classmethod
    def holding(cls, files: dict[str, bytes]) -> MemoryDisk:
        """A disk with these files, durable, and their folders."""
        disk = cls()
        for path, content in files.items():
            disk.files[path] = _File(content, durable=True)
            folder = os.path.dirname(path)
            while folder not in disk.folders:
                disk.folders.add(folder)
                folder = os.path.dirname(folder)
        return disk

    def after_power_cut(self, rng: random.Random) -> MemoryDisk:
        """What is there when the power comes back."""
        left = {path: file.survivors(rng) for path, file in self.files.items() if file.is_named or rng.random() < 0.5}
        disk = MemoryDisk.holding(left)
        disk.folders |= self.folders
        return disk

    def contents(self) -> dict[str, bytes]:
        """Every file, as a reader sees it."""
        return {path: bytes(file.content) for path, file in self.files.items()}

    @property
    def open_descriptors(self) -> int:
        """How many descriptors nobody has closed."""
        return len(self._fds)

    # The calls of the store's disk; names and arguments as in os.

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:  # type: ignore[override]
        self.before("open")
        name = os.fspath(path)
        if flags & os.O_DIRECTORY:
            self._need(name, self.folders)
        elif flags & os.O_CREAT:
            if name in self.files:
                raise OSError(errno.EEXIST, "File exists", name)
            self._need(os.path.dirname(name), self.folders)
            self.files[name] = _File()
        else:
            self._need(name, self.files)
        self._next_fd += 1
        self._fds[self._next_fd] = name
        return self._next_fd

    def write(self, fd: int, data: Any) -> int:  # type: ignore[override]
        return self._write("write", fd, bytes(data))

    def writev(self, fd: int, parts: Any) -> int:  # type: ignore[override]
        return self._write("writev", fd, b"".join(parts))

    def _write(self, call: str, fd: int, data: bytes) -> int:
        file = self.files[self._fds[fd]]
        short = self.before(call)
        written = data if short is None else data[:short]
        file.write(written)
        return len(written)

    def pread(self, fd: int, size: int, offset: int) -> bytes:  # type: ignore[override]
        self.before("pread")
        return bytes(self.files[self._fds[fd]].content[offset : offset + size])

    def preadv(self, fd: int, buffers: Any, offset: int) -> int:  # type: ignore[override]
        (into,) = buffers
        found = self.pread(fd, len(into), offset)
        into[: len(found)] = found
        return len(found)

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        name = self._fds[fd]
        try:
            self.before("fsync")
        except OSError:
            if name in self.files:
                self.files[name].pending.clear()  # lost, and forgotten that it was
            raise
        if name in self.files:
            self.files[name].synced = self.files[name].survivors(_KEEP_ALL)
            self.files[name].pending.clear()
        else:
            for path, file in self.files.items():
                file.is_named |= os.path.dirname(path) == name

    def truncate(self, fd: int, length: int) -> None:  # type: ignore[override]
        self.before("truncate")
        self.files[self._fds[fd]].truncate(length)

    def close(self, fd: int) -> None:  # type: ignore[override]
        del self._fds[fd]

    def fstat(self, fd: int) -> Any:  # type: ignore[override]
        self.before("fstat")
        return self._stat(self._fds[fd])

    def stat(self, path: Any, *, follow_symlinks: bool = True) -> Any:  # type: ignore[override]
        self.before("stat")
        return self._stat(os.fspath(path))

    def _stat(self, name: str) -> Any:
        if name in self.folders:
            changed = hash(frozenset(path for path in self.files if os.path.dirname(path) == name))
            return SimpleNamespace(st_mode=stat.S_IFDIR | 0o700, st_uid=os.getuid(), st_size=0, st_mtime_ns=changed)
        self._need(name, self.files)
        file = self.files[name]
        return SimpleNamespace(
            st_mode=file.mode, st_uid=os.getuid(), st_size=len(file.content), st_nlink=1, st_dev=1, st_ino=id(file)
        )

    def listdir(self, path: Any) -> list[str]:  # type: ignore[override]
        self.before("listdir")
        folder = os.fspath(path)
        return [os.path.basename(name) for name in self.files if os.path.dirname(name) == folder]

    def mkdir(self, path: Any, mode: int = 0o777) -> None:  # type: ignore[override]
        self.before("mkdir")
        name = os.fspath(path)
        if name in self.folders:
            raise OSError(errno.EEXIST, "File exists", name)
        self.folders.add(name)

    def unlink(self, path: Any) -> None:  # type: ignore[override]
        self.before("unlink")
        self._need(os.fspath(path), self.files)
        del self.files[os.fspath(path)]

    def rename(self, old: Any, new: Any) -> None:  # type: ignore[override]
        self.before("rename")
        self._need(os.fspath(old), self.files)
        file = self.files[os.fspath(new)] = self.files.pop(os.fspath(old))
        file.is_named = False

    def time(self) -> float:  # type: ignore[override]
        self.now += 0.001
        return self.now

    def _need(self, name: str, known: Iterable[str]) -> None:
        if name not in known:
            raise OSError(errno.ENOENT, "No such file or directory", name)


class _KeepAll(random.Random):
    """The fate of writes that an fsync covers."""

    def choice(self, seq: Any) -> Any:
        return seq[0]


_KEEP_ALL = _KeepAll()


class FailingCalls:
    """For `MemoryDisk.before`: the n-th call of some kinds fails, and so do the ones after it, `times` in all.

    Args:
        first: which call fails first, counted from 0.
        calls: the names of the calls that count.
        code: the error; None: writes are cut short instead.
        times: how many fail.
        short_first: the first that fails is a write that is cut short, as a disk does that becomes full.
    """

    def __init__(
        self,
        first: int,
        calls: Iterable[str],
        code: int | None,
        times: int = 1,
        *,
        short_first: bool = False,
    ) -> None:
        self.first, self.calls, self.code, self.times = first, frozenset(calls), code, times
        self.short_first = short_first
        self.seen = 0
        self.failed = 0

    def __call__(self, call: str) -> int | None:
        if call not in self.calls:
            return None
        self.seen += 1
        if not self.first < self.seen <= self.first + self.times:
            return None
        self.failed += 1
        if self.code is None or (self.short_first and self.failed == 1):
            return 1
        raise OSError(self.code, os.strerror(self.code))
