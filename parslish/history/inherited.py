"""Owns what a run has of the runs before it: the tasks that a reused join had submitted, where it was computed.

They are appended to the run's columns, as reused when the join was, so that whoever asks about the run, or has a part
of it run again, finds them at their places, through any number of re-executions.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from parslish.errors import ParslishError
from parslish.history import columns
from parslish.history.folder import EVENTS, numbered
from parslish.history.record import RunRecord
from parslish.secret import Keys


def read(path: Path, keys: Keys, *, known: dict[int, RunRecord | None] | None = None) -> RunRecord:
    """The record of a run, with what it has of the runs before it.

    Args:
        known: records by the numbers of their runs, which are read once.

    Raises:
        UsageError, BadCheckpoint: as `RunRecord`.
    """
    record = RunRecord(path, keys)
    runs = known if known is not None else {}
    runs[record.number] = record

    def find(number: int) -> RunRecord | None:
        if number not in runs:
            runs[number] = None  # until it is read: a run that says it is its own ancestor is not
            place = next((each for each_number, each in numbered(record.path.parent) if each_number == number), None)
            if place is not None and (place / EVENTS).is_dir():
                with contextlib.suppress(ParslishError):  # of another account, say: then nothing is known of it
                    runs[number] = read(place, keys, known=runs)
        return runs[number]

    _inherit(record, find)
    return record


def _inherit(record: RunRecord, find: Callable[[int], RunRecord | None]) -> None:
    found = record.columns
    joins: dict[int, list[tuple[int, int]]] = defaultdict(list)  # by run: the task there, and the one here
    for id, (run, origin) in list(found.origin.items()):
        if run is not None and run != record.number and record.apps[found.app[id]].kind == "join":
            joins[run].append((origin, id))
    for run, pairs in joins.items():
        source = find(run)
        if source is not None and source is not record:
            _Graft(record, source).add(pairs)


class _Graft:
    """Copies tasks of one record to the end of another."""

    def __init__(self, record: RunRecord, source: RunRecord) -> None:
        self._record, self._source = record, source
        self._to, self._from = record.columns, source.columns
        self._ids: dict[int, int] = {}
        self._apps: dict[int, int] = {}
        self._scopes: dict[int, int] = {-1: -1}
        self._by_path = {record.path_of(id): id for id in record.ids()} if self._from.dependencies else {}

    def add(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy what joins had submitted; each pair is a join there, and the one here that reused it."""
        children: dict[int, list[int]] = defaultdict(list)
        for id in self._source.ids():
            children[self._from.parent[id]].append(id)
        for origin, id in pairs:
            if 0 <= origin < self._from.count:
                self._ids[origin] = id
                waiting = deque((child, id) for child in children.get(origin, ()))
                while waiting:
                    child, parent = waiting.popleft()
                    self._copy(child, parent)
                    waiting.extend((each, self._ids[child]) for each in children.get(child, ()))
        for child, id in self._ids.items():
            if id in self._to.dependencies or child not in self._from.dependencies:
                continue
            self._to.dependencies[id] = tuple(self._here(self._from.dependencies[child]))

    def _here(self, ids: Iterable[int]) -> Iterable[int]:
        for id in ids:
            here = self._ids.get(id)
            here = self._by_path.get(self._source.path_of(id)) if here is None else here
            if here is not None:
                yield here

    def _copy(self, child: int, parent: int) -> None:
        to, source = self._to, self._from
        id = self._ids[child] = to.count
        to.reach(id)
        to.app[id], to.parent[id], to.scope[id] = self._app(child), parent, self._scope(source.scope[child])
        to.position[id], to.occurrence[id] = source.position[child], source.occurrence[child]
        to.status[id] = columns.REUSED
        to.submitted[id] = to.started[id] = to.ended[id] = to.ended[parent]
        to.key[id], to.result[id], to.arguments[id] = source.key[child], source.result[child], source.arguments[child]
        to.origin[id] = source.origin.get(child, (self._source.number, child))
        for column in ("label", "keywords", "bound", "inputs", "outputs", "call"):
            if child in getattr(source, column):
                getattr(to, column)[id] = getattr(source, column)[child]

    def _app(self, child: int) -> int:
        number = self._from.app[child]
        if number not in self._apps:
            app = self._source.apps[number]
            new = self._apps[number] = max(self._record.apps, default=-1) + 1
            self._record.apps[new] = app._replace(number=new)
        return self._apps[number]

    def _scope(self, number: int) -> int:
        if number not in self._scopes:
            kind, _, parent, outer, name, label, *_ = self._from.scopes[number]
            new = self._scopes[number] = max(self._to.scopes, default=-1) + 1
            self._to.scopes[new] = (kind, new, self._ids.get(parent, parent), self._scope(outer), name, label)
        return self._scopes[number]
