"""Owns what a segment should hold and does not, and the one sentence about its state.

What was synced and is missing or changed is damage. What was not is what a kill or a power cut is expected to
take: the frames from the highest watermark on, and bytes that no synced frame follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from parslish.store.report import Kind
from parslish.store.summary import Damage, Span, Summary, merged


@dataclass(frozen=True, slots=True)
class Losses:
    """How many numbered frames a segment was to hold and no segment of its writer does.

    `first` is the lowest number that it was to hold; None where a damaged header leaves that unknown, so that frames
    below what was found are not counted.
    """

    synced: int
    unsynced: int
    first: int | None = 0


def losses(written: Iterable[Summary]) -> list[Losses]:
    """The losses of each segment of one writer, given in the order of their ordinals.

    After a failed fsync two segments overlap: a frame that one of them has is not lost.
    """
    segments = list(written)
    found = merged([span for segment in segments for span in segment.spans])
    watermark = max(segment.watermark for segment in segments)
    answer = []
    for before, one, following in zip([None, *segments[:-1]], segments, [*segments[1:], None], strict=True):
        first = _first_of(before, one)
        start, end = one.first if first is None else first, _last_of(one, following)
        synced = _missing(found, start, min(end, watermark))
        answer.append(Losses(synced, _missing(found, start, end) - synced, first))
    return answer


def _first_of(before: Summary | None, one: Summary) -> int | None:
    """The lowest number that `one` answers for, and not the segment before; None when nobody knows."""
    if one.header is not None or one.ordinal == 0:
        return one.first
    return before.end if before is not None and _is_next(before, one) else None


def _last_of(one: Summary, following: Summary | None) -> int:
    """The number behind the last that `one` answers for."""
    if following is None or following.header is None or not _is_next(one, following):
        return one.end
    return following.first


def _is_next(one: Summary, following: Summary) -> bool:
    return one.ordinal is not None and following.ordinal == one.ordinal + 1


def _missing(found: list[Span], first: int, end: int) -> int:
    """How many numbers from `first` to below `end` are in none of the spans."""
    if end <= first:
        return 0
    return end - first - sum(max(0, min(high, end) - max(low, first)) for low, high in found)


def judge_all(summaries: Iterable[Summary]) -> list[Judgement]:
    """The state of each segment, those of one writer seen together."""
    by_writer = defaultdict(list)
    for summary in summaries:
        by_writer[summary.wrote].append(summary)
    answer = []
    for written in by_writer.values():
        written.sort(key=lambda summary: -1 if summary.ordinal is None else summary.ordinal)
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
    first = summary.first if lost.first is None else lost.first
    beheaded = summary.header is None and (durable or summary.watermark > first)  # the header is durable first
    if beheaded and lost.first is None:
        sentence = f"its header is damaged; {have} readable, and how many are lost before them nobody can tell"
        return Judgement(summary, Kind.CORRUPT, sentence)
    if durable or beheaded:
        where = _places(durable) if durable else "its header is"
        return Judgement(summary, Kind.CORRUPT, f"{where} damaged; no record is lost by that")
    if summary.closed and not summary.damage:
        return Judgement(summary, None, f"whole, {have}")
    cut = f", {_counted(lost.unsynced, 'record')} behind the last sync lost" if lost.unsynced else ""
    state = f"{_places(summary.damage)} damaged" if summary.closed else "not closed"
    return Judgement(summary, Kind.TORN, f"{state}; {have} readable{cut}", lost.unsynced)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _places(damage: list[Damage]) -> str:
    return "bytes " + ", ".join(f"{start} to {end}" for start, end, _ in damage[:3])
