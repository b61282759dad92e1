"""Owns what a run has of the runs before it: the tasks that a reused join had submitted, where it was computed.

They are appended to the run's columns, as reused when the join was, so that whoever asks about the run, or has a part
of it run again, finds them at their places, through any number of re-executions.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

from parslish.errors import ParslishError
from parslish.history import columns
from parslish.history.folder import EVENTS, numbered
from parslish.history.previews import Preview
from parslish.history.record import GOOD, STATUSES, RunRecord
from parslish.secret import Keys

_Ids = Mapping[int, int]
#: Of the tasks that a run has of others: by its id, the ids here of the tasks that are named in its kept call.
_ids: WeakKeyDictionary[RunRecord, dict[int, _Ids]] = WeakKeyDictionary()
_NOBODY = -1


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


def here(record: RunRecord, id: int, other: int) -> int:
    """The id of the task that is called `other` in the kept call of task `id`: of one that was computed in another run,
    that run's numbers stand there. -1 for one that this run does not have."""
    translation = _ids.get(record, {}).get(id)
    return other if translation is None else translation.get(other, _NOBODY)


def _inherit(record: RunRecord, find: Callable[[int], RunRecord | None]) -> None:
    found = record.columns
    joins: dict[int, list[tuple[int, int]]] = defaultdict(list)  # by run: the task there, and the one here
    for id, (run, origin) in list(found.origin.items()):
        if run is not None and run != record.number and record.apps[found.app[id]].kind == "join":
            joins[run].append((origin, id))
    for run, pairs in joins.items():
        source = find(run)
        if source is not None and source is not record:
            _Graft(record, source).add([pair for pair in pairs if _is_origin(record, source, *pair)])


def _is_origin(record: RunRecord, source: RunRecord, origin: int, id: int) -> bool:
    """Whether a join is what another reused: a run of that number in another run folder is another run."""
    if not 0 <= origin < len(source):
        return False
    to, there = record.columns, source.columns
    mine, its = record.apps[to.app[id]], source.apps[there.app[origin]]
    has_same_key = to.key[id] == there.key[origin]
    return has_same_key or (its.kind == "join" and mine.code != its.code and to.result[id] == there.result[origin])


class _Graft:
    """Copies tasks of one record to the end of another."""

    def __init__(self, record: RunRecord, source: RunRecord) -> None:
        self._record, self._source = record, source
        self._to, self._from = record.columns, source.columns
        self._translations = _ids.setdefault(record, {})
        self._of_source = _ids.get(source, {})
        self._ids: dict[int, int] = {}  # there → here
        self._composed: dict[int, _Ids] = {}
        self._apps: dict[int, int] = {}
        self._scopes: dict[int, int] = {-1: -1}
        self._scope_numbers = itertools.count(max(record.columns.scopes, default=-1) + 1)

    def add(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy what joins had submitted; each pair is a join there, and the one here that reused it."""
        children: dict[int, list[int]] = defaultdict(list)
        for id in self._source.ids():
            children[self._from.parent[id]].append(id)
        for origin, id in pairs:
            if origin in self._ids:  # once more, for another join
                self._ids, self._composed = {}, {}
            self._ids[origin] = id
            copied = self._below(origin, id, children)
            for child in copied:
                self._refer(child)

    def _below(self, origin: int, id: int, children: Mapping[int, Sequence[int]]) -> list[int]:
        copied = []
        waiting = deque((child, id) for child in children.get(origin, ()))
        while waiting:
            child, parent = waiting.popleft()
            if self._is_superseded(child):
                continue
            self._copy(child, parent)
            copied.append(child)
            waiting.extend((each, self._ids[child]) for each in children.get(child, ()))
        return copied

    def _is_superseded(self, child: int) -> bool:
        """Whether a task came to nothing in a join's try before the last one."""
        source = self._from
        is_good = STATUSES[source.status[child]] in GOOD
        return not is_good and source.submitted[child] < source.started[source.parent[child]]

    def _copy(self, child: int, parent: int) -> None:
        to, source = self._to, self._from
        id = self._ids[child] = to.count
        to.reach(id)
        to.app[id], to.parent[id], to.scope[id] = self._app(child), parent, self._scope(source.scope[child])
        to.position[id], to.occurrence[id] = source.position[child], source.occurrence[child]
        is_good = STATUSES[source.status[child]] in GOOD
        to.status[id] = columns.REUSED if is_good else source.status[child]
        to.submitted[id] = to.started[id] = to.ended[id] = to.ended[parent]
        to.key[id], to.result[id], to.arguments[id] = source.key[child], source.result[child], source.arguments[child]
        to.origin[id] = self._origin(child)
        for column in ("label", "keywords", "bound", "inputs", "outputs", "call", "failures"):
            if child in getattr(source, column):
                getattr(to, column)[id] = getattr(source, column)[child]

    def _origin(self, child: int) -> tuple[int | None, int]:
        run, origin = self._from.origin.get(child, (None, child))
        return (self._source.number if run is None else run), origin

    # ---------------------------------------------------------------------------------- whom tasks name

    def _refer(self, child: int) -> None:
        """Let a copied task name the tasks of this run."""
        id, sources = self._ids[child], self._from.dependencies.get(child)
        self._translations[id] = self._translation(child)
        if sources is None:
            return
        for each in sources:
            if each not in self._ids and (known := self._by_path.get(self._source.path_of(each))) is not None:
                self._ids[each] = known
        self._to.dependencies[id] = tuple([self._ids[each] for each in sources if each in self._ids])
        arguments, keywords = self._to.arguments[id], self._to.keywords.get(id)
        if arguments is not None:
            self._to.arguments[id] = tuple(map(self._preview, arguments))
        if keywords is not None:
            self._to.keywords[id] = {name: self._preview(each) for name, each in keywords.items()}

    def _translation(self, child: int) -> _Ids:
        """The ids here by those that the task's kept call has: of the run that computed it."""
        inner = self._of_source.get(child)
        if inner is None:
            return self._ids
        if id(inner) not in self._composed:
            self._composed[id(inner)] = _Chained(inner, self._ids)
        return self._composed[id(inner)]

    def _preview(self, given: Preview) -> Preview:
        if not isinstance(given, dict) or "task" not in given:
            return given
        return {**given, "task": self._ids.get(given["task"], _NOBODY)}

    @cached_property
    def _by_path(self) -> Mapping[str, int]:
        return {self._record.path_of(id): id for id in self._record.ids()}

    def _app(self, child: int) -> int:
        number = self._from.app[child]
        if number not in self._apps:
            app = self._source.apps[number]
            new = self._apps[number] = max(self._record.apps, default=-1) + 1
            self._record.apps[new] = app._replace(number=new)
        return self._apps[number]

    def _scope(self, number: int) -> int:
        if number not in self._from.scopes:  # it was lost
            return -1
        if number not in self._scopes:
            kind, _, parent, outer, name, label, *_ = self._from.scopes[number]
            outer = self._scope(outer)  # before it: a scope within another has the higher number
            new = self._scopes[number] = next(self._scope_numbers)
            self._to.scopes[new] = (kind, new, self._ids.get(parent, parent), outer, name, label)
        return self._scopes[number]


class _Chained(Mapping[int, int]):
    """One translation after another."""

    def __init__(self, first: _Ids, second: _Ids) -> None:
        self._first, self._second = first, second

    def __getitem__(self, id: int) -> int:
        return self._second[self._first[id]]

    def __iter__(self) -> Iterator[int]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)
