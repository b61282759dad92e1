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
            source = self.sources.get(number)
            block = source.read(offset, _FIRST_READ)
            header = frame.parse(block)
            if header is None:
                self._tell_damaged(part, offset, header)
                return None
            # A list, for speed: there is one signer, and a generator costs as much as its signature.
            if not any([frame.is_signed(header, block, signer) for signer in part.signers]):  # noqa: C419
                self._tell_unsigned(part, offset)
                return None
            body = block[HEADER_BYTES : HEADER_BYTES + header.length]
            if len(body) < header.length:
                body = source.read(offset + HEADER_BYTES, header.length)
        except OSError as exc:
            self._report.add(Kind.UNREADABLE, part.summary.path, f"cannot be read: {exc.strerror or exc}")
            return None
        if not frame.is_whole(header, body):
            self._tell_damaged(part, offset, header)
            return None
        summary = part.summary
        return Record(body, header.run, header.writer, header.seq, summary.path.parent, header.type, header.key)

    def _tell_damaged(self, part: Part, offset: int, header: Header | None) -> None:
        watermark = part.summary.watermark
        # A frame that was never synced may be incomplete after a power cut: nothing was promised about it.
        kind = Kind.TORN if header is not None and header.seq >= watermark else Kind.CORRUPT
        self._report.add(kind, part.summary.path, f"the record at byte {offset} is damaged: passed over", 1)

    def _tell_unsigned(self, part: Part, offset: int) -> None:
        sentence = f"the record at byte {offset} has a signature that is not ours: passed over"
        self._report.add(Kind.UNTRUSTED, part.summary.path, sentence, 1)
