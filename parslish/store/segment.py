"""Owns one segment while it is written: whole frames or nothing, and the index of what it holds.

When to sync, and what to do when the disk refuses, is the log's business.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from parslish.store import folder, frame, index
from parslish.store.disk import Disk
from parslish.store.frame import SegmentHeader, Signer, Type
from parslish.store.pending import Entry

CLOSE_BODY: Final = struct.Struct("<Q")  # where the index frame begins
SPECIALS: Final = frozenset({Type.TOMBSTONE, Type.BASES})  # what a reader must see before any result
_RESULT: Final = int(Type.RESULT)
_JOIN_BYTES: Final = 1 << 18  # below this, joining headers and bodies costs less than writev
_MOST_PIECES: Final = 1024  # that a gathering write takes
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
            folder.open_to_readers(disk, self._fd, where)
            self._write([frame.pack_segment_header(header)], frame.SEGMENT_HEADER_BYTES)
        except BaseException:
            self.close()
            with contextlib.suppress(OSError):
                disk.unlink(self.path)
            raise

    def append(self, entries: Sequence[Entry], watermark: int, flags: int = 0) -> bytes | None:
        """Append numbered entries as frames, with one write; return what was written, if that was in one piece.

        Raises OSError; then no part of any of them is left.
        """
        run, _, writer, *_ = self._header
        sign, digest, pack, entry = self._sign, frame.digest, frame.pack, index.entry
        pieces: list[bytes] = []
        indexed, specials = bytearray(), []
        place = self.size
        for each in entries:
            type, key, body = each.type, each.key, each.body
            assert body is not None
            length = len(body)
            pieces += (pack(sign, type, flags, run, writer, length, each.seq, watermark, key, digest(body)), body)
            if type == _RESULT:
                indexed += entry(key, place)
            elif type in SPECIALS:
                specials.append(place)
            place += frame.HEADER_BYTES + length
        written = self._write(pieces, place - self.size)
        self._entries += indexed
        self._specials += specials
        return written

    def append_control(self, type: int, body: bytes, seq: int, watermark: int) -> None:
        """Append a frame about other frames; `seq` is the number that the next one will get. Raises OSError."""
        entry = Entry(type, body, frame.NO_KEY)
        entry.seq = seq
        self.append([entry], watermark, frame.CONTROL)

    def fsync(self) -> None:
        """Make all that is written durable, and the file's name.

        Raises:
            FileNotFoundError: somebody has removed the file, moved it away or cut it, and with it what was durable.
            OSError: the disk refuses.
        """
        try:
            size = self.size
            self._disk.fsync(self._fd)
            self._look_for_it(size)
            if not self._named:
                folder.sync(self._disk, self.path.parent)
                self._named = True
        except OSError as exc:
            self.sealed = True
            if exc.errno == errno.ESTALE:  # as a server of files tells that it was removed
                self._look_for_it(0)
            raise

    def _look_for_it(self, size: int) -> None:
        """Raises FileNotFoundError when what was written, so many bytes, is not where readers look for it."""
        try:
            named = self._disk.stat(self.path)
        except FileNotFoundError:
            raise _gone(self.path, "it was removed, or moved away") from None
        except OSError:
            return
        if size and not os.path.samestat(named, self._disk.fstat(self._fd)):
            raise _gone(self.path, "it was replaced")
        if named.st_size < size:
            raise _gone(self.path, "it was cut off")

    def durable(self, synced: int) -> int:
        """How many results, or other frames but those about folders, are in the file below the number `synced`."""
        return max(0, synced - self._header.first - len(self._specials))

    def finish(self, seq: int) -> None:
        """Append the index and the mark that the segment is whole, for readers' speed; sync. Raises OSError.

        Everything before must have been synced: `seq`, the number of the next frame, becomes the watermark.
        """
        packed = bytes(self._entries)
        entries = [packed[at : at + index.ENTRY_BYTES] for at in range(0, len(packed), index.ENTRY_BYTES)]
        place = self.size
        self.append_control(Type.INDEX, index.Table.build(entries).pack(self._specials), seq, seq)
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

    def _write(self, pieces: Sequence[bytes], size: int) -> bytes | None:
        """Write pieces one after the other; returns them as one, unless they were too large to be joined."""
        if self.sealed:
            raise OSError(f"segment {self.path} is sealed")
        joined = b"".join(pieces) if size < _JOIN_BYTES else None
        try:
            if joined is not None:
                self._write_rest([joined], size, self._disk.write(self._fd, joined))
            else:
                for at in range(0, len(pieces), _MOST_PIECES):
                    some = pieces[at : at + _MOST_PIECES]
                    self._write_rest(some, sum(map(len, some)), self._disk.writev(self._fd, some))
        except BaseException:  # Ctrl-C, too: nobody knows how far the write has come
            self._cut_back()
            raise
        self.size += size
        return joined

    def _write_rest(self, pieces: Sequence[bytes], size: int, written: int) -> None:
        """Go on after a short write, which the kernel may do at any size, and does from 2 GiB on."""
        if written == size:
            return
        for piece in pieces:
            rest = memoryview(piece)[written:]
            written = max(0, written - len(piece))
            while rest:
                count = self._disk.write(self._fd, rest)
                if not count:  # for ever, perhaps
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                rest = rest[count:]

    def _cut_back(self) -> None:
        """Cut the file back to its last whole frame, so that the next one does not follow half a frame."""
        try:
            self._disk.truncate(self._fd, self.size)
        except OSError:
            self.sealed = True


def _gone(path: Path, what: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, what, str(path))
