"""Owns copying large values from one store to another, piece by piece, whatever their size."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from parslish.errors import StoreCorrupt
from parslish.identity.atoms import hasher
from parslish.store import blobs, folder
from parslish.store.blobs import Reference
from parslish.store.disk import Disk
from parslish.store.source import Source


def copy_blob(source: Path, reference: Reference, target: Path, disk: Disk) -> None:
    """Copy a blob between the folders of two stores; the name of the copy is durable once its folder is synced.

    Raises:
        StoreCorrupt: it is not there, cannot be read, or is not what its record refers to.
        OSError: the copy cannot be written; nothing of it is left.
    """
    path = blobs.path_of(source, reference.digest)
    try:
        content = Source(disk, path, shared=True)  # its digest tells whether it is the one
    except OSError as exc:
        raise StoreCorrupt(f"{str(path)!r} cannot be read: {exc.strerror or exc}") from exc
    unfinished = target / f"{secrets.token_hex(16)}{blobs.UNFINISHED}"
    try:
        if not _copy(content, reference, unfinished, disk):
            raise StoreCorrupt(f"{str(path)!r} is damaged: it is not what was stored")
        disk.rename(unfinished, blobs.path_of(target, reference.digest))
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(unfinished)
        raise


def _copy(content: Source, reference: Reference, path: Path, disk: Disk) -> bool:
    """Copy and fsync a file; False when it is not what it should be. Raises OSError."""
    if content.size != reference.size:
        return False
    state = hasher(reference.size)
    fd = disk.open(path, blobs.NEW, 0o600)
    try:
        folder.open_to_readers(disk, fd, path.parent)
        for place in range(0, reference.size, blobs.CHUNK_BYTES):
            chunk = content.read(place, min(blobs.CHUNK_BYTES, reference.size - place))
            state.update(chunk)
            blobs.write_piece(disk, fd, memoryview(chunk))
        disk.fsync(fd)
    finally:
        disk.close(fd)
    return state.digest() == reference.digest
