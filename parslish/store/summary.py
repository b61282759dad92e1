"""Owns what is known of a segment without opening its records: its keys, its gaps, whether it ended well.

From the index of a segment that was closed, or from the headers of one that was not, which may grow. What is missing
in it is left to `gaps`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from parslish.store import frame, index
from parslish.store.frame import (
    CONTROL,
    FIRST_OPTIONAL,
    HEADER_BYTES,
    KNOWN_TYPES,
    SEGMENT_HEADER_BYTES,
    Header,
    SegmentHeader,
    Type,
)
from parslish.store.scan import Segment, Stretch
from parslish.store.segment import CLOSE_BODY, SPECIALS

Span = tuple[int, int]  # [first, behind the last)
_RESULT: Final = int(Type.RESULT)  # a plain number: it is compared with the type of each frame
_NAME: Final = re.compile(r"-([0-9a-f]{16})-([0-9]{1,9})\.seg$")


class Damage(NamedTuple):
    """Bytes that are no frame, and the sequence number of the frame behind them, if there is one."""

    start: int
    end: int
    before: int | None


@dataclass(slots=True)
class Summary:
    """One segment. `writer` is None when not a single frame or header of it holds."""

    path: Path
    header: SegmentHeader | None  #: None when damaged
    size: int
    writer: bytes | None = None
    table: index.Table | None = None
    entries: list[bytes] = field(default_factory=list)  #: what `table` is built from
    specials: list[int] = field(default_factory=list)  #: where tombstones and bases are
    frames: int = 0  #: numbered frames that were found
    spans: list[Span] = field(default_factory=list)  #: their numbers
    end: int = 0  #: the number behind the highest that the segment shows to have been given
    watermark: int = 0
    damage: list[Damage] = field(default_factory=list)
    closed: bool = False
    unknown_types: set[int] = field(default_factory=set)
    last: Stretch | None = None  #: the last frame that was read; None when there is none, or an index told all
    in_doubt: bool = False  #: what follows `last` was no frame yet, and has not been read

    @property
    def wrote(self) -> bytes | None:
        """Who wrote it, perhaps as its name alone says: then nothing but the name holds."""
        return self.writer or (self._named()[0] if self.header is None else None)

    @property
    def ordinal(self) -> int | None:
        """How many segments its writer opened before; by its name, where its header is damaged. None: nobody knows."""
        if self.header is not None:
            return self.header.ordinal
        writer, ordinal = self._named()
        return ordinal if writer is not None and writer == self.wrote else None

    @property
    def first(self) -> int:
        """The lowest sequence number it was to hold, as far as it tells by itself."""
        if self.header is not None:
            return self.header.first
        return 0 if self.ordinal == 0 else min((low for low, _ in self.spans), default=0)

    def _named(self) -> tuple[bytes | None, int | None]:
        match = _NAME.search(self.path.name)
        return (
            (bytes.fromhex(match[1]), int(match[2])) if match and match.end() == len(self.path.name) else (None, None)
        )

    @property
    def read_to(self) -> int:
        """Up to where its frames are known."""
        return self.last.end if self.last is not None else SEGMENT_HEADER_BYTES


def from_index(segment: Segment) -> Summary | None:
    """What the index of a closed segment says, or None when there is none that holds."""
    path, header, writer, _, size = segment
    place = size - HEADER_BYTES - CLOSE_BODY.size
    close = _whole_frame(segment, place, Type.CLOSE)
    if header is None or close is None:
        return None
    (index_place,) = CLOSE_BODY.unpack(close[1])
    packed = _whole_frame(segment, index_place, Type.INDEX)
    if packed is None or index_place + HEADER_BYTES + len(packed[1]) != place:
        return None
    content = index.unpack(packed[1])
    if content is None:
        return None
    end = close[0].seq
    return Summary(
        path, header, size, writer, content[0], [], content[1],
        frames=end - header.first, spans=[(header.first, end)], end=end, watermark=end, closed=True,
    )  # fmt: skip


def _whole_frame(segment: Segment, place: int, type: int) -> tuple[Header, bytes] | None:
    if not 0 < place < segment.size:
        return None
    header = frame.parse(segment.read(place, HEADER_BYTES))
    if header is None or header.type != type or header.writer != segment.writer:
        return None
    if header.length > segment.size - place:
        return None
    body = segment.read(place + HEADER_BYTES, header.length)
    return (header, body) if frame.is_whole(header, body) else None


def from_scan(segment: Segment, found: Iterable[Stretch]) -> Summary:
    """What the frames of a segment say, one by one."""
    return _add(Summary(segment.path, segment.header, segment.size, segment.writer), found)


def grown(known: Summary, segment: Segment) -> Summary:
    """What a segment says that may have been appended to since `known`; only what is new is among the `entries`.

    Where a frame should be and is none, there may be one the next time: it is being written, or a network file system
    shows the size before the bytes. So what follows is read only if the last look ended there, too.
    """
    damage = [one for one in known.damage if one.before is not None]
    summary = replace(
        known, size=segment.size, entries=[], specials=known.specials[:], spans=known.spans[:], damage=damage,
        unknown_types=set(known.unknown_types), in_doubt=False,
    )  # fmt: skip
    found = segment.stretches(known.read_to)
    if known.in_doubt:
        return _add(summary, found)
    _add(summary, _up_to_damage(found, segment.size))
    summary.in_doubt = bool(summary.damage) and summary.damage[-1].before is None
    return summary


def _up_to_damage(found: Iterable[Stretch], size: int) -> Iterator[Stretch]:
    for stretch in found:
        if stretch.header is None:
            yield Stretch(stretch.start, size, None)
            return
        yield stretch


def _add(summary: Summary, found: Iterable[Stretch]) -> Summary:
    first = following = -1  # the run of numbers being read
    last = summary.last
    append, entry = summary.entries.append, index.entry
    for stretch in found:
        start, end, head = stretch
        if head is None:
            summary.damage.append(Damage(start, end, None))
            continue
        last = stretch
        if summary.damage and summary.damage[-1].before is None:
            summary.damage[-1] = summary.damage[-1]._replace(before=head.seq)
        if head.watermark > summary.watermark:
            summary.watermark = head.watermark
        if head.type == _RESULT:
            append(entry(head.key, start))
        else:
            _note_special(summary, start, end, head)
        if not head.flags & CONTROL:
            seq = head.seq
            if seq != following:
                _add_span(summary, first, following)
                first = seq
            following = seq + 1
    _add_span(summary, first, following)
    summary.last = last
    summary.spans = merged(summary.spans)
    summary.frames = sum(behind - low for low, behind in summary.spans)
    summary.end = max([summary.end, summary.watermark, *(behind for _, behind in summary.spans)])
    return summary


def _note_special(summary: Summary, start: int, end: int, head: Header) -> None:
    if head.type in SPECIALS:
        summary.specials.append(start)
    elif head.flags & CONTROL:
        summary.end = max(summary.end, head.seq)
        summary.closed = head.type == Type.CLOSE and end == summary.size
    if head.type not in KNOWN_TYPES and head.type < FIRST_OPTIONAL:
        summary.unknown_types.add(head.type)


def _add_span(summary: Summary, first: int, following: int) -> None:
    if following > first:
        summary.spans.append((first, following))


def merged(spans: list[Span]) -> list[Span]:
    """The same numbers in rising spans that do not touch."""
    answer: list[Span] = []
    for low, high in sorted(spans):
        if answer and low <= answer[-1][1]:
            answer[-1] = (answer[-1][0], max(high, answer[-1][1]))
        else:
            answer.append((low, high))
    return answer
