"""Owns which task of an earlier run a task is compared with."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from parslish.history import given
from parslish.history.columns import UNKNOWN
from parslish.history.record import RunRecord, TaskRecord

#: How it was found: it computed what was reused, has the same key, path, or arguments, or most of the arguments.
ORIGIN, KEY, PATH, ARGUMENTS, NEAREST = "origin", "key", "path", "arguments", "nearest"


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
    at_path = _at_path(task, run)
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


def _at_path(task: TaskRecord, run: RunRecord) -> TaskRecord | None:
    """The task of another run at the same path. The paths of all of them take longer than one may wait."""
    path, label, apps = task.path, task.label, _apps(task.name, run)
    found = run.columns
    if label is not None:
        ids = [id for id, each in found.label.items() if each == label and found.app[id] in apps]
    else:
        occurrence = task.run.columns.occurrence[task.id]
        places = enumerate(zip(found.occurrence, found.app, strict=True))
        ids = [id for id, (each, app) in places if each == occurrence and app in apps and id not in found.label]
    at_path = [id for id in ids if run.path_of(id) == path]
    return run.task(max(at_path)) if at_path else None


def _nearest(task: TaskRecord, run: RunRecord) -> Counterpart | None:
    """The task of the same app that was given the most of the same; of several the one at the same path, or else the
    first."""
    found = _of_key(task, run)
    if found is not None:
        return found
    apps = _apps(task.name, run)
    ids = [id for id, app in enumerate(run.columns.app) if app in apps]
    if not ids:
        return None
    mine = given.in_short(task.run, task.id)
    distances = [_distance(mine, given.in_short(run, id)) for id in ids]
    least = min(distances)
    best = [id for id, distance in zip(ids, distances, strict=True) if distance == least]
    at_path = _at_path(task, run) if len(best) > 1 or least else None
    chosen = best[0] if at_path is None or at_path.id not in best else at_path.id
    is_at_path = at_path is not None and at_path.id == chosen
    return Counterpart(run.task(chosen), ARGUMENTS if not least else PATH if is_at_path else NEAREST)


def _apps(name: str, run: RunRecord) -> set[int]:
    return {number for number, app in run.apps.items() if app.name == name}


def _distance(mine: Sequence[object], other: Sequence[object]) -> int:
    """In how many arguments two calls differ."""
    return 0 if mine == other else sum(map(operator.ne, mine, other)) + abs(len(mine) - len(other))
