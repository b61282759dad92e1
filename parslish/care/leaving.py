"""Owns which segments of a store are left alone, and why; and in which order the others may go.

A frame that moves to another segment gets another name. So a tombstone that names it has to move along, or neither
does; and a tombstone goes after what it names, or that would count again should a kill come in between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from parslish.care.frames import Frame, Reading
from parslish.errors import BadCheckpoint
from parslish.history import alive
from parslish.history.folder import CHECKPOINT, numbered
from parslish.secret import Keys
from parslish.store import bodies
from parslish.store.bodies import Name
from parslish.store.disk import Disk
from parslish.store.loading import quickly
from parslish.store.report import Kind

_IN_A_CIRCLE: Final = "tombstones in it and in others name each other"


class Outside:
    """The tombstones of the other stores in a run folder: they may name what is in this one.

    Args:
        keys, shared: as for `Reading`.
    """

    def __init__(self, keys: Keys, *, shared: bool, disk: Disk) -> None:
        self._keys, self._shared, self._disk = keys, shared, disk
        self._found: dict[Path, list[Frame]] = {}

    def of(self, store: Path) -> list[Frame]:
        """Those outside one store."""
        if store.name != CHECKPOINT:
            return []
        run_dir = store.absolute().parent.parent
        if run_dir not in self._found:
            stores = [run / CHECKPOINT for _, run in numbered(run_dir)]
            self._found[run_dir] = [each for one in stores for each in self._in(one)]
        return [each for each in self._found[run_dir] if each.segment.parent != store.absolute()]

    def _in(self, store: Path) -> list[Frame]:
        try:
            reading = Reading([store], self._keys, shared=self._shared, summarise=quickly, disk=self._disk)
        except BadCheckpoint:
            return []  # nobody can load it, and its tombstones neither
        reading.close()
        return reading.tombstones


class Leaving:
    """Which segments of a store may go, in which order, and which are left alone.

    Args:
        reading: the store, with all its frames read once, so that what is wrong with it is known.
        homes: the segments of the frames that tombstones name.
        outside: tombstones of other stores.
        force: damaged segments may go, with what can be read of them kept.
    """

    def __init__(
        self,
        reading: Reading,
        homes: Mapping[Name, Path],
        outside: Iterable[Frame],
        *,
        force: bool,
        disk: Disk,
    ) -> None:
        self.left: dict[Path, str] = {}  #: segment → reason
        self.order: tuple[Path, ...] = ()  #: the others, as they may go
        self._writers = {one.path: one.summary.writer for one in reading.segments}
        self._homes, self._outside, self._tombstones = homes, outside, reading.tombstones
        for path in {**self._writers, **reading.wrong}:
            wrong = reading.wrong.get(path, {})
            # What is no segment stays, whatever is said.
            bears = force and path in self._writers
            sentences = [sentence for kind, sentence in wrong.items() if not (bears and kind is Kind.CORRUPT)]
            if reason := alive.segment(path, disk) or next(iter(sentences), None):
                self.left[path] = reason
        while self._settle():
            pass

    def _settle(self) -> bool:
        """Leave those alone that depend on others that are left alone; whether there were any."""
        known = len(self.left)
        writers = {self._writers.get(path) for path in self.left} - {None}
        for path, writer in self._writers.items():
            if writer in writers:
                self.left.setdefault(path, "another segment of its writer is left alone")
        for tombstone in (*self._outside, *(one for one in self._tombstones if one.segment in self.left)):
            for path in self._named(tombstone):
                self.left.setdefault(path, f"a tombstone in {tombstone.segment} names a record of it")
        try:
            self.order = tuple(TopologicalSorter(self._before()).static_order())
        except CycleError as exc:
            for path in exc.args[1]:
                self.left.setdefault(path, _IN_A_CIRCLE)
        return len(self.left) > known

    def _named(self, tombstone: Frame) -> set[Path]:
        return {self._homes[name] for name in bodies.kills(tombstone.body) if name in self._homes}

    def _before(self) -> dict[Path, set[Path]]:
        """What has to go before each segment that may go."""
        before: defaultdict[Path, set[Path]] = defaultdict(set)
        for path in sorted(self._writers):
            if path not in self.left:
                before[path] = set()
        for tombstone in self._tombstones:
            if tombstone.segment not in self.left:
                before[tombstone.segment] |= self._named(tombstone) - {tombstone.segment} - self.left.keys()
        return before
