"""Owns why a task did not run, or not to its end: it was reused, failed, waits, or whatever else became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from parslish.history import counterpart, given
from parslish.history.counterpart import Counterpart
from parslish.history.differences import Differences
from parslish.history.reason import Reason, named, when
from parslish.history.record import GOOD, Failure, TaskRecord

_NOT_ENDED: Final = frozenset({"waiting", "running", "retrying"})
_NAMED: Final = 3  # tasks that a sentence names

Reasons = Iterator[Reason]


class Outcome(NamedTuple):
    """What became of a task.

    Args:
        begins: how its sentence begins.
        reasons: tells why, by the task and the one that it is compared with.
    """

    begins: str
    reasons: Callable[[TaskRecord, Counterpart | None], Reasons]


def verdict(task: TaskRecord, found: Counterpart | None) -> str:
    """What became of a task, in one word: one of `OUTCOMES`."""
    if task.status == "reused":
        if task.forced is not None:
            return "edited"
        return "shared" if found is not None and found.task.run is task.run else "reused"
    return "ran" if task.status == "done" else task.status


def _nothing(task: TaskRecord, found: Counterpart | None) -> Reasons:
    return iter(())


def _reused(task: TaskRecord, found: Counterpart | None) -> Reasons:
    assert task.origin is not None
    number, id = task.origin
    if found is None or found.how != counterpart.ORIGIN:
        yield Reason("reused", f"run {number:03d} had computed it as its task {id}", {"run": number, "task": id})
        return
    other = found.task
    facts = {**named(other), "computed": other.ended or None}
    text = f"run {other.run.id} had computed it as {other.path}{f' on {when(other.ended)}' if other.ended else ''}"
    if other.key is not None and other.key != task.key:
        differing = Differences(other.run, task.run).between(other, task)
        text += f", which counts though {'; '.join(each.sentence for each in differing)}"
        facts["differences"] = [each.to_json() for each in differing]
    yield Reason("reused", text, facts)


def _shared(task: TaskRecord, found: Counterpart | None) -> Reasons:
    assert found is not None
    other = found.task
    yield Reason("shared", f"{other.path} has the same key, and computed it in the same run", named(other))


def _edited(task: TaskRecord, found: Counterpart | None) -> Reasons:
    yield Reason("edited", str(task.forced), {"reason": task.forced})


def _failed(task: TaskRecord, found: Counterpart | None) -> Reasons:
    error = task.error
    if error is None:
        yield Reason("failed", "no error was recorded")
        return
    facts = {"type": error.type, "message": error.message, "tries": task.tries}
    yield Reason("failed", f"{error.type}: {error.message}", facts)
    if not task.started and (other := _failed_with(task, error)) is not None:
        yield Reason("shared", f"{other.path} ran for both, as it has the same key", named(other))


def _not_begun(task: TaskRecord, found: Counterpart | None) -> Reasons:
    kind, failed = task.status, task.status == "upstream_failed"
    before = [task.run.task(id) for id in task.dependencies]
    bad = [each for each in before if each.status not in GOOD and (each.status in _NOT_ENDED) != failed]
    if not bad:
        yield Reason(kind, "what it depends on failed" if failed else "nothing has taken it up yet")
        return
    facts: dict[str, Any] = {"tasks": [each.path for each in bad]}
    text = _listed([f"{each.path} {_became(each)}" for each in bad])
    if failed:
        root = _root_failure(bad[0])
        error = None if root.error is None else f"{root.error.type}: {root.error.message}"
        facts |= {"root": root.path, "error": error}
        with_error = f" with {error}" if error else ""
        text += with_error if [root] == bad else f"; the first to fail was {root.path}{with_error}"
    yield Reason(kind, text, facts)


def _cancelled(task: TaskRecord, found: Counterpart | None) -> Reasons:
    began = "while it ran" if task.started else "before it began"
    yield Reason("cancelled", f"it was cancelled {began}", {"started": bool(task.started)})


def _lost(task: TaskRecord, found: Counterpart | None) -> Reasons:
    run, began = task.run, "while it ran" if task.started else "before it began"
    ended = f"ended ({run.reason})" if run.reason else "died"
    yield Reason("lost", f"run {run.id} {ended} {began}", {"reason": run.reason, "started": bool(task.started)})


def _retrying(task: TaskRecord, found: Counterpart | None) -> Reasons:
    last = task.failures[-1] if task.failures else None
    yield Reason("retrying", f"try {last.number} failed with {last.type}: {last.message}" if last else "a try failed")


#: What may become of a task, by its verdict.
OUTCOMES: Final[Mapping[str, Outcome]] = {
    "ran": Outcome("ran, because", _nothing),
    "reused": Outcome("was reused, because", _reused),
    "shared": Outcome("was not computed, because", _shared),
    "edited": Outcome("was not run, because", _edited),
    "failed": Outcome("failed:", _failed),
    "upstream_failed": Outcome("did not run, because", _not_begun),
    "cancelled": Outcome("did not end, because", _cancelled),
    "lost": Outcome("was lost, because", _lost),
    "waiting": Outcome("has not begun, because", _not_begun),
    "running": Outcome("is running, because", _nothing),
    "retrying": Outcome("is to be tried again, because", _retrying),
}


def _failed_with(task: TaskRecord, error: Failure) -> TaskRecord | None:
    """The task of the same run whose failure one shared without being run."""
    run = task.run
    mine = given.in_short(run, task.id)
    for id, failures in run.columns.failures.items():
        other = run.task(id)
        if other.started and other.name == task.name and given.in_short(run, id) == mine:
            return other if failures[-1][5:7] == (error.type, error.message) else None
    return None


def _root_failure(task: TaskRecord) -> TaskRecord:
    """The failure that a failure follows from."""
    while task.status == "upstream_failed":
        before = (task.run.task(id) for id in task.dependencies)
        bad = next((each for each in before if each.status not in GOOD), None)
        if bad is None:
            break
        task = bad
    return task


def _became(task: TaskRecord) -> str:
    status = task.status
    if status in ("failed", "upstream_failed"):
        return "failed" if status == "failed" else "did not run"
    return f"is {status}" if status in _NOT_ENDED else f"was {status}"


def _listed(texts: Sequence[str]) -> str:
    more = f", and {len(texts) - _NAMED:,} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more
