"""Owns what a store's folder may look like: its segments' names, and whom it must belong to.

Nothing here opens a segment; `segment` writes them and `source` reads them.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from parslish.store.disk import Disk

SUFFIX: Final = ".seg"
_NOT_SYNCABLE: Final = (errno.EINVAL, errno.ENOTSUP)  # some file systems know no fsync of a folder
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_READ: Final = stat.S_IRGRP | stat.S_IROTH


def segment_name(created_s: float, writer: bytes, ordinal: int) -> str:
    """`<UTC time>-<host>-<pid>-<writer>-<ordinal>.seg`: unique without the time, which is there for people."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(created_s))
    host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:48]
    return f"{stamp}.{int(created_s % 1 * 1e6):06d}-{host}-{os.getpid()}-{writer.hex()}-{ordinal}{SUFFIX}"


def segments(disk: Disk, folder: Path) -> list[Path]:
    """The segments of a folder, by name. Raises OSError."""
    return [folder / name for name in sorted(disk.listdir(folder)) if name.endswith(SUFFIX)]


def refusal(found: os.stat_result, shared: bool) -> str | None:
    """Why a folder or segment is not to be trusted with `shared` as it is, or None.

    The signatures keep planted records from being opened in any case; this keeps others from removing and
    replaying ours.
    """
    if shared:
        return None
    if found.st_uid not in (os.getuid(), 0):
        owner = found.st_uid
        return f"belongs to another user (uid {owner}); load it with shared=True (commands: --shared) if you trust them"
    if found.st_mode & _OTHERS_WRITE:
        return "can be written by others: run  chmod go-w  on it, or load it with shared=True (commands: --shared)"
    return None


def make(disk: Disk, folder: Path) -> None:
    """Make a store's folder, for its owner only, and the folders above it that are missing. Raises OSError."""
    missing = []
    above = folder.parent
    while not _exists(disk, above):
        missing.append(above)
        above = above.parent
    for path in reversed(missing):
        with suppress(FileExistsError):
            disk.mkdir(path)
    with suppress(FileExistsError):
        disk.mkdir(folder, 0o700)


def open_to_readers(disk: Disk, fd: int, folder: Path) -> None:
    """Let those read a new file, made for its owner only, who may read its folder. Raises OSError.

    As a rule that is nobody. In a store that is shared, others must see what is stored later, tombstones above all.
    """
    readers = disk.stat(folder).st_mode & _OTHERS_READ
    if readers:
        disk.fchmod(fd, 0o600 | readers)


def sync(disk: Disk, folder: Path) -> None:
    """Make the names in a folder durable, and its own name, and its parent's. Raises OSError.

    A store's folder is `RUN_FOLDER/RUN_ID/checkpoint`: the two above it are usually as new as itself. They are
    not ours alone, so that they cannot be synced is no reason to give up.
    """
    _sync_one(disk, folder)
    for above in (folder.parent, folder.parent.parent):
        with suppress(OSError):
            _sync_one(disk, above)


def _sync_one(disk: Disk, folder: Path) -> None:
    fd = disk.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.fsync(fd)
    except OSError as exc:
        if exc.errno not in _NOT_SYNCABLE:
            raise
    finally:
        disk.close(fd)


def _exists(disk: Disk, path: Path) -> bool:
    try:
        disk.stat(path)
    except FileNotFoundError:
        return False
    return True
