"""Owns what a segment should hold and does not, and the one sentence about its state.

What was synced and is missing or changed is damage. What was not is what a kill or a power cut is expected to
take: the frames from the highest watermark on, and bytes that no synced frame follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from parslish.store.report import Kind
from parslish.store.summary import Damage, Span, Summary, merged


@dataclass(frozen=True, slots=True)
class Losses:
    """How many numbered frames a segment was to hold and no segment of its writer does."""

    synced: int
    unsynced: int


def losses(written: Iterable[Summary]) -> list[Losses]:
    """The losses of each segment of one writer, given in the order of their ordinals.

    After a failed fsync two segments overlap: a frame that one of them has is not lost.
    """
    segments = list(written)
    found = merged([span for segment in segments for span in segment.spans])
    watermark = max(segment.watermark for segment in segments)
    ends = [_last_of(one, following) for one, following in pairwise([*segments, None]) if one is not None]
    answer = []
    for segment, end in zip(segments, ends, strict=True):
        synced = _missing(found, segment.first, min(end, watermark))
        answer.append(Losses(synced, _missing(found, segment.first, end) - synced))
    return answer


def _last_of(one: Summary, following: Summary | None) -> int:
    """The number behind the last that `one` answers for."""
    if following is None or one.header is None or following.header is None:
        return one.end
    is_next = following.header.ordinal == one.header.ordinal + 1
    return following.first if is_next else one.end


def _missing(found: list[Span], first: int, end: int) -> int:
    """How many numbers from `first` to below `end` are in none of the spans."""
    if end <= first:
        return 0
    return end - first - sum(max(0, min(high, end) - max(low, first)) for low, high in found)


def judge_all(summaries: Iterable[Summary]) -> list[Judgement]:
    """The state of each segment, those of one writer seen together."""
    by_writer = defaultdict(list)
    for summary in summaries:
        by_writer[summary.writer].append(summary)
    answer = []
    for written in by_writer.values():
        written.sort(key=lambda summary: summary.header.ordinal if summary.header else -1)
        answer += [judge(summary, lost) for summary, lost in zip(written, losses(written), strict=True)]
    return answer


@dataclass(frozen=True, slots=True)
class Judgement:
    """The state of one segment; `kind` is None when it is clean."""

    summary: Summary
    kind: Kind | None
    sentence: str
    lost: int = 0


def judge(summary: Summary, lost: Losses) -> Judgement:
    """Put the state of a segment into one sentence."""
    have = _counted(summary.frames, "record")
    if lost.synced:
        sentence = f"{_counted(lost.synced, 'record')} that had been synced cannot be read; {have} can"
        return Judgement(summary, Kind.CORRUPT, sentence, lost.synced + lost.unsynced)
    durable = [one for one in summary.damage if one.before is not None and one.before < summary.watermark]
    if durable:
        return Judgement(summary, Kind.CORRUPT, f"{_places(durable)} damaged; no record is lost by that")
    if summary.closed and not summary.damage:
        return Judgement(summary, None, f"whole, {have}")
    cut = f", {_counted(lost.unsynced, 'record')} behind the last sync lost" if lost.unsynced else ""
    state = f"{_places(summary.damage)} damaged" if summary.closed else "not closed"
    return Judgement(summary, Kind.TORN, f"{state}; {have} readable{cut}", lost.unsynced)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _places(damage: list[Damage]) -> str:
    return "bytes " + ", ".join(f"{start} to {end}" for start, end, _ in damage[:3])
