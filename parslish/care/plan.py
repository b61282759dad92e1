"""Owns deciding how a store is thinned out: what stays, what goes, and what is left alone. Nothing is changed here.

A store is one folder. What counts in it counts afterwards, whether it is loaded alone or with others: the records of
the segments that go are ranked among themselves, and no others decide.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parslish.care.fates import CHOSEN, KILLED, LOST, RESULT_GOES, STAYS, SUPERSEDED, Fates, Group
from parslish.care.frames import Frame, Reading, Segment
from parslish.care.items import item_of
from parslish.care.large import LostValues
from parslish.care.leaving import Leaving, Outside, Tombstones, owner_of_other
from parslish.care.selection import Choice
from parslish.history import alive
from parslish.secret import Keys
from parslish.store import blobs, folder
from parslish.store.bodies import Name
from parslish.store.disk import Disk
from parslish.store.frame import Type
from parslish.store.report import Kind

_OURS: Final = re.compile(
    rf".*{re.escape(folder.SUFFIX)}|[0-9a-f]{{64}}{re.escape(blobs.SUFFIX)}|[0-9a-f]{{32}}{re.escape(blobs.UNFINISHED)}"
)  # what a store's folder holds; anything else is not touched
Fences = Mapping[int, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What becomes of one store.

    Args:
        path: its folder.
        segments: all of its segments.
        old: those that go, in that order; what stays of them goes into new ones.
        left: those that are left alone, and why.
        fates: what becomes of each frame of `old`, as they follow each other.
        rewritten: bodies of tombstones of which some names are gone, by the tombstones' names.
        fences: the writers that are left alone, by run number.
        blobs: files of large values that nobody refers to any more.
        records, records_after: results; size_bytes, size_bytes_after: of all files.
        superseded, killed, chosen: results that go, and why.
        lost: results whose large value is lost; they go, too, where that is forced.
        held: results that were chosen to go and are left alone.
    """

    path: Path
    segments: frozenset[Path]
    old: tuple[Path, ...]
    left: Mapping[Path, str]
    fates: bytes
    rewritten: Mapping[Name, bytes]
    fences: Fences
    blobs: tuple[Path, ...]
    records: int
    records_after: int
    size_bytes: int
    size_bytes_after: int
    superseded: int
    killed: int
    chosen: int
    lost: int
    held: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.old and not self.blobs

    @property
    def lets_go_of_lost(self) -> bool:
        """Whether results whose large value is lost go."""
        return LOST in self.fates


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of several stores; `rewrite.carry_out` does it. The rest is what the stores are read with."""

    stores: tuple[StorePlan, ...]
    keys: Keys
    shared: bool
    ended: Collection[str]
    disk: Disk

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return all(one.is_empty for one in self.stores)


def group_of(fences: Fences, found: Frame) -> Group:
    """Which of the new segments a frame goes to: so many that writers which are left alone keep their rank."""
    return found.header.run, bisect_left(fences.get(found.header.run, ()), found.header.writer)


def plan_store(
    path: Path,
    keys: Keys,
    outside: Outside,
    *,
    goes: Choice | None = None,
    force: bool = False,
    shared: bool = False,
    ended: Collection[str] = (),
    disk: Disk,
) -> StorePlan:
    """Plan for one store.

    Args:
        path: its folder.
        outside: gives the tombstones of other stores.
        goes: which results are to go; a store that has none is left as it is. None: whatever does not count goes, and
            what stays is put together.
        force: take what can be read of damaged segments, and let go of the rest.
        ended: hosts of which the user says that their processes have ended.

    Raises:
        BadCheckpoint: as `Store.open`.
        OSError: its folder cannot be read.
    """
    reading = Reading([path], keys, shared=shared, disk=disk)
    try:
        return _Draft(path, reading, outside.of(path), goes, force=force, ended=ended, disk=disk).plan(keys)
    finally:
        reading.close()


class _Draft:
    """A plan while it is made."""

    def __init__(
        self,
        path: Path,
        reading: Reading,
        outside: Tombstones,
        goes: Choice | None,
        *,
        force: bool,
        ended: Collection[str],
        disk: Disk,
    ) -> None:
        self._path, self._reading, self._goes, self._ended, self._disk = path, reading, goes, ended, disk
        homes = _homes(reading, outside)
        leaving = Leaving(reading, homes, outside, force=force, ended=ended, disk=disk)
        self._left, self._order = leaving.left, leaving.order
        self._fences = _fences((*reading.untrusted, *(one for one in reading.segments if one.path in self._left)))
        moving = [one for one in reading.tombstones if one.segment not in self._left]
        gone = {name for name, home in homes.items() if home not in self._left}
        self._sizes = self._listed()  # after the segments: what these refer to was there before them
        lost = LostValues(path, self._sizes, disk, thorough=force)
        self._fates = Fates(reading, moving, gone, goes, lost, force=force)
        self._groups: Counter[Group] = Counter()
        self._is_untidy = False
        self._left_results = self._held = 0
        self._references: set[bytes] = set()
        self._all_known = not (reading.unread or outside.unread)  # and so is what counts

    def plan(self, keys: Keys) -> StorePlan:
        for segment in self._reading.in_order():
            if segment.path in self._left:
                self._pass(segment)
            else:
                self._move(segment, keys)
        counts = Counter(self._fates.codes)
        untidy = self._is_untidy or counts[STAYS] < len(self._fates.codes) or max(self._groups.values(), default=0) > 1
        rewrites = untidy if self._goes is None else counts[CHOSEN] > 0
        if not rewrites:
            self._fates.keep_all()
        return self._done(rewrites)

    def _move(self, segment: Segment, keys: Keys) -> None:
        """Decide about the frames of a segment that may go."""
        groups = set()
        for found in self._reading.frames(segment):
            group = group_of(self._fences, found)
            self._fates.add(found, group)
            groups.add(group)
        self._groups.update(groups)
        known = segment.summary
        is_ours = known.header is not None and known.header.key_id == keys.id
        self._is_untidy |= not (is_ours and groups and known.closed and segment.path not in self._reading.wrong)

    def _pass(self, segment: Segment) -> None:
        """Note what is in a segment that is left alone."""
        for found in self._reading.frames(segment):
            if found.header.type == Type.RESULT:
                self._left_results += 1
                item = item_of(found, live=False)
                if item is None:
                    self._all_known = False
                elif item.blob is not None:
                    self._references.add(item.blob.digest)
                self._held += item is not None and self._goes is not None and self._goes(item)

    def _done(self, rewrites: bool) -> StorePlan:
        fates, counts, sizes = self._fates, Counter(self._fates.codes), self._sizes
        old = self._order if rewrites else ()
        gone = self._gone_blobs() if rewrites or self._goes is None else ()
        after = sum(sizes.values()) - sum(sizes.get(path, 0) for path in (*old, *gone))
        if rewrites:
            after += fates.size_bytes
        records = fates.results + self._left_results
        return StorePlan(
            path=self._path,
            segments=frozenset(path for path in sizes if path.suffix == folder.SUFFIX),
            old=old,
            left=self._left,
            fates=bytes(fates.codes),
            rewritten=fates.rewritten,
            fences=self._fences,
            blobs=gone,
            records=records,
            records_after=records - sum(counts[fate] for fate in RESULT_GOES),
            size_bytes=sum(sizes.values()),
            size_bytes_after=after,
            superseded=counts[SUPERSEDED],
            killed=counts[KILLED],
            chosen=counts[CHOSEN],
            lost=fates.lost if rewrites or self._goes is None else 0,
            held=self._held,
        )

    def _listed(self) -> dict[Path, int]:
        """The files of the store. Raises OSError."""
        sizes = {}
        for name in sorted(self._disk.listdir(self._path)):
            if _OURS.fullmatch(name):
                try:
                    found = self._disk.stat(self._path / name, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                sizes[self._path / name] = found.st_size
        return sizes

    def _gone_blobs(self) -> tuple[Path, ...]:
        """The blobs that nobody refers to once the plan is carried out. A blob is there before what refers to
        it, so as long as there may be a writer all of them stay."""
        unread = any(path in self._left or kinds.keys() - {Kind.CORRUPT} for path, kinds in self._reading.wrong.items())
        all_known = self._all_known and self._fates.all_known and not unread
        if not all_known or alive.store(self._path, self._disk, self._ended):
            return ()
        needed = {blobs.path_of(self._path, digest) for digest in self._references | self._fates.references}
        unneeded = (path for path in self._sizes if path.suffix != folder.SUFFIX and path not in needed)
        return tuple(path for path in unneeded if owner_of_other(path, self._disk) is None)


def _homes(reading: Reading, outside: Tombstones) -> dict[Name, Path]:
    """The segments of the frames that tombstones name. Every byte is read: what is wrong is known from here on."""
    named = outside.named | Tombstones.of(reading).named
    return {
        found.name: found.segment
        for segment in reading.segments
        for found in reading.frames(segment)
        if found.name in named
    }


def _fences(left: Iterable[Segment]) -> Fences:
    fences = defaultdict(set)
    for segment in left:
        if segment.summary.writer is not None:
            fences[segment.run].add(segment.summary.writer)
    return {run: sorted(writers) for run, writers in fences.items()}
