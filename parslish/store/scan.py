"""Owns finding the frames of a segment by their headers, in whatever state the file is.

After bytes that are no frame it goes on at the next ones that are. Nothing is believed here but checksums:
signatures are checked when a record is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from parslish.store import frame
from parslish.store.frame import HEADER_BYTES, SEGMENT_HEADER_BYTES, SYNC, Header, SegmentHeader

_BLOCK_BYTES: Final = 1 << 18
_new = tuple.__new__  # once for each frame: `Stretch(…)` would cost three times that
Read = Callable[[int, int], bytes]  # (offset, size) → bytes, fewer at the end of the file


class Stretch(NamedTuple):
    """A piece of a segment: a frame, or (`header` None) bytes that are none."""

    start: int
    end: int
    header: Header | None


class Segment(NamedTuple):
    """A segment to look through.

    `header` is None when it is damaged. `writer` is None when not even a frame tells who wrote it.
    """

    path: Path
    header: SegmentHeader | None
    writer: bytes | None
    read: Read
    size: int

    def stretches(self, start: int | None = None) -> Iterator[Stretch]:
        """Its frames, and what lies between them; from `start` on, where a frame begins."""
        if start is None:
            start = SEGMENT_HEADER_BYTES if self.header else 0
        return stretches(self.read, self.size, self.writer, start)


def stretches(read: Read, size: int, writer: bytes | None, start: int = 0) -> Iterator[Stretch]:
    """The frames between two places, and what lies between them.

    Args:
        read: gives the bytes of the segment.
        size: where to end.
        writer: whose frames count; None: everybody's.
        start: where to begin.
    """
    # `body` is that of the frame before: a search begins there, since that frame may be shorter than it says.
    offset = body = start
    block, base = b"", 0
    while offset < size:
        at = offset - base
        if at < 0 or at + HEADER_BYTES > len(block):
            block, base, at = read(offset, _BLOCK_BYTES), offset, 0
        header = frame.parse(block, at)
        if header is not None and (writer is None or header.writer == writer):
            body = offset + HEADER_BYTES
            end = body + header.length
            if end <= size:
                yield _new(Stretch, (offset, end, header))
                offset = end
                continue
            # Cut off at the end, or in its middle: in that case there is more to be found.
        found = _search(read, body, size, writer)
        if found > offset:
            yield Stretch(offset, found, None)
        offset = body = found
        block = b""  # read anew: what is being written may be seen by one read and not by the one before


def main_writer(read: Read, size: int) -> bytes | None:
    """Who wrote most of the frames; None when there are none."""
    count = Counter(header.writer for _, _, header in stretches(read, size, None) if header is not None)
    return max(count, key=count.__getitem__, default=None)


def _search(read: Read, start: int, size: int, writer: bytes | None) -> int:
    """Where the next header is that holds, from `start` on; `size` when there is none."""
    while start + HEADER_BYTES <= size:
        block = read(start, _BLOCK_BYTES)
        if len(block) < HEADER_BYTES:
            break
        at = block.find(SYNC)
        while 0 <= at <= len(block) - HEADER_BYTES:
            header = frame.parse(block, at)
            if header is not None and (writer is None or header.writer == writer):
                return start + at
            at = block.find(SYNC, at + 1)
        start += len(block) - HEADER_BYTES + 1
    return size


def holds_frame(read: Read, size: int) -> bool:
    """Whether any header in the first `size` bytes holds."""
    return _search(read, 0, size, None) < size


def with_whole_bodies(read: Read, found: Iterable[Stretch]) -> Iterator[Stretch]:
    """The same stretches, but a frame whose body is not what was written is none."""
    for start, end, header in found:
        if header is not None and not frame.is_whole(header, read(start + HEADER_BYTES, header.length)):
            header = None
        yield Stretch(start, end, header)
