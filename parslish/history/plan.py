"""Owns `plan`: what executing a run again would do with each of its tasks, and what that costs. It decides by the
record and by what is stored, and runs nothing. Which tasks run again is `again`'s to say.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from parslish.history.again import Again
from parslish.history.columns import DONE
from parslish.history.edges import Edges
from parslish.history.record import RunRecord

REUSE, RUN, UNKNOWN = GROUPS = ("reuse", "run", "unknown")
_HOUR_S: Final = 3600.0
_STORED: Final = "its result is stored"


@dataclass(frozen=True)
class Plan:
    """What executing a run again would do.

    Args:
        record: the run.
        reuse, run, unknown: the ids of its tasks, each behind those that it depends on.
        reasons: id → why, as a clause.
        seconds: id → what it takes: what it took, or where it was computed that it reused, or else the median of its
            app; not of those of which nothing is known.
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
    known: Mapping[int, RunRecord] | None = None,
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
        known: other runs, by number: how long what was reused had taken.
    """
    asked = dict(forced) if isinstance(forced, Mapping) else dict.fromkeys(forced, "it was asked for")
    again = Again(record, edges, stored, changed_code, all=all)
    running = again.running(again.asked(asked, frozenset(partly), dependents=dependents))
    unknown = again.unknown(running)
    ids = list(record.ids())
    groups: dict[str, list[int]] = {name: [] for name in GROUPS}
    for id in _order(ids, edges):
        groups[RUN if id in running else UNKNOWN if id in unknown else REUSE].append(id)
    told = {id: running.get(id) or unknown.get(id) or again.reused.get(id, _STORED) for id in ids}
    return Plan(record, groups[REUSE], groups[RUN], groups[UNKNOWN], told, _seconds(record, ids, known or {}))


def _order(ids: list[int], edges: Edges) -> Sequence[int]:
    """The ids in a topological order. That is their own in most runs: whoever takes a future has it already."""
    if not any(map(edges.children, ids)) and all(max(before) < id for id in ids if (before := edges.before(id))):
        return ids
    return edges.topological(ids)


def _seconds(record: RunRecord, ids: Iterable[int], known: Mapping[int, RunRecord]) -> dict[int, float]:
    """What tasks took, or take as the median of their app has it."""
    found, names = record.columns, _names(record)
    of_app: dict[str, list[float]] = defaultdict(list)
    took: dict[int, float] = {}
    left = []
    for id in ids:
        seconds = found.duration[id] if found.status[id] == DONE else _taken(record, id, known)
        if seconds is None:
            left.append(id)
        else:
            took[id] = seconds
            of_app[names[found.app[id]]].append(seconds)
    medians = {app: statistics.median(durations) for app, durations in of_app.items()}
    return took | {id: medians[name] for id in left if (name := names[found.app[id]]) in medians}


def _taken(record: RunRecord, id: int, known: Mapping[int, RunRecord]) -> float | None:
    """What a task took where it was computed that was reused, if that is known."""
    number, origin = record.columns.origin.get(id, (None, -1))
    run = record if number is None or number == record.number else known.get(number)
    if run is None or not 0 <= origin < len(run) or run.columns.status[origin] != DONE:
        return None
    return run.columns.duration[origin]


def _names(record: RunRecord) -> dict[int, str]:
    """Of the apps, by number; of one whose record was lost, too."""
    return {number: record.apps[number].name for number in set(record.columns.app)}
