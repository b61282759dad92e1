"""Owns what is wrong in one segment, place by place, as every byte of it is read; the verdict is `check`'s.

Nothing of a body is looked at here but its checksum; what a record refers to is asked of the caller, and only when the
record is signed with one of the caller's keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from parslish.secret import Keys
from parslish.store import frame, summary
from parslish.store.blobs import Reference
from parslish.store.frame import CONTROL, HEADER_BYTES, Header, Signer, Type
from parslish.store.loading import load
from parslish.store.report import FINDINGS_LIMIT, Kind
from parslish.store.scan import Segment, Stretch
from parslish.store.source import Source
from parslish.store.summary import Span, Summary

BlobOf = Callable[[bytes], Reference | None]  # the body of a result that is ours → its blob, if it has one


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, at byte `offset` of a segment (None: somewhere in it) or with a blob.

    `kind` is TORN for what a kill or a power cut takes, CORRUPT for damage, UNTRUSTED for a record that is not signed
    with our key, MISSING for one whose blob is not what it refers to. `seq` and `key` are those of the record.
    """

    kind: Kind
    path: Path
    sentence: str
    offset: int | None = None
    seq: int | None = None
    key: bytes = b""


class Referred(NamedTuple):
    """A record of ours whose value is in a blob, and where it is."""

    path: Path
    offset: int
    seq: int
    key: bytes
    blob: Reference


@dataclass(slots=True)
class _Gap:
    """Bytes that are no record, or (none of them) a place where records are missing.

    The records that are missing have the numbers from `first` to below `behind`; `before` is the number of the next
    frame, None at the end. `spoilt` is the header of a frame whose body is not what was written.
    """

    start: int
    end: int
    first: int | None
    behind: int | None = None
    before: int | None = None
    spoilt: Header | None = None


class Look:
    """What one segment holds, and what is wrong with it.

    Args:
        keys: whose signatures are checked; None: none are.
        blob_of: says what a record refers to.

    Raises:
        NoSegment, NewerFormat, OSError: as `loading.load`.
    """

    def __init__(self, source: Source, keys: Keys | None, blob_of: BlobOf | None) -> None:
        self._keys, self._blob_of = keys, blob_of
        self._gaps: list[_Gap] = []
        self._signers: Sequence[Signer] = ()
        self.path = source.path
        self.ours: bool | None = None  #: whether it is signed with one of the keys, as its header says
        self.forged: list[Fault] = []  #: records that its header promises to be ours, and that are not; the first
        self.forged_count = 0
        self.referred: list[Referred] = []
        self.summary: Summary = load(source, self._summarise)

    def faults(self, found: Sequence[Span], watermark: int, worst: Kind) -> list[Fault]:
        """What is wrong in it.

        Args:
            found: the numbers of the writer's records that are whole, in any of its segments.
            watermark: the number below which all of them were durable.
            worst: what the segment as a whole is.
        """
        return [fault for gap in self._gaps if (fault := _fault(self.path, gap, found, watermark, worst))] + self.forged

    def _summarise(self, segment: Segment) -> Summary:
        if self._keys is not None and segment.header is not None:
            key = self._keys.find(segment.header.key_id)
            self.ours = key is not None
            self._signers = () if key is None else (frame.signer(key),)
        return summary.from_scan(segment, self._stretches(segment))

    def _stretches(self, segment: Segment) -> Iterator[Stretch]:
        """The stretches of a segment, where a frame whose body is not what was written is none."""
        expected = segment.header.first if segment.header else None
        for start, end, head in segment.stretches():
            spoilt = None
            if head is None:
                self._note(_Gap(start, end, expected))
            else:
                expected = self._pass(head, start, expected)
                body = segment.read(start + HEADER_BYTES, head.length)
                if frame.is_whole(head, body):
                    self._check_signature(segment, start, head, body)
                else:
                    spoilt = head
                    behind = head.seq if head.flags & CONTROL else head.seq + 1
                    self._note(_Gap(start, end, head.seq, behind, head.seq, head))
            yield Stretch(start, end, None if spoilt else head)

    def _pass(self, head: Header, start: int, expected: int | None) -> int:
        """Close the gap before a frame, or note one; returns the number that the next frame is to have."""
        if self._gaps and self._gaps[-1].before is None:
            self._gaps[-1].before = self._gaps[-1].behind = head.seq
        elif expected is not None and head.seq > expected:
            self._note(_Gap(start, start, expected, head.seq, head.seq))
        return max(expected or 0, head.seq if head.flags & CONTROL else head.seq + 1)

    def _note(self, gap: _Gap) -> None:
        if len(self._gaps) < FINDINGS_LIMIT:
            self._gaps.append(gap)

    def _check_signature(self, segment: Segment, start: int, head: Header, body: bytes) -> None:
        if not self._signers:
            return
        signed = segment.read(start, HEADER_BYTES)
        if not any(frame.is_signed(head, signed, signer) for signer in self._signers):
            self.forged_count += 1
            if len(self.forged) < FINDINGS_LIMIT:
                sentence = f"{_named(head)} is not signed with our key, though its segment is"
                self.forged.append(Fault(Kind.UNTRUSTED, self.path, sentence, start, head.seq, head.key))
        elif self._blob_of is not None and head.type == Type.RESULT:
            blob = self._blob_of(body)
            if blob is not None:
                self.referred.append(Referred(self.path, start, head.seq, head.key, blob))


def _fault(path: Path, gap: _Gap, found: Sequence[Span], watermark: int, worst: Kind) -> Fault | None:
    missing = _missing(found, gap)
    if gap.start == gap.end and not missing:
        return None  # another segment of the writer has them
    durable = gap.before is not None and (gap.before < watermark or (missing > 0 and (gap.first or 0) < watermark))
    # The segment as a whole was judged with more at hand; a part of it is never worse.
    kind = Kind.CORRUPT if durable and worst is Kind.CORRUPT else Kind.TORN
    if gap.spoilt is not None:
        seq, key = gap.spoilt.seq, gap.spoilt.key
        rest = "is damaged" if missing else "is damaged; that costs no record"
        return Fault(kind, path, f"{_named(gap.spoilt)} {rest}", gap.start, seq, key)
    numbers = _numbers(gap) if missing else ""
    what = f"{gap.end - gap.start:,} bytes are no record" if gap.end > gap.start else ""
    sentence = f"{what}, where {numbers} should be" if what and numbers else what or f"{numbers} should be here"
    return Fault(kind, path, sentence, gap.start, gap.first if numbers else None)


def _missing(found: Sequence[Span], gap: _Gap) -> int:
    """How many of the numbers of a gap no segment has."""
    if gap.first is None or gap.behind is None or gap.behind <= gap.first:
        return 0
    first, behind = gap.first, gap.behind
    return behind - first - sum(max(0, min(high, behind) - max(low, first)) for low, high in found)


def _numbers(gap: _Gap) -> str:
    assert gap.first is not None and gap.behind is not None
    if gap.behind == gap.first + 1:
        return f"record {gap.first}"
    return f"records {gap.first} to {gap.behind - 1}"


def _named(head: Header) -> str:
    if head.flags & CONTROL:
        return "a frame that says what was synced, or where records are,"
    key = f" ({head.key.hex()[:12]})" if head.type == Type.RESULT else ""
    return f"record {head.seq}{key}"
