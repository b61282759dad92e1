"""Owns opening one record: nobody gets a body before its checksum and its signature hold (I6).

A segment may go while it is read: another process has written its records anew, and removed it. That is told as
`Vanished`, and never as damage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from parslish.store import frame
from parslish.store.disk import Disk
from parslish.store.frame import HEADER_BYTES, Header, Signer
from parslish.store.report import Kind, Report
from parslish.store.source import Source, Sources, is_gone
from parslish.store.summary import Summary

_FIRST_READ: Final = 4096  # most records are read whole by one call
_READ_ON: Final = 1 << 16  # and their neighbours with them, while records are asked for in their order
_NO_BLOCK: Final = (-1, 0, b"")
_TRIES: Final = 3  # to read a record, and one more before it is called damaged


class Vanished(Exception):
    """A segment is no longer there, or no longer as it was read: what it held may be found in another, or again."""


class Record(NamedTuple):
    """A stored frame that is what its writer wrote."""

    body: bytes
    run_number: int
    writer: bytes
    seq: int
    folder: Path
    type: int
    key: bytes

    @property
    def name(self) -> tuple[bytes, int]:
        """What a tombstone calls it."""
        return self.writer, self.seq


@dataclass(frozen=True, slots=True)
class Part:
    """A segment of a store, and the keys that may have signed in it (one, unless its header is damaged)."""

    summary: Summary
    folder: Path
    signers: tuple[Signer, ...]


def is_continued(part: Part, source: Source) -> bool:
    """Whether a segment still has the frame that was last read of it. If not, its writer has cut it back, since the
    disk refused what was to follow, and gone on from there. Raises OSError."""
    last = part.summary.last
    return last is None or frame.parse(source.read(last.start, HEADER_BYTES)) == last.header


def _source(parts: list[Part | None], shared: bool, disk: Disk, number: int) -> Source:
    part = parts[number]
    if part is None:
        raise Vanished
    return Source(disk, part.summary.path, shared=shared)


class Opener:
    """Opens the records of a list of segments, which may grow; tells the report about those it cannot.

    Segment numbers are places in that list, where None stands for a segment that is gone.
    """

    def __init__(self, parts: list[Part | None], report: Report, *, shared: bool, disk: Disk) -> None:
        self._parts, self._report = parts, report
        # Not a method of its own: in a circle of references, descriptors stay open until the collector comes.
        self.sources = Sources(partial(_source, parts, shared, disk))
        # The last block read: (segment, offset, bytes). Replaced as a whole, so threads need no lock.
        self._block: tuple[int, int, bytes] = _NO_BLOCK

    def head(self, number: int, offset: int) -> Header | None:
        """The header at a place of segment `number`, when it can be read; its signature is not checked.

        Raises:
            Vanished: the segment is gone.
        """
        for _ in range(2):
            try:
                return frame.parse(self.sources.get(number).read(offset, HEADER_BYTES))
            except OSError as exc:
                self._let_go(number, exc)
        return None

    def open(self, number: int, offset: int, tries: int = _TRIES) -> Record | None:
        """The record at a place of segment `number`, or None.

        Raises:
            Vanished: the segment is gone.
        """
        part = self._parts[number]
        if part is None:
            raise Vanished
        try:
            block, at = self._read(number, offset)
            header = frame.parse(block, at)
            if header is None:
                return self._look_again(part, number, offset, header, tries)
            for signer in part.signers:  # spelled out: there is one as a rule, and `any` costs as much as its signature
                if frame.is_signed(header, block, signer, at):
                    break
            else:
                self._tell_unsigned(part, offset)
                return None
            body = block[at + HEADER_BYTES : at + HEADER_BYTES + header.length]
            if len(body) < header.length:
                body = self.sources.get(number).read(offset + HEADER_BYTES, header.length)
        except OSError as exc:
            self._let_go(number, exc)
            if tries > 1:
                return self.open(number, offset, tries - 1)
            self._report.add(Kind.UNREADABLE, part.summary.path, f"cannot be read: {exc.strerror or exc}")
            return None
        if not frame.is_whole(header, body):
            return self._look_again(part, number, offset, header, tries)
        return Record(body, header.run, header.writer, header.seq, part.folder, header.type, header.key)

    def renew(self, number: int, source: Source) -> None:
        """Segment `number` has grown: `source` shows all of it."""
        self.sources.put(number, source)
        self._block = _NO_BLOCK

    def _read(self, number: int, offset: int) -> tuple[bytes, int]:
        """A block that holds a header at the given place of segment `number`, and where in it. Raises OSError."""
        held, start, block = self._block
        at = offset - start
        if held != number or not 0 <= at <= len(block) - HEADER_BYTES:
            follows = held == number and 0 <= at <= len(block)
            block = self.sources.get(number).read(offset, _READ_ON if follows else _FIRST_READ)
            self._block, at = (number, offset, block), 0
        return block, at

    def _let_go(self, number: int, exc: OSError) -> None:
        """After an error, open the segment anew the next time. Raises Vanished when it is not there any more."""
        self.sources.forget(number)
        self._block = _NO_BLOCK
        if is_gone(exc):
            try:
                self.sources.get(number)
            except OSError as gone:
                if is_gone(gone):
                    self._parts[number] = None
                    raise Vanished from None

    def _look_again(self, part: Part, number: int, offset: int, header: Header | None, tries: int) -> Record | None:
        """A frame is not what it should be: the block may be old. If not, it is damaged, unless its writer has cut
        the segment back meanwhile."""
        if tries:
            self._block = _NO_BLOCK
            return self.open(number, offset, 0)
        try:
            if not part.summary.closed and not is_continued(part, self.sources.get(number)):
                self._parts[number] = None
                raise Vanished
        except OSError as exc:
            self._let_go(number, exc)
        self._tell_damaged(part, offset, header)
        return None

    def _tell_damaged(self, part: Part, offset: int, header: Header | None) -> None:
        watermark = part.summary.watermark
        # A frame that was never synced may be incomplete after a power cut: nothing was promised about it.
        kind = Kind.TORN if header is not None and header.seq >= watermark else Kind.CORRUPT
        self._report.add(kind, part.summary.path, f"the record at byte {offset} is damaged: passed over", 1)

    def _tell_unsigned(self, part: Part, offset: int) -> None:
        sentence = f"the record at byte {offset} has a signature that is not ours: passed over"
        self._report.add(Kind.UNTRUSTED, part.summary.path, sentence, 1)
