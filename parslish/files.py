"""Owns `File`: a file named by path or URL, and its identity; leaves moving files to `staging`."""

from __future__ import annotations

import functools
import os
import re
import stat
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from blake3 import blake3

from parslish.errors import Unidentifiable

# Two letters at least, then a slash: `zip:/a.zip/b` is a URL, a file called `a:b` or `x#1?` is not.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_BLOCK_BYTES = 1 << 20
# A file changed this lately may change again without its times moving: the coarsest clocks (FAT) tick in 2 s.
_SETTLED_NS = 2_000_000_000
_DIGESTS_KEPT = 10_000


class File:
    """A file that an app reads or writes, local or remote.

    Args:
        url: a path, or a URL such as `http://host/data.csv` or `zip:/path/to.zip/inside.csv`.

    Attributes:
        url: as given.
        scheme, netloc, path: its parts; a plain path has the scheme "file".
        filename: the last part of the path.
        local_path: where staging put the file on the worker; None before, and for a local file.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url: str = os.fspath(url)
        if not isinstance(self.url, str):
            raise TypeError(f"File: got {url!r}, takes a path or URL as text")
        self.scheme, self.netloc, self.path = _parts(self.url)
        self.filename = os.path.basename(self.path)
        self.local_path: str | None = None

    @property
    def filepath(self) -> str:
        """The path to open on this machine.

        Raises:
            ValueError: the file is remote and has not been staged.
        """
        if self.local_path is not None:
            return self.local_path
        if self.scheme == "file":
            return self.path
        raise ValueError(f"{self.url} has no local path: it is remote, and was not staged here")

    def cleancopy(self) -> File:
        """The same file before any staging: tasks get copies, so that the caller's own stays as it is."""
        return type(self)(self.url)

    def __fspath__(self) -> str:
        return self.filepath

    def __str__(self) -> str:
        # The URL where there is no path: a sentence about a file must not fail for want of the file.
        return self.url if self.local_path is None and self.scheme != "file" else self.filepath

    def __repr__(self) -> str:
        staged = f", local_path={self.local_path!r}" if self.local_path is not None else ""
        return f"<{type(self).__name__} {self.url!r}{staged}>"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.url, self.local_path) == (other.url, other.local_path)

    def __hash__(self) -> int:
        return hash(self.url)  # local_path may change while the file is in a set

    def __parslish_key__(self) -> Any:
        """What tells this file from another: its content, wherever it lies; the URL when it is remote.

        Raises:
            Unidentifiable: there is no such file yet, it is no regular file, or it changes while it is read.
        """
        return ("content", digest(self.path)) if self.scheme == "file" else ("url", self.url)


class Stamp(NamedTuple):
    """What changes when a file's content does. ctime too: a copy with the old mtime (`cp -p`) is seen."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def digest(path: str) -> bytes:
    """The blake3 digest of a file's content: read once, then known by its `Stamp`.

    Raises:
        Unidentifiable: as `File.__parslish_key__`.
    """
    try:
        stamp = _stamp(path, os.stat(path))
        if time.time_ns() - max(stamp.mtime_ns, stamp.ctime_ns) < _SETTLED_NS:
            return _read(path, stamp)
        return _known(path, stamp)
    except (OSError, ValueError) as exc:  # the latter for a null byte
        raise Unidentifiable("File", f"{path!r}: {getattr(exc, 'strerror', exc)}") from exc


def _read(path: str, stamp: Stamp) -> bytes:
    """Digest the file, and see to it that it was the same file all the while."""
    state = blake3()
    block = memoryview(bytearray(min(_BLOCK_BYTES, stamp.size + 1)))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(block):
            state.update(block[:count])
        if _stamp(path, os.fstat(file.fileno())) != stamp:
            raise Unidentifiable("File", f"{path!r} changes while it is read")
    return state.digest()


_known = functools.lru_cache(_DIGESTS_KEPT)(_read)


def _stamp(path: str, status: os.stat_result) -> Stamp:
    if not stat.S_ISREG(status.st_mode):
        # A folder has no content of its own; opening a pipe would wait for ever.
        raise Unidentifiable("File", f"{path!r} is no regular file")
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _parts(url: str) -> tuple[str, str, str]:
    if not _URL.match(url):
        return "file", "", url
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path
