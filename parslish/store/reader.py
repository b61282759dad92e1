"""Owns looking results up by key, over all loaded folders, and reading a folder's frames in order.

Which segments there are is left to `loading`, whether a record may be opened to `records`, where a key is to `view`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from pathlib import Path
from typing import Final

from parslish.secret import Keys
from parslish.store import summary, view
from parslish.store.bodies import Name
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import CONTROL, Type
from parslish.store.loading import Loader, quickly
from parslish.store.records import Record, Vanished
from parslish.store.report import Report
from parslish.store.scan import Segment, Stretch
from parslish.store.summary import Summary
from parslish.store.view import Place, View

__all__ = ["Record", "Store", "read_frames"]

_RESULT: Final = int(Type.RESULT)
#: Of a frame: run, writer, number, segment, offset, and what tells its content from another.
_FramePlace = tuple[int, bytes, int, Path, int, bytes]
Found = Callable[[], Iterable[Path]]


class Store:
    """Results by key: read only, for any number of threads.

    What others store after it was opened is found after a `refresh`. Segments may be replaced by others at any time.
    """

    def __init__(self, loader: Loader, report: Report, found: Found = tuple) -> None:
        self.report = report
        self._loader, self._opener, self._found = loader, loader.opener, found
        self._view = View()
        self._begin()
        self._add_found(alone=False)
        loader.add_bases()
        self._take_in(later=False)
        _OPEN.add(self)

    @classmethod
    def open(
        cls,
        paths: Iterable[str | os.PathLike[str]],
        keys: Keys,
        *,
        found: Found = tuple,
        shared: bool = False,
        disk: Disk = OS_DISK,
    ) -> Store:
        """Open folders and single segments, and the folders that they build upon.

        Damage never makes this fail (P2): see `report`.

        Args:
            paths: folders or segments.
            keys: whose signatures count.
            found: gives folders that are to be opened too; they need not be there.
            shared: accept what other users own or can write to.

        Raises:
            BadCheckpoint: a path that was named is not there, not readable, not to be trusted, no segment,
                or written by a later version.
        """
        report = Report()
        loader = Loader(keys, report, quickly, shared=shared, disk=disk)
        for path in paths:
            loader.add(Path(path))
        return cls(loader, report, found)

    def follow(self, found: Found) -> None:
        """From the next `refresh` on, take in the folders that `found` gives, without those that they build upon."""
        self._found = found

    def refresh(self) -> bool:
        """Take in what has been stored since; whether there is anything new. Only what has grown is read."""
        with self._refreshing:
            self._add_found(alone=True)
            self._loader.look_again()
            self._loader.add_bases()
            return self._take_in(later=True)

    def find(self, key: bytes) -> Iterator[Record]:
        """The results filed under a key, most recent first: by run number, then by what its writer wrote last.

        Those that do not verify are passed over and reported; those that a tombstone names are passed over.
        """
        where = self._view
        places = where.places(key)
        if len(places) > 1:
            return self._each(key)
        # Nearly all keys have one place or none: to begin a generator and to end it costs as much as to check what is
        # signed.
        try:
            return iter([record for place in places if (record := self._result(where, key, place)) is not None])
        except Vanished:
            return self._each(key)

    def _each(self, key: bytes) -> Iterator[Record]:
        given: dict[Name, bytes] = {}
        replaced = False
        while True:
            where = self._view
            try:
                places = where.places(key)
                for place in self._recent_first(places) if len(places) > 1 else places:
                    record = self._result(where, key, place)
                    # A segment that replaces others has their records under names of its own.
                    if record is None or record.name in given or (replaced and record.body in given.values()):
                        continue
                    given[record.name] = record.body
                    yield record
                return
            except Vanished:
                replaced = True
                self.refresh()

    def _result(self, where: View, key: bytes, place: Place) -> Record | None:
        """The result at a place, if it is one that is filed under the key, verifies and counts. Raises Vanished."""
        record = self._opener.open(*place)
        if record is None or record.key != key or record.type != _RESULT:
            return None
        return None if where.dead and record.name in where.dead else record

    def __contains__(self, key: bytes) -> bool:
        return next(self.find(key), None) is not None

    def __len__(self) -> int:
        """How many results are stored, counting those that others have superseded."""
        return len(self._view)

    def close(self) -> None:
        """Give the descriptors back; they are opened again should anything be looked up later."""
        self._opener.sources.clear()

    def _begin(self) -> None:
        self._refreshing = threading.Lock()  # held by the one thread that looks for what is new

    def _add_found(self, *, alone: bool) -> None:
        with contextlib.suppress(OSError):  # the next time, perhaps
            for path in self._found():
                self._loader.add_found(path, alone=alone)

    def _take_in(self, *, later: bool) -> bool:
        """Make a view of what is loaded, if that has changed; whether there is anything new."""
        loader, new = self._loader, self._loader.take_new()
        gone = {number for number, part in enumerate(loader.parts) if part is None}
        if new or gone != self._view.gone:
            loader.judge(later=later)
            tables = view.with_new(self._view.tables, new, gone)
            self._view = View(tables, view.dead(loader.killers), gone)
        return bool(new)

    def _recent_first(self, places: list[Place]) -> list[Place]:
        """No clock has a say in this (I7)."""
        order = []
        for number, offset in places:
            head = self._opener.head(number, offset)
            order.append((head.run, head.writer, head.seq) if head else (-1, b"", -1))
        ranked = sorted(zip(order, places, strict=True), reverse=True)
        return [place for _, place in ranked]


_OPEN: weakref.WeakSet[Store] = weakref.WeakSet()


def _begin_all_in_child() -> None:
    for store in list(_OPEN):
        store._begin()


# A lock that another thread held at the fork would stay locked in the child for ever.
os.register_at_fork(after_in_child=_begin_all_in_child)


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
    places: list[_FramePlace] = []

    def note(found: Iterable[Stretch], where: Path) -> Iterator[Stretch]:
        for stretch in found:
            head = stretch.header
            if head and not head.flags & CONTROL and (types is None or head.type in types):
                places.append((head.run, head.writer, head.seq, where, stretch.start, head.key + head.digest))
            yield stretch

    def summarise(segment: Segment) -> Summary:
        return summary.from_scan(segment, note(segment.stretches(), segment.path))

    loader = Loader(keys, report or Report(), summarise, shared=shared, disk=disk)
    loader.add(Path(path))
    loader.judge()
    reading = _Reading(loader)
    while (yield from reading.next(sorted(places))):  # a segment is gone: its records are in another now
        known = len(places)
        loader.look_again()
        reading.passes_over_gone = len(places) == known


class _Reading:
    """The course of `read_frames`: what was given, and by its content, since a segment that replaces others has their
    frames under names of its own."""

    def __init__(self, loader: Loader) -> None:
        self.passes_over_gone = False
        self._loader = loader
        self._given: set[tuple[int, bytes]] = set()
        self._loaded: set[Path] = set()

    def next(self, places: Iterable[_FramePlace]) -> Generator[Record, None, bool]:
        """The records at these places that were not given yet, until one turns out to be in a segment that is gone;
        returns whether that was so."""
        numbers = {part.summary.path: number for number, part in enumerate(self._loader.parts) if part is not None}
        self._loaded |= numbers.keys()
        for run, _, _, where, offset, content in places:
            if (run, content) in self._given:
                continue
            if where not in numbers:
                if where in self._loaded and not self.passes_over_gone:
                    return True
                continue
            try:
                record = self._loader.opener.open(numbers[where], offset)
            except Vanished:
                return True
            if record is not None:
                self._given.add((run, content))
                yield record
        return False
