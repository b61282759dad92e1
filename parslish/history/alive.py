"""Owns whether a segment may still have a living writer. Whoever may be alive is never touched (I5).

A writer is dead for sure when its segment ends in a close frame, when the run that it belongs to has ended, or when
its process is gone from this machine. Nobody can ask another machine, or see into another container, so a segment from
there is left alone until its run has ended, or a user says that all there has. No clock has a say in this.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from parslish.history import card
from parslish.history.folder import CHECKPOINT, EVENTS
from parslish.store import folder
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import NewerFormat
from parslish.store.loading import NoSegment, load, quickly
from parslish.store.source import Source

_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}-(?P<host>[A-Za-z0-9._]+)-(?P<pid>\d+)-[0-9a-f]+-\d+\.seg")


class Process(NamedTuple):
    """Where a writer runs, or ran; `host` as segment names have it."""

    host: str
    pid: int


def segment(path: Path, disk: Disk = OS_DISK, ended: Collection[str] = ()) -> str | None:
    """Why the writer of a segment may be alive; None when it is dead for sure.

    Args:
        ended: hosts of which the user says that all processes have ended there.
    """
    if _is_closed(path, disk):
        return None
    writer = _writer(path)
    if writer is None:
        return "its name does not tell who writes it, and it is not closed"
    if _has_ended(path.parent, writer):
        return None
    if writer.host in map(_host, ended):
        return None
    if writer.host != here():
        return f"process {writer.pid} on {writer.host} may still write to it"
    if path.parent.name in (CHECKPOINT, EVENTS) and is_in_another_container(card.read(path.parent.parent)):
        return f"process {writer.pid} in another container on {writer.host} may still write to it"
    if _writes_to(writer.pid, path):
        return f"process {writer.pid} still writes to it"
    return None


def store(path: Path, disk: Disk = OS_DISK, ended: Collection[str] = ()) -> bool:
    """Whether anybody may be writing to a store, or be about to; `ended` as in `segment`."""
    return (path.name == CHECKPOINT and run(path.parent, ended)) or any(
        segment(each, disk, ended) for each in folder.segments(disk, path)
    )


def run(path: Path, ended: Collection[str] = ()) -> bool:
    """Whether the process of a run may still be at it, by its run card; `ended` as in `segment`."""
    facts = card.read(path)
    if not facts or facts.get("ended") is not None:
        return False
    process = _run_process(facts)
    if process is None or process.host in map(_host, ended):
        return process is None
    return process.host != here() or is_in_another_container(facts) or exists(process.pid)


def here() -> str:
    """The name of this machine, as segments' names have it."""
    return _host(socket.gethostname())


def _is_closed(path: Path, disk: Disk) -> bool:
    try:
        return load(Source(disk, path, shared=True), quickly).closed
    except (OSError, NoSegment, NewerFormat):
        return False


def _writer(path: Path) -> Process | None:
    match = _NAME.fullmatch(path.name)
    return Process(match["host"], int(match["pid"])) if match else None


def _has_ended(where: Path, writer: Process) -> bool:
    """Whether the writer is the process of a run that has ended: a fork of it, or who thins its store out, is not."""
    if where.name not in (CHECKPOINT, EVENTS):
        return False
    facts = card.read(where.parent)
    return facts.get("ended") is not None and _run_process(facts) == writer


def _run_process(facts: dict[str, object]) -> Process | None:
    host, pid = facts.get("host"), facts.get("pid")
    return Process(_host(host), pid) if isinstance(host, str) and isinstance(pid, int) else None


def _host(name: str) -> str:
    """The name of a machine as `folder.segment_name` has it."""
    return re.sub(r"[^A-Za-z0-9.]", "_", name)[:48]


def machine() -> str:
    """What tells this machine since its last start, and the process numbers as seen from here, from all others; empty
    when that is not known."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def is_in_another_container(facts: Mapping[str, object]) -> bool:
    """Whether a run has its process on this machine, and its number means nothing here. (Another start of the machine
    is another matter: no process has lived through it.)"""
    theirs, ours = str(facts.get("machine")).split(), machine().split()
    return theirs[:1] == ours[:1] and theirs != ours


def exists(pid: int) -> bool:
    """Whether there is a process of that number on this machine, as seen from here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and nobody has asked how: in a container that may never happen."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except (OSError, IndexError):
        return False


def _writes_to(pid: int, path: Path) -> bool:
    """Whether a process has a file open to write, or another in its folder, or cannot be asked. That a process of that
    number exists says little: numbers are given again."""
    descriptors = f"/proc/{pid}/fd"
    try:
        names = os.listdir(descriptors)
    except FileNotFoundError:
        return exists(pid) and not os.path.exists("/proc/self")
    except OSError:
        return True
    return any(_is_open_to_write(os.path.join(descriptors, name), path) for name in names)


def _is_open_to_write(descriptor: str, path: Path) -> bool:
    try:
        if not os.lstat(descriptor).st_mode & stat.S_IWUSR:
            return False
        if os.path.dirname(os.readlink(descriptor)) == os.path.realpath(path.parent):
            return True
        return os.path.samestat(os.stat(descriptor), os.stat(path))  # seen under another name from over there
    except OSError:
        return False  # closed meanwhile, or no file
