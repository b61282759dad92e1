"""Owns large values of a store: one file each, named by the digest of what is in it, so an equal value is stored once.

A record refers to its blob by digest, and the record is signed; so a blob needs no signature, and whatever else may
lie under its name is not taken for it. A blob is durable, under its name, before anything refers to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from blake3 import blake3

from parslish.errors import StoreCorrupt
from parslish.identity.atoms import hasher
from parslish.store import folder
from parslish.store.disk import OS_DISK, Disk
from parslish.store.source import Source
from parslish.store.values import BLOB, Encoded, Piece

SUFFIX: Final = ".blob"
UNFINISHED: Final = ".unfinished"  #: what a kill may leave of a blob; nothing refers to it
_DIGEST_BYTES: Final = 32
_SIZE: Final = struct.Struct("<Q")
CHUNK_BYTES: Final = 8 << 20  # digested and written, or read and digested, while the processor's cache holds it
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Reference(NamedTuple):
    """What a record says of its blob: BLAKE3 of the content, and the sizes in bytes of the sections it consists of."""

    digest: bytes
    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(self.sizes)

    def pack(self) -> bytes:
        """The reference as a record holds it."""
        return bytes((BLOB,)) + self.digest + b"".join(map(_SIZE.pack, self.sizes))


def reference_in(encoded: Encoded) -> Reference | None:
    """The reference that stands for a value; None for a value that is in the record itself."""
    if not isinstance(encoded, bytes | memoryview) or len(encoded) <= _DIGEST_BYTES or encoded[0] != BLOB:
        return None
    sizes, rest = divmod(len(encoded) - 1 - _DIGEST_BYTES, _SIZE.size)
    if rest or not sizes:
        return None
    digest = bytes(encoded[1 : 1 + _DIGEST_BYTES])
    return Reference(digest, tuple(size for (size,) in _SIZE.iter_unpack(encoded[1 + _DIGEST_BYTES :])))


def path_of(where: Path, digest: bytes) -> Path:
    """The file of a blob in a store's folder."""
    return where / (digest.hex() + SUFFIX)


class Blobs:
    """Writes the blobs of one store's folder, for any number of threads and processes.

    Args:
        where: the folder, which is there.
    """

    def __init__(self, where: Path, disk: Disk = OS_DISK) -> None:
        self._folder, self._disk = where, disk
        self._written: set[bytes] = set()  # digests of blobs that this process knows to be whole

    def put(self, sections: Sequence[Sequence[Piece]]) -> Reference:
        """Store content that consists of sections, each of pieces. Memory that others may change is no danger: it is
        looked at again when all is written.

        Raises OSError, and leaves nothing behind.
        """
        reference = _reference(sections)
        if reference.digest in self._written and self._is_there(reference):
            return reference
        folder.make(self._disk, self._folder)  # somebody may have removed it
        unfinished = self._folder / f"{secrets.token_hex(16)}{UNFINISHED}"
        try:
            if not self._write(unfinished, sections, reference.digest):
                # Changed meanwhile: a copy is what is stored, as it is now.
                sections = _copied(sections)
                self._disk.unlink(unfinished)
                reference = _reference(sections)
                self._write(unfinished, sections, reference.digest)
            self._disk.rename(unfinished, path_of(self._folder, reference.digest))
        except BaseException:
            with contextlib.suppress(OSError):
                self._disk.unlink(unfinished)
            raise
        folder.sync(self._disk, self._folder)
        self._written.add(reference.digest)
        return reference

    def _is_there(self, reference: Reference) -> bool:
        try:
            return self._disk.stat(path_of(self._folder, reference.digest)).st_size == reference.size
        except OSError:
            return False

    def _write(self, path: Path, sections: Sequence[Sequence[Piece]], digest: bytes) -> bool:
        """Write and fsync a file; False when the content is not what it was. Raises OSError."""
        fd = self._disk.open(path, NEW, 0o600)
        try:
            folder.open_to_readers(self._disk, fd, path.parent)
            for section in sections:
                for piece in section:
                    write_piece(self._disk, fd, memoryview(piece))
            again = _Digest(sections)
            try:
                self._disk.fsync(fd)
            finally:
                found = again.wait()
            return found == digest
        finally:
            self._disk.close(fd)


class _Digest:
    """The digest of content, taken on a thread of its own beside an fsync, which waits for the disk; on the caller's
    where there can be no thread: memory is short, or the interpreter is ending."""

    def __init__(self, sections: Sequence[Sequence[Piece]]) -> None:
        self._sections = sections
        self._found: bytes | None = None
        # No pool: what a pool needs for its end cannot be had when a script has ended and its last tasks have not.
        self._thread: threading.Thread | None = threading.Thread(target=self._take, name="parslish-blob", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None

    def wait(self) -> bytes | None:
        if self._thread is None:
            self._take()
        else:
            self._thread.join()
        return self._found

    def _take(self) -> None:
        self._found = _reference(self._sections).digest


def write_piece(disk: Disk, fd: int, piece: memoryview) -> None:
    """Write all of a piece of memory. Raises OSError."""
    for at in range(0, len(piece), CHUNK_BYTES):
        chunk = piece[at : at + CHUNK_BYTES]
        while chunk:
            written = disk.write(fd, chunk)
            if not written:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            chunk = chunk[written:]


def read(where: Path, reference: Reference, disk: Disk = OS_DISK) -> list[bytearray]:
    """The sections of a blob, each in memory of its own, so that an array can be made of it without a copy.

    Raises:
        StoreCorrupt: the blob is not there, or not what the record refers to.
    """
    path = path_of(where, reference.digest)
    try:
        source = Source(disk, path, shared=True)  # its digest tells whether it is the one
        if source.size != reference.size:
            raise StoreCorrupt(f"{str(path)!r} is damaged: {source.size:,} bytes long, not {reference.size:,}")
        state = hasher(reference.size)
        sections = []
        place = 0
        for size in reference.sizes:
            sections.append(section := bytearray(size))
            place += _fill(source, place, memoryview(section), state)
    except (OSError, MemoryError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc) or "memory is short"
        raise StoreCorrupt(f"{str(path)!r} cannot be read: {why}") from exc
    if state.digest() != reference.digest:
        raise StoreCorrupt(f"{str(path)!r} is damaged: its content is not what was stored")
    return sections


def check(disk: Disk, where: Path, reference: Reference) -> str | None:
    """A sentence on what is wrong with a blob, without keeping any of it in memory; None when it is whole."""
    path = path_of(where, reference.digest)
    state = hasher(reference.size)
    try:
        source = Source(disk, path, shared=True)
        if source.size != reference.size:
            return f"its value in {path.name} is {source.size:,} bytes long, not {reference.size:,}"
        buffer = memoryview(bytearray(min(CHUNK_BYTES, reference.size)))
        for place in range(0, reference.size, CHUNK_BYTES):
            _fill(source, place, buffer[: reference.size - place], state)
    except OSError as exc:
        return f"its value in {path.name} cannot be read: {exc.strerror or exc}"
    return None if state.digest() == reference.digest else f"its value in {path.name} is not what was stored"


def _fill(source: Source, place: int, into: memoryview, state: blake3) -> int:
    """Read as much as `into` takes, from `place` on, and digest it; returns how much that is. Raises OSError."""
    for at in range(0, len(into), CHUNK_BYTES):
        chunk = into[at : at + CHUNK_BYTES]
        got = source.read_into(place + at, chunk)
        if got != len(chunk):
            raise OSError(errno.EIO, "it ends too early")
        state.update(chunk)
    return len(into)


def _reference(sections: Sequence[Sequence[Piece]]) -> Reference:
    sizes = tuple(sum(map(len, section)) for section in sections)
    state = hasher(sum(sizes))
    for section in sections:
        for piece in section:
            state.update(piece)
    return Reference(state.digest(), sizes)


def _copied(sections: Sequence[Sequence[Piece]]) -> Sequence[Sequence[Piece]]:
    try:
        return [[b"".join(section)] for section in sections]
    except MemoryError:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from None
