"""Owns the verdict on a store: every byte is read, nothing is opened, no secret is needed.

With the keys it tells more: which records are not signed with them, and which refer to a blob that is not there as
it was. What is wrong inside one segment is found by `faults`.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from parslish.errors import BadCheckpoint
from parslish.secret import Keys
from parslish.store import blobs, folder
from parslish.store.blobs import Reference
from parslish.store.disk import OS_DISK, Disk
from parslish.store.faults import BlobOf, Fault, Look
from parslish.store.frame import NewerFormat
from parslish.store.gaps import Judgement, judge_all
from parslish.store.loading import NoSegment, load, quickly
from parslish.store.report import FINDINGS_LIMIT, Kind
from parslish.store.scan import Segment, with_whole_bodies
from parslish.store.source import Refused, Source, is_gone
from parslish.store.summary import Summary, from_scan, merged

CLEAN, TORN, UNREAD, CORRUPT = "clean", "torn", "unread", "corrupt"
_RANK: Final = {CLEAN: 0, TORN: 1, UNREAD: 2, CORRUPT: 3}
#: What a segment or blob is, by what is the matter with it.
_STATES: Final = {
    None: CLEAN, Kind.TORN: TORN, Kind.NEWER: UNREAD, Kind.REFUSED: UNREAD, Kind.UNREADABLE: UNREAD,
    Kind.CORRUPT: CORRUPT, Kind.MISSING: CORRUPT, Kind.UNTRUSTED: CORRUPT,
}  # fmt: skip
_DIGEST_BYTES: Final = 32
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """The state of one segment: "clean", "torn" (not closed, ordinary after a kill), "unread" (of a newer format, not
    permitted, a link: nothing is known of it) or "corrupt".

    `records` counts the frames that are whole, `lost` those that are known to be missing; `ours` is whether it is
    signed with one of the keys, None where that is not known; `faults` are the first thousand of each sort.
    """

    path: Path
    state: str
    sentence: str
    records: int = 0
    lost: int = 0
    size_bytes: int = 0
    ours: bool | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a store: that of its worst segment or blob.

    `blobs` counts the blobs that were read; `blob_faults` are about those that are damaged, whoever refers to them.
    """

    segments: tuple[SegmentVerdict, ...]
    blobs: int = 0
    blob_faults: tuple[Fault, ...] = ()

    @property
    def state(self) -> str:
        return worst([*(one.state for one in self.segments), *(_STATES[fault.kind] for fault in self.blob_faults)])

    @property
    def faults(self) -> list[Fault]:
        """All that is wrong, segment by segment, then the blobs."""
        return [fault for one in self.segments for fault in one.faults] + list(self.blob_faults)


def worst(states: Iterable[str]) -> str:
    """The worst of some states; clean for none."""
    return max(states, key=_RANK.__getitem__, default=CLEAN)


def check(
    path: str | os.PathLike[str],
    *,
    keys: Keys | None = None,
    blob_of: BlobOf | None = None,
    disk: Disk = OS_DISK,
) -> Verdict:
    """Read all of a folder, or one segment, and tell whether it is what was written.

    Args:
        path: the folder of a store, or a segment.
        keys: tell also what is not signed with one of them.
        blob_of: says what a record refers to, so that missing blobs are found; asked only about records that are
            signed with the keys.

    Raises:
        BadCheckpoint: the path is not there or cannot be listed.
    """
    where = Path(path)
    looks, unread = _read(where, disk, lambda source: Look(source, keys, blob_of))
    try:
        # After the segments: a blob is there before what refers to it.
        every = _is_folder(disk, where)
        found = _Blobs(disk, where if every else where.parent, every=every)
    except OSError as exc:
        raise _bad(where, exc) from exc
    verdicts = [*unread, *_judged(looks, found)]
    return Verdict(_by_path(verdicts), found.count, tuple(found.faults))


def glance(path: str | os.PathLike[str], *, disk: Disk = OS_DISK) -> Verdict:
    """The same from what segments say of themselves: damage inside records and blobs is not seen.

    Raises:
        BadCheckpoint: as `check`.
    """
    summaries, verdicts = _read(Path(path), disk, _glance)
    for one in judge_all(summaries):
        found = one.summary
        verdicts.append(SegmentVerdict(found.path, _STATES[one.kind], one.sentence, found.frames, one.lost, found.size))
    return Verdict(_by_path(verdicts))


def _glance(source: Source) -> Summary:
    found = load(source, quickly)
    # Closed, and without an index that holds: what else is wrong with it is told by its bodies alone.
    return load(source, _thoroughly) if found.closed and found.table is None else found


def _thoroughly(segment: Segment) -> Summary:
    return from_scan(segment, with_whole_bodies(segment.read, segment.stretches()))


def unlisted(folder: Path, reason: str) -> Verdict:
    """The verdict on a store of which no segment is known, since its folder cannot be listed."""
    return Verdict((_unread(folder, f"cannot be listed: {reason}", Kind.UNREADABLE),))


def _by_path(verdicts: list[SegmentVerdict]) -> tuple[SegmentVerdict, ...]:
    return tuple(sorted(verdicts, key=lambda verdict: verdict.path))


def _read(where: Path, disk: Disk, look: Callable[[Source], T]) -> tuple[list[T], list[SegmentVerdict]]:
    """A look at each segment of a folder, or at one segment, and the verdicts on those that cannot be looked at."""
    looks: list[T] = []
    unread: list[SegmentVerdict] = []
    gone: list[Path] = []
    try:
        is_folder = _is_folder(disk, where)
        for segment in _listed(disk, where) if is_folder else [where]:
            try:
                looks.append(look(Source(disk, segment, shared=True)))
            except NoSegment as exc:
                # By its name it was one; any other file is somebody else's.
                kind = Kind.CORRUPT if segment.suffix == folder.SUFFIX else Kind.UNREADABLE
                unread.append(_unread(segment, str(exc), kind))
            except NewerFormat as exc:
                unread.append(_unread(segment, str(exc), Kind.NEWER))
            except Refused as exc:
                unread.append(_unread(segment, str(exc), Kind.REFUSED))
            except OSError as exc:
                if is_folder and is_gone(exc):
                    gone.append(segment)
                else:
                    unread.append(_unread(segment, f"cannot be read: {exc.strerror or exc}", Kind.UNREADABLE))
        # Compacted meanwhile: what they held is in segments that were read as well. Unless they are still listed.
        listed = folder.segments(disk, where) if gone else []
    except OSError as exc:
        raise _bad(where, exc) from exc
    missing = [path for path in gone if path in listed]
    return looks, unread + [_unread(path, "is listed, but is not there", Kind.UNREADABLE) for path in missing]


def _is_folder(disk: Disk, where: Path) -> bool:
    return stat.S_ISDIR(disk.stat(where).st_mode)


def _bad(where: Path, exc: OSError) -> BadCheckpoint:
    return BadCheckpoint(where, (exc.strerror or str(exc)).lower())


def _listed(disk: Disk, where: Path) -> Iterator[Path]:
    """The segments of a folder, with those that come while the others are read. Raises OSError."""
    given: set[Path] = set()
    while new := [path for path in folder.segments(disk, where) if path not in given]:
        given.update(new)
        yield from new


def _unread(path: Path, sentence: str, kind: Kind) -> SegmentVerdict:
    return SegmentVerdict(path, _STATES[kind], sentence, faults=(Fault(kind, path, sentence),))


def _judged(looks: list[Look], found: _Blobs) -> Iterator[SegmentVerdict]:
    look_at = {look.path: look for look in looks}
    by_writer = defaultdict(list)
    for look in looks:
        by_writer[look.summary.writer].append(look.summary)
    known = {
        writer: (merged([span for each in written for span in each.spans]), max(each.watermark for each in written))
        for writer, written in by_writer.items()
    }
    for one in judge_all(look.summary for look in looks):
        look = look_at[one.summary.path]
        faults = look.faults(*known[one.summary.writer], one.kind or Kind.TORN)
        if one.kind is Kind.CORRUPT and not any(fault.kind is Kind.CORRUPT for fault in faults):
            faults.append(Fault(Kind.CORRUPT, look.path, one.sentence))
        yield _segment_verdict(one, look, faults, found)


def _segment_verdict(one: Judgement, look: Look, faults: list[Fault], found: _Blobs) -> SegmentVerdict:
    without = [
        Fault(wrong[0], look.path, f"record {seq} ({key.hex()[:12]}): {wrong[1]}", offset, seq, key)
        for _, offset, seq, key, blob in look.referred
        if (wrong := found.wrong_with(blob))
    ]
    missing = sum(fault.kind is Kind.MISSING for fault in without)
    parts = [one.sentence]
    for number, what in (
        (look.forged_count, "not signed with our key"),
        (missing, "without their value"),
        (len(without) - missing, "whose value cannot be read"),
    ):
        if number:
            parts.append(f"{number} {what}")
    state = worst([_STATES[one.kind], *(_STATES[fault.kind] for fault in look.forged + without)])
    faults += without[:FINDINGS_LIMIT]
    return SegmentVerdict(
        look.path, state, "; ".join(parts), one.summary.frames, one.lost, one.summary.size, look.ours, tuple(faults)
    )


class _Blobs:
    """The blobs of a folder, each read once.

    Args:
        every: all of them, since their names tell what is in them; else those that are asked for.
    """

    def __init__(self, disk: Disk, where: Path, *, every: bool) -> None:
        self._disk, self._folder = disk, where
        self._known: dict[Reference, tuple[Kind, str] | None] = {}
        self.faults: list[Fault] = []
        for name in sorted(disk.listdir(where)) if every else ():
            if name.endswith(blobs.SUFFIX):
                self._read(where / name)

    @property
    def count(self) -> int:
        """How many are there, or were asked for."""
        return len({reference.digest for reference in self._known})

    def wrong_with(self, reference: Reference) -> tuple[Kind, str] | None:
        """What is wrong with a blob that a record refers to, or None: MISSING, also when it is not what was stored, or
        UNREADABLE."""
        whole = Reference(reference.digest, (reference.size,))
        if whole not in self._known:
            sentence = blobs.check(self._disk, self._folder, whole)
            kind = sentence and blob_trouble(self._disk, self._folder, whole)
            self._known[whole] = (kind or Kind.MISSING, sentence) if sentence else None
        return self._known[whole]

    def _read(self, path: Path) -> None:
        try:
            digest = bytes.fromhex(path.stem)
            size_bytes = self._disk.stat(path, follow_symlinks=False).st_size
        except (ValueError, FileNotFoundError):
            return  # nothing refers to such a name; or it went with the last record that did
        if len(digest) != _DIGEST_BYTES:
            return
        wrong = self.wrong_with(Reference(digest, (size_bytes,)))
        if wrong:
            kind = Kind.CORRUPT if wrong[0] is Kind.MISSING else wrong[0]
            self.faults.append(Fault(kind, path, wrong[1].removeprefix("its value in ")))


def blob_trouble(disk: Disk, where: Path, reference: Reference) -> Kind | None:
    """What is wrong with a blob as far as its name and size tell: MISSING or UNREADABLE; None when nothing is."""
    try:
        source = Source(disk, blobs.path_of(where, reference.digest), shared=True)
    except OSError as exc:
        return Kind.MISSING if is_gone(exc) else Kind.UNREADABLE
    return None if source.size == reference.size else Kind.MISSING
