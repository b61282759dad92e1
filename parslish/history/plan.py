"""Owns `plan`: what executing a run again would do with each of its tasks, and what that costs. It decides by the
record and by what is stored, and runs nothing.

A task runs again that

- was asked for (`forced`), or with `dependents` depends on one that was;
- has no result: it failed, was lost or cancelled, was not reached, or has not ended;
- is of an app whose code changed, is not memoized, or has no stored result;
- is a join that one that was asked for is called by, however far up.

What depends on the result of one that runs cannot be known: if that is what it was, it is reused. A join that runs with
the code it had calls what it called, so what it called is judged by itself. What a join called that is reused is not
called at all, so that counts as reused, whatever became of it.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from parslish.history.columns import DONE
from parslish.history.edges import Edges
from parslish.history.record import GOOD, STATUSES, RunRecord

REUSE, RUN, UNKNOWN = GROUPS = ("reuse", "run", "unknown")
_HOUR_S: Final = 3600.0
_NO_RESULT: Final[Mapping[int, str]] = {
    number: {"upstream_failed": "it was not run, as a task before it failed", "failed": "it failed"}.get(
        status, f"it is {status}" if status in ("waiting", "running", "retrying") else f"it was {status}"
    )
    for number, status in enumerate(STATUSES)
    if status not in GOOD
}
_STORED: Final = "its result is stored"
_NOT_CALLED: Final = "the join that called it is reused"


@dataclass(frozen=True)
class Plan:
    """What executing a run again would do.

    Args:
        record: the run.
        reuse, run, unknown: the ids of its tasks, each behind those that it depends on.
        reasons: id → why, as a clause.
        seconds: id → what it takes, as recorded, or else as the median of its app; not of those of which neither is
            known.
    """

    record: RunRecord
    reuse: Sequence[int]
    run: Sequence[int]
    unknown: Sequence[int]
    reasons: Mapping[int, str]
    seconds: Mapping[int, float]

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {len(getattr(self, name)):,} ({self.core_hours[name]:.3g} core-hours)" for name in GROUPS
        )

    @property
    def core_hours(self) -> dict[str, float]:
        """What each group takes, one core a task: of "reuse" that is what is saved."""
        return {name: self._core_hours(getattr(self, name)) for name in GROUPS}

    @property
    def unmeasured(self) -> dict[str, int]:
        """How many tasks of each group are not in `core_hours`, as no task of their app has ended."""
        return {name: sum(id not in self.seconds for id in getattr(self, name)) for name in GROUPS}

    @property
    def apps(self) -> dict[str, dict[str, dict[str, float]]]:
        """App's name → group → "tasks", "core_hours" and "unmeasured"."""
        found: dict[str, dict[str, list[int]]] = defaultdict(lambda: {name: [] for name in GROUPS})
        of, name_of = self.record.columns.app, _names(self.record)
        for group in GROUPS:
            for id in getattr(self, group):
                found[name_of[of[id]]][group].append(id)
        return {app: {group: self._totals(ids) for group, ids in groups.items()} for app, groups in found.items()}

    def _totals(self, ids: Collection[int]) -> dict[str, float]:
        unmeasured = sum(id not in self.seconds for id in ids)
        return {"tasks": len(ids), "core_hours": self._core_hours(ids), "unmeasured": unmeasured}

    def _core_hours(self, ids: Iterable[int]) -> float:
        return sum(self.seconds.get(id, 0.0) for id in ids) / _HOUR_S

    def to_json(self) -> dict[str, Any]:
        """As the command line and the page give it."""
        core_hours, unmeasured = self.core_hours, self.unmeasured
        groups = {
            name: {
                "tasks": len(getattr(self, name)),
                "core_hours": core_hours[name],
                "unmeasured": unmeasured[name],
            }
            for name in GROUPS
        }
        return {
            "run": self.record.id,
            "groups": groups,
            "apps": self.apps,
            "tasks": [self._task(id, group) for group in GROUPS for id in getattr(self, group)],
        }

    def _task(self, id: int, group: str) -> dict[str, Any]:
        app = self.record.apps[self.record.columns.app[id]].name
        return {
            "task": id,
            "path": self.record.path_of(id),
            "loc": self.record.loc_of(id),
            "app": app,
            "group": group,
            "reason": self.reasons[id],
            "seconds": self.seconds.get(id),
        }


def plan(
    record: RunRecord,
    *,
    forced: Collection[int] | Mapping[int, str] = (),
    partly: Collection[int] = (),
    dependents: bool,
    stored: Callable[[bytes], bool],
    changed_code: Collection[str] = (),
    all: bool = False,
    edges: Edges,
) -> Plan:
    """What executing a run again would do.

    Args:
        forced: the ids of tasks that are to run whatever is known; a mapping gives for each the reason.
        partly: those of them that are joins of which only what is forced among what they call is to run.
        dependents: whether what depends on `forced` is to run too.
        stored: whether a result is stored under a key.
        changed_code: names of the apps whose code is not what it was.
        all: whether all is to run.
        edges: what depends on what.
    """
    orders = _Orders(record, forced, partly, stored, changed_code, edges)
    reasons = dict.fromkeys(record.ids(), "all is to run") if all else orders.running(dependents)
    unknown = {} if all else orders.unknown(reasons)
    ids = list(record.ids())
    groups: dict[str, list[int]] = {name: [] for name in GROUPS}
    for id in _order(ids, edges):
        groups[RUN if id in reasons else UNKNOWN if id in unknown else REUSE].append(id)
    told = {id: reasons.get(id) or unknown.get(id) or orders.reused.get(id, _STORED) for id in ids}
    return Plan(record, groups[REUSE], groups[RUN], groups[UNKNOWN], told, dict(_seconds(record, ids)))


class _Orders:
    """What was asked for, and what follows from it.

    `reused` tells of tasks that are reused for another reason than that their results are stored.
    """

    def __init__(
        self,
        record: RunRecord,
        forced: Collection[int] | Mapping[int, str],
        partly: Collection[int],
        stored: Callable[[bytes], bool],
        changed_code: Collection[str],
        edges: Edges,
    ) -> None:
        self._record, self._stored, self._edges = record, stored, edges
        self._forced = dict(forced) if isinstance(forced, Mapping) else dict.fromkeys(forced, "it was asked for")
        self._partly = frozenset(partly)
        self._changed = {number for number, app in record.apps.items() if app.name in changed_code}
        self.reused: dict[int, str] = {}

    def running(self, dependents: bool) -> dict[int, str]:
        """The tasks that run, and why."""
        asked = dict(self._forced)
        if dependents:
            whole, partly = self._edges.affected(id for id in self._forced if id not in self._partly)
            for id in whole | partly:
                asked.setdefault(id, "it depends on what was asked for")
        self._add_callers(asked)
        running: dict[int, str] = {}
        parents = self._record.columns.parent
        for id in self._record.ids():  # a join before what it called
            if id in asked:
                running[id] = asked[id]
            elif parents[id] >= 0 and parents[id] not in running:
                self.reused[id] = _NOT_CALLED
            elif (reason := self._own_reason(id)) is not None:
                running[id] = reason
        return running

    def unknown(self, running: Mapping[int, str]) -> dict[int, str]:
        """The tasks that depend on the result of one that runs, and why it cannot be known what they do."""
        app = self._record.columns.app
        sources: set[int] = set()
        for id in running:
            if self._edges.children(id) and app[id] not in self._changed:
                sources.update(self._edges.after(id))  # its end is new; what it calls is not
            else:
                sources.add(id)
        reached = self._edges.descendants(sources).difference(running)
        return {id: self._cause(id, running, reached) for id in reached}

    def _own_reason(self, id: int) -> str | None:
        """Why a task runs for its own sake; None for one whose result is stored."""
        found = self._record.columns
        without = _NO_RESULT.get(found.status[id])
        if without is not None:
            return without
        if found.app[id] in self._changed:
            return "the code of its app changed"
        key = found.key[id]
        if key is None:
            return "it is not memoized"
        return None if self._stored(key) else "no result of it is stored"

    def _add_callers(self, asked: dict[int, str]) -> None:
        """The joins that have to run for what was asked for to be called."""
        parents = self._record.columns.parent
        for id in list(asked):
            child, parent = id, parents[id]
            while parent >= 0 and parent not in asked:
                asked[parent] = f"it calls {self._record.path_of(child)}, which runs again"
                child, parent = parent, parents[parent]

    def _cause(self, id: int, running: Mapping[int, str], reached: Collection[int]) -> str:
        path_of = self._record.path_of
        before = self._edges.before(id)
        for each in before:
            if each in running:
                return f"it depends on {path_of(each)}, which runs again"
        for each in before:
            if each in reached:
                return f"it depends on {path_of(each)}, of which it cannot be known"
        parent = self._record.columns.parent[id]
        if parent in running or parent in reached:
            return f"it is called by {path_of(parent)}, which may call something else"
        return "it depends on what it called"


def _order(ids: list[int], edges: Edges) -> Sequence[int]:
    """The ids in a topological order. That is their own in most runs: whoever takes a future has it already."""
    if not any(map(edges.children, ids)) and all(max(before) < id for id in ids if (before := edges.before(id))):
        return ids
    return edges.topological(ids)


def _seconds(record: RunRecord, ids: Iterable[int]) -> Iterator[tuple[int, float]]:
    """What tasks took; of those that did not end by themselves, the median of their app."""
    found = record.columns
    of_app: dict[str, list[float]] = defaultdict(list)
    left = []
    names = _names(record)
    for id in ids:
        if found.status[id] == DONE:
            duration = found.duration[id]
            of_app[names[found.app[id]]].append(duration)
            yield id, duration
        else:
            left.append(id)
    medians = {app: statistics.median(durations) for app, durations in of_app.items()}
    for id in left:
        median = medians.get(names[found.app[id]])
        if median is not None:
            yield id, median


def _names(record: RunRecord) -> dict[int, str]:
    """Of the apps, by number; of one whose record was lost, too."""
    return {number: record.apps[number].name for number in set(record.columns.app)}
