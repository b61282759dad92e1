"""Owns invalidation: tombstones that name the stored results of tasks, and taking them back.

A tombstone lies in the folder of the results that it names, so whoever loads those meets it. Somebody may thin that
folder out meanwhile: frames that move get other names, and the tombstone would name what is gone. Who thins out looks
for new tombstones when all that is new is there, and we look for what is new when the tombstone is there: so one of us
sees the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from parslish.care.frames import Reading, dead
from parslish.errors import ParslishError, UsageError, near
from parslish.history.edges import Edges
from parslish.history.folder import CHECKPOINT, EVENTS, numbered
from parslish.history.record import RunRecord
from parslish.secret import Keys
from parslish.store import bodies, folder
from parslish.store.bodies import Name
from parslish.store.frame import Type
from parslish.store.loading import quickly
from parslish.store.log import Log
from parslish.store.reader import Store
from parslish.utils import user_name

_MOVED: Final = "moved"  # of a tombstone: it names what an earlier one named, under the names that this has now


@dataclass(frozen=True)
class Invalidation:
    """Results that no longer count.

    Args:
        id: what `undo` takes.
        paths, locs: the tasks of the run whose results they were, each behind those that it depends on.
        records: how many stored results were named.
        shared: paths of other tasks of the run that had the same keys, and so lost their results with them.
        reason, user, time: why, by whom, and when, in seconds since the epoch.
        undone: whether it has been taken back.
    """

    run: Path
    id: str
    paths: Sequence[str]
    records: int
    reason: str
    user: str
    time: float
    locs: Sequence[str] = ()
    shared: Sequence[str] = ()
    undone: bool = False

    def undo(self) -> int:
        """Take it back; returns how many results count again."""
        return undo(self.run.parent, self.id)

    def to_json(self) -> dict[str, Any]:
        """As the command line gives it."""
        names = ("id", "paths", "locs", "records", "shared", "reason", "user", "time", "undone")
        return {name: list(each) if isinstance(each := getattr(self, name), tuple) else each for name in names}


def invalidate(record: RunRecord, ids: Iterable[int], keys: Keys, *, reason: str, dependents: bool) -> Invalidation:
    """Let the stored results of tasks, and of what depends on them, no longer count.

    Raises:
        UsageError: none of them has a stored result.
        StoreError: a tombstone cannot be written.
    """
    edges = Edges(record)
    order = edges.topological(edges.descendants(ids) if dependents else ids)
    key_of = record.columns.key
    doomed = {key for id in order if (key := key_of[id]) is not None}
    found = _Found(record, keys)
    names, elsewhere = found.of(order)
    if not names:
        raise UsageError(
            f"run {record.id}: none of these {len(order)} tasks has a stored result to invalidate; "
            f"to have them run again, use  restart  or  rerun --from"
        )
    chosen = set(order)
    made = Invalidation(
        run=record.path,
        id=os.urandom(4).hex(),
        paths=tuple(map(record.path_of, order)),
        locs=tuple(map(record.loc_of, order)),
        records=sum(map(len, names.values())),
        shared=tuple(record.path_of(id) for id in record.ids() if key_of[id] in doomed and id not in chosen),
        reason=reason,
        user=user_name(),
        time=time.time(),
    )
    facts = {"id": made.id, "reason": reason, "user": made.user, "time": made.time}
    facts |= {"run": record.id, "root": record.root, "paths": list(made.paths), "keys": [*doomed, *elsewhere]}
    while names:
        for place, named in names.items():
            _bury(place, keys, named, facts)
        names = found.moved()
        facts[_MOVED] = True
    return made


def undo(run_dir: Path, id: str, keys: Keys | None = None) -> int:
    """Take an invalidation back; returns how many results count again.

    Raises:
        UsageError: there is none of that id, or it was undone before.
    """
    keys = keys or Keys.load()
    found = list(tombstones(run_dir, keys))
    mine = [each for each in found if each.facts.get("id") == id]
    if not mine:
        known = {str(each.facts["id"]) for each in found if "id" in each.facts}
        names = ", ".join(sorted(known)) or "none"
        raise UsageError(
            f"there is no invalidation {id!r} in {run_dir}{near(id, known)}; known are {names}; what compact or prune "
            f"has removed cannot be taken back"
        )
    if all(each.undone for each in mine):
        raise UsageError(f"the invalidation {id!r} was undone before; its results count")
    facts = {"undoes": id, "user": user_name(), "time": time.time()}
    undone: set[Name] = set()
    while to_undo := [each for each in mine if not each.undone and each.name not in undone]:
        for each in to_undo:
            _bury(each.folder, keys, [each.name], facts)
            undone.add(each.name)
        mine = [each for each in tombstones(run_dir, keys) if each.facts.get("id") == id]
    return len({name for each in mine if each.name in undone for name in each.counted})


def invalidations(record: RunRecord, keys: Keys) -> list[Invalidation]:
    """What was invalidated in a run's name, oldest first."""
    found: dict[str, Invalidation] = {}
    for each in tombstones(record.path.parent, keys):
        facts = each.facts
        if (facts.get("run"), facts.get("root")) != (record.id, record.root) or not isinstance(facts.get("id"), str):
            continue
        before = found.get(facts["id"])
        records = len(each.counted) + (before.records if before else 0)
        found[facts["id"]] = Invalidation(
            record.path,
            facts["id"],
            tuple(facts.get("paths", ())),
            records,
            str(facts.get("reason", "")),
            str(facts.get("user", "")),
            float(facts.get("time", 0.0)),
            undone=each.undone,
        )
    return sorted(found.values(), key=lambda each: each.time)


@dataclass(frozen=True)
class Tombstone:
    """A tombstone that was found: what it is called, what it names and says, and whether another one undoes it."""

    folder: Path
    name: Name
    kills: Sequence[Name]
    facts: Mapping[str, Any]
    undone: bool

    @property
    def counted(self) -> Sequence[Name]:
        """What it names, but for what another one of the invalidation has named before that moved."""
        return () if self.facts.get(_MOVED) else self.kills


def tombstones(run_dir: Path, keys: Keys) -> Iterator[Tombstone]:
    """All tombstones in the stores of a run folder, and in those that these build upon."""
    reading = Reading(stores(run_dir), keys, bases=True, summarise=quickly)
    try:
        undone = dead(reading.tombstones)
        for each in reading.tombstones:
            facts = bodies.tombstone_facts(each.body)
            yield Tombstone(each.segment.parent, each.name, bodies.kills(each.body), facts, each.name in undone)
    finally:
        reading.close()


def stores(run_dir: Path) -> list[Path]:
    """The stores of a run folder, without those that are other people's."""
    found = []
    for _, path in numbered(run_dir):
        with contextlib.suppress(OSError):
            if folder.refusal(os.stat(path / CHECKPOINT), shared=False) is None:
                found.append(path / CHECKPOINT)
    return found


class _Found:
    """The stored results of tasks: in all runs beside theirs, and in what these build upon."""

    def __init__(self, record: RunRecord, keys: Keys) -> None:
        self._record, self._keys = record, keys
        self._named: set[Name] = set()
        self._bodies: dict[bytes, set[bytes]] = {}  # digests of what was found, by key

    def of(self, ids: Iterable[int]) -> tuple[dict[Path, list[Name]], list[bytes]]:
        """What they are called, by the folder that they lie in. Then the keys under which some were found that are not
        those of the tasks."""
        found: dict[Path, list[Name]] = defaultdict(list)
        key_of, done, elsewhere = self._record.columns.key, set[bytes](), list[bytes]()

        def take(key: bytes) -> bool:
            done.add(key)
            names = self._new(store, key)
            for place, name in names:
                found[place].append(name)
            return bool(names)

        with self._store() as store:
            # A result that was accepted from earlier code, or stored under an earlier name, is filed under another key.
            without = [id for id in ids if (key := key_of[id]) is not None and key not in done and not take(key)]
            for key in _keys_of_origins(self._record, without, self._keys):
                if key not in done and take(key):
                    elsewhere.append(key)
        return found, elsewhere

    def moved(self) -> dict[Path, list[Name]]:
        """What was found, and has another name now, by folder: what is equal to the last byte is a copy, and what was
        computed since is not."""
        found: dict[Path, list[Name]] = defaultdict(list)
        with self._store() as store:
            for key in self._bodies:
                for place, name in self._new(store, key):
                    found[place].append(name)
        return found

    def _new(self, store: Store, key: bytes) -> list[tuple[Path, Name]]:
        """The results under a key that were not found before: all of them at first, later those that are equal."""
        before = self._bodies.get(key)
        found = [each for each in store.find(key) if before is None or _digest(each.body) in before]
        new = [(each.folder, each.name) for each in found if each.name not in self._named]
        self._named.update(each.name for each in found)
        if found:
            self._bodies.setdefault(key, {_digest(each.body) for each in found})
        return new

    @contextlib.contextmanager
    def _store(self) -> Iterator[Store]:
        store = Store.open((), self._keys, found=lambda: stores(self._record.path.parent))
        try:
            yield store
        finally:
            store.close()


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _keys_of_origins(record: RunRecord, ids: Iterable[int], keys: Keys) -> Iterator[bytes]:
    """The keys that results have where they were computed, in runs beside this one."""
    of_run: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for id in ids:
        run, origin = record.columns.origin.get(id, (None, -1))
        if run is not None and run != record.number:
            of_run[run].append((id, origin))
    for number, path in numbered(record.path.parent) if of_run else ():
        if number in of_run and (path / EVENTS).is_dir():
            with contextlib.suppress(ParslishError):
                source = RunRecord(path, keys)
                yield from (key for pair in of_run[number] if (key := _key_of_origin(record, source, *pair)))


def _key_of_origin(record: RunRecord, source: RunRecord, id: int, origin: int) -> bytes | None:
    # A run of another folder may have the same number: then it is another task.
    is_it = 0 <= origin < len(source) and record.columns.result[id] == source.columns.result[origin]
    return source.columns.key[origin] if is_it else None


def _bury(place: Path, keys: Keys, names: Iterable[Name], facts: Mapping[str, Any]) -> None:
    run = place.parent.name
    log = Log(place, keys=keys, run_number=int(run) if run.isdecimal() else 0, sync="manual")
    try:
        log.append(Type.TOMBSTONE, bodies.tombstone(names, dict(facts)))
    finally:
        log.close()
    if log.trouble is not None:
        raise log.trouble
