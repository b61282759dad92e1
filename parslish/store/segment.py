"""Owns one segment while it is written: whole frames or nothing, and the index of what it holds.

When to sync, and what to do when the disk refuses, is the log's business.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import Final

from parslish.store import folder, frame, index
from parslish.store.disk import Disk
from parslish.store.frame import SegmentHeader, Signer, Type

CLOSE_BODY: Final = struct.Struct("<Q")  # where the index frame begins
SPECIALS: Final = frozenset({Type.TOMBSTONE, Type.BASES})  # what a reader must see before any result
_JOIN_BYTES: Final = 1 << 16  # below this, joining header and body costs less than writev
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class SegmentWriter:
    """A new segment in `path`, with its header written. Raises OSError, and then leaves no file behind.

    Not for two threads at once, but `fsync` may run beside the rest. After an error that leaves the end of
    the file unknown, or a failed fsync, `sealed` is True and nothing is written any more (I8).
    """

    def __init__(self, disk: Disk, where: Path, header: SegmentHeader, sign: Signer) -> None:
        self._disk, self._header, self._sign = disk, header, sign
        self.path = where / folder.segment_name(header.created_us / 1e6, header.writer, header.ordinal)
        self.ordinal = header.ordinal
        self.size = 0
        self.sealed = False
        self._entries = bytearray()
        self._specials: list[int] = []
        self._named = False  # whether the folder's entry for it is known to be durable
        self._fd = disk.open(self.path, _FLAGS, 0o600)
        try:
            self._write(frame.pack_segment_header(header), b"")
        except OSError:
            self.close()
            with contextlib.suppress(OSError):
                disk.unlink(self.path)
            raise

    def append(
        self, type: int, body: bytes, key: bytes, digest: bytes, seq: int, watermark: int, flags: int = 0
    ) -> int:
        """Append one frame and return its place. Raises OSError; then no part of the frame is left."""
        run, _, writer, *_ = self._header
        place = self.size
        header = frame.pack(self._sign, type, flags, run, writer, len(body), seq, watermark, key, digest)
        self._write(header, body)
        if type == Type.RESULT:
            self._entries += index.entry(key, place)
        elif type in SPECIALS:
            self._specials.append(place)
        return place

    def append_control(self, type: int, body: bytes, seq: int, watermark: int) -> int:
        """Append a frame about other frames; `seq` is the number that the next one will get. Raises OSError."""
        return self.append(type, body, frame.NO_KEY, frame.digest(body), seq, watermark, frame.CONTROL)

    def fsync(self) -> None:
        """Make all that is written durable, and the file's name. Raises OSError."""
        try:
            self._disk.fsync(self._fd)
            if not self._named:
                folder.sync(self._disk, self.path.parent)
                self._named = True
        except OSError:
            self.sealed = True
            raise

    def finish(self, seq: int) -> None:
        """Append the index and the mark that the segment is whole, for readers' speed; sync. Raises OSError.

        Everything before must have been synced: `seq`, the number of the next frame, becomes the watermark.
        """
        packed = bytes(self._entries)
        entries = [packed[at : at + index.ENTRY_BYTES] for at in range(0, len(packed), index.ENTRY_BYTES)]
        place = self.append_control(Type.INDEX, index.Table.build(entries).pack(self._specials), seq, seq)
        self.append_control(Type.CLOSE, CLOSE_BODY.pack(place), seq, seq)
        self.fsync()

    def discard(self) -> None:
        """Remove the file, unless something in it may be durable."""
        if not self._named:
            with contextlib.suppress(OSError):
                self._disk.unlink(self.path)

    def close(self) -> None:
        """Give the descriptor back."""
        # What counts was synced before; an error here could only speak of what does not.
        with contextlib.suppress(OSError):
            self._disk.close(self._fd)

    def _write(self, header: bytes, body: bytes) -> None:
        if self.sealed:
            raise OSError(f"segment {self.path} is sealed")
        size = len(header) + len(body)
        try:
            if size < _JOIN_BYTES:
                written = self._disk.write(self._fd, header + body)
            else:
                written = self._disk.writev(self._fd, (header, body))
            if written != size:
                self._write_rest(header, body, written)
        except OSError:
            self._cut_back()
            raise
        self.size += size

    def _write_rest(self, header: bytes, body: bytes, written: int) -> None:
        """Go on after a short write, which the kernel may do at any size, and does from 2 GiB on."""
        for part in (memoryview(header)[written:], memoryview(body)[max(0, written - len(header)) :]):
            while part:
                part = part[self._disk.write(self._fd, part) :]

    def _cut_back(self) -> None:
        """Cut the file back to its last whole frame, so that the next one does not follow half a frame."""
        try:
            self._disk.truncate(self._fd, self.size)
        except OSError:
            self.sealed = True
