"""Owns the only door to the operating system for stored bytes; leaves every decision to its callers.

A test stands a `Disk` in that fails at the N-th call, or that records what a power cut could have undone.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Final

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  #: what fails by these may fit when it is smaller


class Disk:
    """Files, folders and the wall clock, as the store uses them. Every call raises OSError as `os` does."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    writev = staticmethod(os.writev)
    pread = staticmethod(os.pread)
    preadv = staticmethod(os.preadv)
    fsync = staticmethod(os.fsync)
    truncate = staticmethod(os.ftruncate)
    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    fchmod = staticmethod(os.fchmod)
    stat = staticmethod(os.stat)
    listdir = staticmethod(os.listdir)
    mkdir = staticmethod(os.mkdir)
    unlink = staticmethod(os.unlink)
    rename = staticmethod(os.rename)
    time = staticmethod(time.time)


OS_DISK = Disk()
