"""Owns `run.json`: what a listing needs to know of a run, in one small file that is replaced whole."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

NAME = "run.json"
LIMIT_BYTES = 16 << 20  # of a card that is read; ours have a few kB, and what the command line has


def write(run: Path, facts: dict[str, Any]) -> None:
    """Write a run's card. Trouble costs the card, never the run."""
    new = run / f".{NAME}.{os.getpid()}"
    with contextlib.suppress(OSError):
        new.write_text(json.dumps(facts, indent=1, default=str) + "\n")
        os.replace(new, run / NAME)


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
