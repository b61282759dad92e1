"""Owns looking results up by key, over all loaded folders, and reading a folder's frames in order.

Which segments there are is left to `loading`, whether a record may be opened to `records`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from parslish.secret import Keys
from parslish.store import bodies, index, summary
from parslish.store.bodies import Name
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import CONTROL, Type
from parslish.store.loading import Loader, quickly
from parslish.store.records import Part, Record
from parslish.store.report import Report
from parslish.store.scan import Segment, Stretch
from parslish.store.summary import Summary

__all__ = ["Record", "Store", "read_frames"]

# A segment with fewer records shares a table with others like it, so that a lookup in a store of hundreds
# of segments searches a few tables. There a place is segment number and offset in one.
_OWN_TABLE_RECORDS: Final = 1 << 15
_OFFSET_BITS: Final = 40


class Store:
    """Results by key: read only, opened once, for any number of threads."""

    def __init__(self, loader: Loader, report: Report) -> None:
        self.report = report
        self._opener = loader.opener
        self._tables = _tables(loader.parts)
        self._dead = _dead(loader)

    @classmethod
    def open(
        cls,
        paths: Iterable[str | os.PathLike[str]],
        keys: Keys,
        *,
        shared: bool = False,
        disk: Disk = OS_DISK,
    ) -> Store:
        """Open folders and single segments, and the folders that they build upon.

        Damage never makes this fail (P2): see `report`.

        Args:
            paths: folders or segments.
            keys: whose signatures count.
            shared: accept what other users own or can write to.

        Raises:
            BadCheckpoint: a path that was named is not there, not readable, not to be trusted, no segment,
                or written by a later version.
        """
        report = Report()
        loader = Loader(keys, report, quickly, shared=shared, disk=disk)
        for path in paths:
            loader.add(Path(path))
        loader.add_bases()
        loader.judge()
        return cls(loader, report)

    def find(self, key: bytes) -> Iterator[Record]:
        """The results filed under a key, most recent first: by run number, then by what its writer wrote last.

        Those that do not verify are passed over and reported; those that a tombstone names are passed over.
        """
        places = self._places(key)
        if len(places) > 1:
            places = self._recent_first(places)
        given: set[Name] = set()
        for number, offset in places:
            record = self._opener.open(number, offset)
            if record is not None and record.key == key:
                name = record.name
                if name not in given and name not in self._dead:
                    given.add(name)
                    yield record

    def __contains__(self, key: bytes) -> bool:
        return next(self.find(key), None) is not None

    def __len__(self) -> int:
        """How many results are stored, counting those that others have superseded."""
        return sum(len(table) for table, _ in self._tables)

    def close(self) -> None:
        """Give the descriptors back; they are opened again should anything be looked up later."""
        self._opener.sources.clear()

    def _places(self, key: bytes) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for table, number in self._tables:
            places = table.find(key)
            if number is None:
                found += [divmod(place, 1 << _OFFSET_BITS) for place in places]
            else:
                found += [(number, place) for place in places]
        return found

    def _recent_first(self, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """No clock has a say in this (I7)."""
        order = []
        for number, offset in places:
            head = self._opener.head(number, offset)
            order.append((head.run, head.writer, head.seq) if head else (-1, b"", -1))
        ranked = sorted(zip(order, places, strict=True), reverse=True)
        return [place for _, place in ranked]


def _tables(parts: list[Part]) -> list[tuple[index.Table, int | None]]:
    """The tables to search, each with the number of its segment, or None for the one that many share."""
    tables: list[tuple[index.Table, int | None]] = []
    shared: list[bytes] = []
    for number, part in enumerate(parts):
        found = part.summary
        table = index.Table.build(found.entries) if found.table is None else found.table
        found.table, found.entries = None, []  # held by this store alone from here on
        if len(table) >= _OWN_TABLE_RECORDS or found.size >> _OFFSET_BITS:
            tables.append((table, number))
        else:
            base = number << _OFFSET_BITS
            shared += [index.entry(key, base | offset) for key, offset in table.entries()]
    if shared:
        tables.append((index.Table.build(shared), None))
    return tables


def _dead(loader: Loader) -> set[Name]:
    """The frames that do not count: those that a tombstone names which is not itself dead."""
    killers = defaultdict(set)
    for number, part in enumerate(loader.parts):
        for offset in part.summary.specials:
            record = loader.opener.open(number, offset)
            if record is not None and record.type == Type.TOMBSTONE:
                for name in bodies.kills(record.body):
                    killers[name].add(record.name)
    return {name for name in killers if _is_dead(name, killers, ())}


def _is_dead(name: Name, killers: dict[Name, set[Name]], above: tuple[Name, ...]) -> bool:
    # `above` ends a circle, which no honest writer makes: a tombstone names what is older than it.
    return any(
        killer not in above and not _is_dead(killer, killers, (*above, name)) for killer in killers.get(name, ())
    )


def read_frames(
    path: str | os.PathLike[str],
    keys: Keys,
    *,
    types: Collection[int] | None = None,
    shared: bool = False,
    disk: Disk = OS_DISK,
    report: Report | None = None,
) -> Iterator[Record]:
    """The verified frames of a folder, each once, writer by writer in the order they were written.

    Args:
        path: the folder, or one segment.
        types: which types to read; None: all but control frames.
        report: takes what cannot be read.

    Raises:
        BadCheckpoint: as `Store.open`.
    """
    places: list[tuple[int, bytes, int, Path, int]] = []

    def note(found: Iterable[Stretch], where: Path) -> Iterator[Stretch]:
        for stretch in found:
            head = stretch.header
            if head and not head.flags & CONTROL and (types is None or head.type in types):
                places.append((head.run, head.writer, head.seq, where, stretch.start))
            yield stretch

    def summarise(segment: Segment) -> Summary:
        return summary.from_scan(segment, note(segment.stretches(), segment.path))

    loader = Loader(keys, report or Report(), summarise, shared=shared, disk=disk)
    loader.add(Path(path))
    loader.judge()
    numbers = {part.summary.path: number for number, part in enumerate(loader.parts)}
    given = None
    for run, writer, seq, where, offset in sorted(places):
        if (run, writer, seq) == given or where not in numbers:
            continue
        record = loader.opener.open(numbers[where], offset)
        if record is not None:
            given = run, writer, seq
            yield record
