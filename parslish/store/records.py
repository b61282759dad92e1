"""Owns opening one record: nobody gets a body before its checksum and its signature hold (I6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from parslish.store import frame
from parslish.store.disk import Disk
from parslish.store.frame import HEADER_BYTES, Header, Signer
from parslish.store.report import Kind, Report
from parslish.store.source import Source, Sources
from parslish.store.summary import Summary

_FIRST_READ: Final = 4096  # most records are read whole by one call
_READ_ON: Final = 1 << 16  # and their neighbours with them, while records are asked for in their order


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


class Opener:
    """Opens the records of a list of segments, which may grow; tells the report about those it cannot."""

    def __init__(self, parts: list[Part], report: Report, *, shared: bool, disk: Disk) -> None:
        self._parts, self._report = parts, report
        self.sources = Sources(lambda number: Source(disk, parts[number].summary.path, shared=shared))
        # The last block read: (segment, offset, bytes). Replaced as a whole, so threads need no lock.
        self._block: tuple[int, int, bytes] = (-1, 0, b"")

    def head(self, number: int, offset: int) -> Header | None:
        """The header at a place of segment `number`, when it can be read; its signature is not checked."""
        try:
            return frame.parse(self.sources.get(number).read(offset, HEADER_BYTES))
        except OSError:
            return None

    def open(self, number: int, offset: int) -> Record | None:
        """The record at a place of segment `number`, or None."""
        part = self._parts[number]
        try:
            block, at = self._read(number, offset)
            header = frame.parse(block, at)
            if header is None:
                self._tell_damaged(part, offset, header)
                return None
            # A list, for speed: there is one signer, and a generator costs as much as its signature.
            if not any([frame.is_signed(header, block, signer, at) for signer in part.signers]):  # noqa: C419
                self._tell_unsigned(part, offset)
                return None
            body = block[at + HEADER_BYTES : at + HEADER_BYTES + header.length]
            if len(body) < header.length:
                body = self.sources.get(number).read(offset + HEADER_BYTES, header.length)
        except OSError as exc:
            self._report.add(Kind.UNREADABLE, part.summary.path, f"cannot be read: {exc.strerror or exc}")
            return None
        if not frame.is_whole(header, body):
            self._tell_damaged(part, offset, header)
            return None
        return Record(body, header.run, header.writer, header.seq, part.folder, header.type, header.key)

    def _read(self, number: int, offset: int) -> tuple[bytes, int]:
        """A block that holds a header at the given place of segment `number`, and where in it. Raises OSError."""
        held, start, block = self._block
        at = offset - start
        if held != number or not 0 <= at <= len(block) - HEADER_BYTES:
            follows = held == number and 0 <= at <= len(block)
            block = self.sources.get(number).read(offset, _READ_ON if follows else _FIRST_READ)
            self._block, at = (number, offset, block), 0
        return block, at

    def _tell_damaged(self, part: Part, offset: int, header: Header | None) -> None:
        watermark = part.summary.watermark
        # A frame that was never synced may be incomplete after a power cut: nothing was promised about it.
        kind = Kind.TORN if header is not None and header.seq >= watermark else Kind.CORRUPT
        self._report.add(kind, part.summary.path, f"the record at byte {offset} is damaged: passed over", 1)

    def _tell_unsigned(self, part: Part, offset: int) -> None:
        sentence = f"the record at byte {offset} has a signature that is not ours: passed over"
        self._report.add(Kind.UNTRUSTED, part.summary.path, sentence, 1)
