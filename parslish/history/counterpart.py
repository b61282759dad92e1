"""Owns which task of an earlier run a task is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from parslish.history import given
from parslish.history.columns import UNKNOWN
from parslish.history.record import RunRecord, TaskRecord

#: How it was found: it computed what was reused, has the same key, path, or arguments, or most of the arguments.
ORIGIN, KEY, PATH, ARGUMENTS, NEAREST = "origin", "key", "path", "arguments", "nearest"
_FAR: Final = 1 << 30


class Counterpart(NamedTuple):
    """A task of an earlier run, and how it was found: one of the words above."""

    task: TaskRecord
    how: str


def of(task: TaskRecord, earlier: Iterable[RunRecord]) -> Counterpart | None:
    """The best task to compare one with.

    The one that computed what it reused; else one of the same key or path in the run that its run continued, else in
    the newest run of its chain that has one; else one of the same app in the newest run that has any: of the same key,
    or with the most arguments in common.
    """
    before = _newest_first(task.run, earlier)
    if task.origin is not None:
        found = _origin(task, *task.origin, before)
        if found is not None:
            return Counterpart(found, ORIGIN)
    for run in _own_chain(task.run, before):
        same = _same(task, run)
        if same is not None:
            return same
    nearest = (_nearest(task, run) for run in before)
    return next((found for found in nearest if found is not None), None)


def _newest_first(run: RunRecord, earlier: Iterable[RunRecord]) -> list[RunRecord]:
    found = {each.path: each for each in earlier if each.path != run.path}
    return sorted(found.values(), key=lambda each: (each.started, each.number), reverse=True)


def _own_chain(run: RunRecord, before: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs of its chain, the one that it continued first."""
    parent = run.parent
    chain = [each for each in before if each.path == parent or (each.root and each.root == run.root)]
    return sorted(chain, key=lambda each: each.path != parent)


def _origin(task: TaskRecord, number: int, id: int, before: Iterable[RunRecord]) -> TaskRecord | None:
    runs = [task.run] if number == task.run.number else [each for each in before if each.number == number]
    for run in runs:
        if 0 <= id < len(run) and run.columns.app[id] != UNKNOWN and not (run is task.run and id == task.id):
            return run.task(id)
    return None


def _same(task: TaskRecord, run: RunRecord) -> Counterpart | None:
    at_path = run.find(task.path)
    if at_path is not None and at_path.key == task.key:
        return Counterpart(at_path, KEY if task.key else PATH)
    return _of_key(task, run) or (None if at_path is None else Counterpart(at_path, PATH))


def _of_key(task: TaskRecord, run: RunRecord) -> Counterpart | None:
    if task.key is None:
        return None
    try:
        return Counterpart(run.task(run.columns.key.index(task.key)), KEY)
    except ValueError:
        return None


def _nearest(task: TaskRecord, run: RunRecord) -> Counterpart | None:
    """The task of the same app that was given the most of the same; of several the one at the same path, or else the
    first."""
    found = _of_key(task, run)
    if found is not None:
        return found
    apps = {number for number, app in run.apps.items() if app.name == task.name}
    if not apps:
        return None
    mine, path = given.in_short(task.run, task.id), task.path
    occurrence = task.run.columns.occurrence[task.id]
    best, least = -1, _FAR
    for id, app in enumerate(run.columns.app[: len(run)]):
        if app not in apps:
            continue
        distance = _distance(mine, given.in_short(run, id))
        is_here = distance == least and run.columns.occurrence[id] == occurrence and run.path_of(id) == path
        if distance < least or is_here:
            best, least = id, distance
    if best < 0:
        return None
    how = ARGUMENTS if not least else PATH if run.path_of(best) == path else NEAREST
    return Counterpart(run.task(best), how)


def _distance(mine: Sequence[object], other: Sequence[object]) -> int:
    """In how many arguments two calls differ."""
    if mine == other:
        return 0
    pairs = zip(mine, other, strict=False)
    return sum(one is not two and one != two for one, two in pairs) + abs(len(mine) - len(other))
