"""Owns members of zip archives as inputs and outputs: `zip:/path/to.zip/inside.txt`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from parslish.errors import UsageError, ZipAuthorityError
from parslish.files import File
from parslish.staging.base import InTaskStaging
from parslish.staging.fetch import replacing

if TYPE_CHECKING:
    from zipfile import ZipFile


def split(file: File) -> tuple[str, str]:
    """The archive's path and the member's name.

    Raises:
        UsageError: the URL names no member of a file `*.zip`, or one outside of the working folder.
    """
    archive, found, member = file.path.partition(".zip/")
    if not found or not member or member.startswith("/") or ".." in member.split("/"):
        raise UsageError(f"{file.url!r} names no member of an archive: write zip:/path/to.zip/inside")
    return archive + ".zip", member


def fetch_member(file: File) -> None:
    """Extract the member to `file.local_path`."""
    from zipfile import ZipFile

    archive, member = split(file)
    with ZipFile(archive) as opened, opened.open(member) as inside, replacing(file.filepath) as copy:
        shutil.copyfileobj(inside, copy)


def store_member(file: File) -> None:
    """Put `file.local_path` into the archive, which is made if need be; a member of that name is replaced.

    The archive is written anew beside the old one and takes its place, so that a kill at any moment leaves a
    whole one: appending would overwrite its directory first. The price is a copy of the archive for each
    member. Tasks take turns by a lock on the folder.
    """
    archive, member = split(file)
    folder = os.path.dirname(archive)
    os.makedirs(folder, exist_ok=True)
    with _turn(folder), replacing(archive) as fresh:
        _write(fresh, archive, member, file.filepath)
        fresh.flush()
        os.fsync(fresh.fileno())


def _write(fresh: IO[bytes], archive: str, member: str, path: str) -> None:
    from zipfile import ZIP_DEFLATED, ZipFile

    with ZipFile(fresh, "w", ZIP_DEFLATED) as new:
        if os.path.exists(archive):
            with ZipFile(archive) as old:
                _copy_members(old, new, but=member)
        new.write(path, member)


def _copy_members(old: ZipFile, new: ZipFile, but: str) -> None:
    for member in old.infolist():
        if member.filename != but:
            with old.open(member) as source, new.open(member, "w") as target:
                shutil.copyfileobj(source, target)


@contextlib.contextmanager
def _turn(folder: str) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class ZipFileStaging(InTaskStaging):
    """Inputs from, and outputs into, local zip archives. A staged member keeps its folders."""

    schemes = frozenset({"zip"})
    fetch = staticmethod(fetch_member)
    store = staticmethod(store_member)

    def place(self, file: File) -> str:
        return split(file)[1]

    def can_stage_in(self, file: File) -> bool:
        return _is_local(file)

    def can_stage_out(self, file: File) -> bool:
        return _is_local(file)


def _is_local(file: File) -> bool:
    if file.scheme == "zip" and file.netloc:
        raise ZipAuthorityError(file.url)
    return file.scheme == "zip"
