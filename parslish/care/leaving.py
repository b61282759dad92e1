"""Owns which segments of a store are left alone, and why; and in which order the others may go.

A frame that moves to another segment gets another name. So a tombstone that names it has to move along, or neither
does; and a tombstone goes after what it names, or that would count again should a kill come in between. Where
tombstones may be that cannot be read, nobody knows what they name, and nothing moves.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, NamedTuple

from parslish.care.frames import Frame, Reading
from parslish.errors import BadCheckpoint
from parslish.history import alive
from parslish.history.folder import CHECKPOINT, numbered
from parslish.secret import Keys, key_file
from parslish.store import bodies
from parslish.store.bodies import Name
from parslish.store.disk import Disk
from parslish.store.loading import quickly
from parslish.store.report import Kind
from parslish.store.source import is_gone

_IN_A_CIRCLE: Final = "tombstones in it and in others name each other"
_FORCE: Final = "--force rewrites what can be read and drops"


class Tombstones(NamedTuple):
    """Tombstones that may name what is in a store: ours, those that others have signed, and the files that may hold
    more, each with the reason why they cannot be read."""

    ours: tuple[Frame, ...] = ()
    strangers: tuple[Frame, ...] = ()
    unread: tuple[tuple[Path, str], ...] = ()

    @classmethod
    def of(cls, reading: Reading) -> Tombstones:
        """Those of stores that were read."""
        return cls(tuple(reading.tombstones), tuple(reading.strangers.values()), tuple(reading.unread.items()))

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All that can be read."""
        return self.ours + self.strangers

    @property
    def named(self) -> set[Name]:
        """The frames that these name."""
        return {name for one in self.frames for name in bodies.kills(one.body)}


class Outside:
    """The tombstones of the other stores in a run folder: they may name what is in this one.

    Args:
        keys, shared: as for `Reading`.
    """

    def __init__(self, keys: Keys, *, shared: bool, disk: Disk) -> None:
        self._keys, self._shared, self._disk = keys, shared, disk
        self._found: dict[Path, dict[Path, Tombstones]] = {}

    def of(self, store: Path) -> Tombstones:
        """Those outside one store."""
        if store.name != CHECKPOINT:
            return Tombstones()
        here = store.absolute()
        run_dir = here.parent.parent
        if run_dir not in self._found:
            stores = [run / CHECKPOINT for _, run in numbered(run_dir)]
            self._found[run_dir] = {one: self._in(one) for one in stores}
        others = [found for one, found in self._found[run_dir].items() if one != here]
        return Tombstones(
            tuple(each for one in others for each in one.ours),
            tuple(each for one in others for each in one.strangers),
            tuple(each for one in others for each in one.unread),
        )

    def _in(self, store: Path) -> Tombstones:
        try:
            reading = Reading([store], self._keys, shared=self._shared, summarise=quickly, disk=self._disk)
        except BadCheckpoint as exc:
            is_there = not (isinstance(exc.__cause__, OSError) and is_gone(exc.__cause__))
            return Tombstones(unread=((store, exc.reason),)) if is_there else Tombstones()
        reading.close()
        return Tombstones.of(reading)


class Leaving:
    """Which segments of a store may go, in which order, and which are left alone.

    Args:
        reading: the store, with all its frames read once, so that what is wrong with it is known.
        homes: the segments of the frames that tombstones name.
        outside: tombstones of other stores.
        force: damaged segments may go, with what can be read of them kept.
        ended: hosts of which the user says that their processes have ended.
    """

    def __init__(
        self,
        reading: Reading,
        homes: Mapping[Name, Path],
        outside: Tombstones,
        *,
        force: bool,
        ended: Collection[str],
        disk: Disk,
    ) -> None:
        self.left: dict[Path, str] = {}  #: segment → reason
        self.order: tuple[Path, ...] = ()  #: the others, as they may go
        self._writers = {one.path: one.summary.writer for one in reading.segments}
        self._homes, self._tombstones = homes, reading.tombstones
        self._strangers = (*outside.strangers, *reading.strangers.values())
        self._elsewhere = outside.ours
        unread = next(iter((*reading.unread.items(), *outside.unread)), None)
        for path in {**self._writers, **reading.wrong}:
            wrong = reading.wrong.get(path, {})
            # What is no segment stays, whatever is said.
            reasons = (
                _of_owner(path, disk),
                _of_writer(path, ended, disk),
                _of_state(wrong, path in self._writers, force),
                _of_unread(*unread) if unread else None,
            )
            if reason := next(filter(None, reasons), None):
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
        for tombstone, add in self._staying():
            for path in self._named(tombstone):
                self.left.setdefault(path, f"a tombstone in {tombstone.segment} names a record of it{add}")
        try:
            self.order = tuple(TopologicalSorter(self._before()).static_order())
        except CycleError as exc:
            for path in exc.args[1]:
                self.left.setdefault(path, _IN_A_CIRCLE)
        return len(self.left) > known

    def _staying(self) -> Iterator[tuple[Frame, str]]:
        """The tombstones that cannot move along, each with what is to be said besides."""
        for stranger in self._strangers:
            yield stranger, f", and is signed with a key that is not yours: put that key below yours in {key_file()}"
        for one in (*self._elsewhere, *(one for one in self._tombstones if one.segment in self.left)):
            yield one, ""

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


def owner_of_other(path: Path, disk: Disk) -> int | None:
    """The account that a file belongs to, when that is not ours: it could not read what we put in its place."""
    try:
        owner = disk.stat(path, follow_symlinks=False).st_uid
    except OSError:
        return None  # gone, or its folder cannot be read: that is told elsewhere
    return None if owner == os.getuid() else owner


def _of_owner(path: Path, disk: Disk) -> str | None:
    owner = owner_of_other(path, disk)
    return None if owner is None else f"it belongs to another account (uid {owner}), which has to do this itself"


def _of_writer(path: Path, ended: Collection[str], disk: Disk) -> str | None:
    reason = alive.segment(path, disk, ended)
    if reason is None or "may still" not in reason:  # a process of this machine has been asked
        return reason
    _, host, *_ = path.name.split("-")
    return f"{reason}; if all processes on {host} have ended, say --ended {host}"


def _of_state(wrong: Mapping[Kind, str], is_segment: bool, force: bool) -> str | None:
    for kind, sentence in wrong.items():
        if kind is not Kind.CORRUPT or not is_segment:
            return sentence
        if not force:
            return f"{sentence}; {_FORCE} {'it' if sentence.startswith('record ') else 'the rest'}"
    return None


def _of_unread(path: Path, reason: str) -> str:
    return f"{path} may hold tombstones that name records of it: {reason}; mend that first"
