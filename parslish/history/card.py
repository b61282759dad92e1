"""Owns `run.json`: what a listing needs to know of a run, in one small file that is replaced whole, or written over
where the disk takes no new one."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

NAME = "run.json"
LIMIT_BYTES = 16 << 20  # of a card that is read; ours have a few kB, and what the command line has
ROOM_BYTES = 1024  # for the end of a run


class Card:
    """The card of a run that goes on.

    Args:
        run: the run's folder.
        facts: what is to stand on it.
    """

    def __init__(self, run: Path, facts: dict[str, Any]) -> None:
        self._run, self._facts = run, facts
        self._lock = threading.Lock()  # guards the facts, and which of two that write comes last
        self.note()

    def note(self, **facts: Any) -> None:
        """Say something else of the run, or say it otherwise."""
        with self._lock:
            self._facts |= facts
            write(self._run, self._facts)


def write(run: Path, facts: dict[str, Any]) -> None:
    """Write a run's card. Trouble costs the card, never the run.

    That of a run which has not ended has room for its end: a full disk takes no new file, but what is there can be
    written over.
    """
    room = b" " * ROOM_BYTES if facts.get("ended") is None else b""
    content = json.dumps(facts, indent=1, default=str).encode()
    new = run / f".{NAME}.{os.getpid()}"
    try:
        _write_new(new, content + room)
        os.replace(new, run / NAME)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        with contextlib.suppress(OSError):
            _write_over(run / NAME, content)


def _write_new(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        os.fchmod(fd, 0o600)  # a killed process of that number may have left it
        file.write(content + b"\n")


def _write_over(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and len(content) < found.st_size <= LIMIT_BYTES:
            os.pwrite(fd, content.ljust(found.st_size - 1) + b"\n", 0)
    finally:
        os.close(fd)


def read(run: Path) -> dict[str, Any]:
    """A run's card; empty when there is none, or it is no card. Nothing vouches for what it says."""
    try:
        facts = json.loads(_content(run / NAME))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _content(path: Path) -> bytes:
    """The start of a regular file; a pipe, device or link that was planted gives nothing. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        with open(fd, "rb", closefd=False) as file:
            return file.read(LIMIT_BYTES)
    finally:
        os.close(fd)
