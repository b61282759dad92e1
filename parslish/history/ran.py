"""Owns why a task ran rather than being reused: what of it is not what it was, or why a result that was there would not
do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from parslish.history import counterpart
from parslish.history.counterpart import Counterpart
from parslish.history.differences import Differences
from parslish.history.reason import Reason, named, when
from parslish.history.record import GOOD, TaskRecord

_MISSED: Final[Mapping[str, str]] = {
    "expired": "its stored result had expired",
    "output_missing": "a file that it had written is gone",
    "output_changed": "a file that it had written was changed since",
    "unreadable": "its stored result could not be opened",
}
_ENDED: Final = frozenset({"done", "failed"})


class Tombstone(Protocol):
    """What tells that a result no longer counts; its `facts` are "reason", "user" and "time" (seconds since the epoch)
    as far as known, and "id"."""

    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def undone(self) -> bool:
        """Whether another one has taken it back."""


Tombstones = Callable[[bytes], Sequence[Tombstone]]


def why_it_ran(task: TaskRecord, found: Counterpart | None, tombstones: Tombstones) -> Iterator[Reason]:
    """All reasons for which a task ran, the most telling first.

    Args:
        found: the task of an earlier run that it is compared with.
    """
    earlier = None if found is None else found.task
    known = [*_forced(task), *_missed(task), *buried(task, earlier, tombstones, since=False)]
    yield from known
    if task.app.cache == "False" or (task.key is None and task.status in _ENDED):
        yield _not_memoized(task)
        return
    if found is None or earlier is None:
        if not known:
            yield _first_time(task, None)
        return
    if found.how == counterpart.NEAREST:
        yield _first_time(task, earlier)
    differing = Differences(earlier.run, task.run).between(earlier, task)
    yield from differing
    yield from _of_the_earlier(earlier, is_explained=bool(known or differing))


def buried(task: TaskRecord, earlier: TaskRecord | None, tombstones: Tombstones, *, since: bool) -> Iterator[Reason]:
    """The invalidations of a task's result: those `since` it ran, or before."""
    seen: list[tuple[object, ...]] = []
    for each in () if task.key is None else tombstones(task.key):
        facts = {name: each.facts.get(name) for name in ("id", "reason", "user", "time")}
        at = facts["time"] if isinstance(facts["time"], (int, float)) else 0.0
        is_since = at > (task.started or task.submitted)
        if each.undone or is_since is not since or _was_settled(task, earlier, at) or tuple(facts.values()) in seen:
            continue
        seen.append(tuple(facts.values()))
        by = f" by {facts['user']}" if facts["user"] else ""
        on = f" on {when(at)}" if at else ""
        because = f" ({facts['reason']})" if facts["reason"] else ""
        kind, what = ("invalidated_since", "has since been") if since else ("invalidated", "was")
        yield Reason(kind, f"its result {what} invalidated{by}{on}{because}", facts)


def _was_settled(task: TaskRecord, earlier: TaskRecord | None, at: float) -> bool:
    """Whether the result was computed anew after it had been invalidated, and before this task."""
    return earlier is not None and earlier.key == task.key and earlier.status in GOOD and at < earlier.started


def _forced(task: TaskRecord) -> Iterator[Reason]:
    if task.forced is not None:
        yield Reason("forced", f"it was forced: {task.forced}", {"reason": task.forced})


def _missed(task: TaskRecord) -> Iterator[Reason]:
    if task.missed is not None:
        reason, detail = task.missed
        kind = reason.replace(" ", "_")
        said = _MISSED.get(kind, f"its stored result was not used ({reason})")
        yield Reason(kind, f"{said}: {detail}" if detail else said, {"detail": detail})


def _not_memoized(task: TaskRecord) -> Reason:
    if task.app.cache == "False":
        return Reason("not_memoized", f"its app {task.name} has cache=False", {"app": task.name})
    digests = task.digests
    without = [name for name, each in task.arguments.items() if isinstance(each, Mapping) and name not in digests]
    if without and task.id in task.run.columns.bound:
        text = f"argument {without[0]} has no identity that could stand for it"
        return Reason("not_memoized", text, {"app": task.name, "argument": without[0]})
    text = "it was not memoized: memoization was off, or an argument has no identity"
    return Reason("not_memoized", text, {"app": task.name})


def _first_time(task: TaskRecord, nearest: TaskRecord | None) -> Reason:
    if nearest is None:
        return Reason("first_time", f"no earlier run that is known has a task of {task.name}", {"app": task.name})
    text = "no earlier run has it, at this place or with these arguments; what is nearest is "
    return Reason("first_time", f"{text}{nearest.path} of run {nearest.run.id}", named(nearest))


def _of_the_earlier(other: TaskRecord, *, is_explained: bool) -> Iterator[Reason]:
    """What the earlier task itself has to do with it."""
    run, error = other.run.id, None if other.error is None else f"{other.error.type}: {other.error.message}"
    facts = {**named(other), "error": error}
    if other.status == "failed":
        yield Reason("failed_before", f"it failed in run {run}{f' with {error}' if error else ''}", facts)
    elif other.status == "lost":
        yield Reason("lost_before", f"run {run} died before it had ended", facts)
    elif other.status not in GOOD:
        text = f"it did not run in run {run}, where it is {other.status.replace('_', ' ')}"
        yield Reason("not_run_before", text, facts)
    elif not is_explained:
        why_not = "where it was not memoized" if other.key is None else "and no stored result of it was found"
        yield Reason("not_stored", f"it was computed in run {run}, {why_not}", facts)
