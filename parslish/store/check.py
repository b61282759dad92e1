"""Owns the verdict on a store: every byte is read, nothing is opened, no secret is needed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from parslish.errors import BadCheckpoint
from parslish.store import folder, scan, summary
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import NewerFormat
from parslish.store.gaps import judge_all
from parslish.store.loading import NoSegment, load
from parslish.store.report import Kind
from parslish.store.scan import Segment
from parslish.store.source import Source
from parslish.store.summary import Summary

CLEAN, TORN, CORRUPT = "clean", "torn", "corrupt"
_RANK = {CLEAN: 0, TORN: 1, CORRUPT: 2}


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """The state of one segment: "clean", "torn" (not closed, ordinary after a kill) or "corrupt".

    `records` counts the frames that are whole, `lost` those that are known to be missing.
    """

    path: Path
    state: str
    sentence: str
    records: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a store: that of its worst segment."""

    segments: tuple[SegmentVerdict, ...]

    @property
    def state(self) -> str:
        return max((one.state for one in self.segments), key=_RANK.__getitem__, default=CLEAN)


def check(path: str | os.PathLike[str], *, disk: Disk = OS_DISK) -> Verdict:
    """Read all of a folder, or one segment, and tell whether it is what was written.

    Raises:
        BadCheckpoint: the path is not there or cannot be listed.
    """
    where = Path(path)
    try:
        is_folder = stat.S_ISDIR(disk.stat(where).st_mode)
        segments = folder.segments(disk, where) if is_folder else [where]
    except OSError as exc:
        raise BadCheckpoint(where, (exc.strerror or str(exc)).lower()) from exc
    verdicts: list[SegmentVerdict] = []
    summaries: list[Summary] = []
    for segment in segments:
        try:
            summaries.append(load(Source(disk, segment, shared=True), _every_byte))
        except (NoSegment, NewerFormat) as exc:
            verdicts.append(SegmentVerdict(segment, CORRUPT, str(exc)))
        except OSError as exc:
            verdicts.append(SegmentVerdict(segment, CORRUPT, f"cannot be read: {exc.strerror or exc}"))
    for one in judge_all(summaries):
        state = {None: CLEAN, Kind.TORN: TORN}.get(one.kind, CORRUPT)
        verdicts.append(SegmentVerdict(one.summary.path, state, one.sentence, one.summary.frames, one.lost))
    return Verdict(tuple(sorted(verdicts, key=lambda verdict: verdict.path)))


def _every_byte(segment: Segment) -> Summary:
    return summary.from_scan(segment, scan.with_whole_bodies(segment.read, segment.stretches()))
