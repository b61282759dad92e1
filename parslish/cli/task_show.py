"""Owns how one task is shown: where it stands, what it was given and gave, what it depends on, and what went wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from parslish.cli.output import Column, line, seconds, size, table, when
from parslish.cli.plain import plain
from parslish.cli.sheet import block, facts, heading
from parslish.history import previews
from parslish.history.edges import PARENT, edges
from parslish.history.record import GOOD, Failure, RunRecord, TaskRecord

_TASKS: Final = (Column("task", right=True), Column("path", narrow="fold"), Column("status"), Column("edge"))
_SHOWN_TASKS: Final = 10
_KEY_DIGITS: Final = 12

#: Task id → kinds of edges.
Near = dict[int, list[str]]


def show(task: TaskRecord, why: str) -> None:
    """Print all that is known of a task, and why it ran or did not."""
    line(f"task {task.id} of run {task.run.id}: {task.status}")
    facts([("why", why.removeprefix(f"{task.path} ")), *_facts(task)])
    if task.arguments:
        heading("arguments")
        facts([(name, _argument(task, name, value)) for name, value in task.arguments.items()])
    if task.status in GOOD:
        heading("result")
        block(previews.text(task.result))
    before, after, children = _around(task)
    _print_tasks("depends on", task.run, before)
    _print_tasks("needed by", task.run, after)
    _print_tasks("submitted", task.run, children)
    for failure in task.failures:
        which = f"try {failure.number} " if failure.number else ""
        heading(f"{which}failed at {when(failure.time)}")
        block(failure.traceback or f"{failure.type}: {failure.message}")


def _facts(task: TaskRecord) -> list[tuple[str, str]]:
    app = task.app
    place = f", {app.file}:{app.line}" if app.file else ""
    parent = task.parent
    return [
        ("path", task.path),
        ("loc", task.loc),
        ("app", f"{app.name} ({app.kind} app of {app.module}{place})"),
        ("submitted", when(task.submitted or None)),
        ("by", f"task {parent.id} {parent.path}" if parent else ""),
        ("started", when(task.started) if task.started and task.status != "reused" else ""),
        ("ended", when(task.ended) if task.ended else ""),
        (
            "took",
            f"{seconds(task.duration)}, {seconds(task.cpu)} of CPU"
            if task.ended and task.started and task.tries
            else "",
        ),
        ("tries", str(task.tries or "")),
        ("worker", task.worker),
        ("memory", f"{size(task.peak_memory)} at most" if task.peak_memory else ""),
        ("key", task.key.hex()[:_KEY_DIGITS] if task.key else ""),
        ("reads", ", ".join(task.inputs)),
        ("writes", ", ".join(task.outputs)),
    ]


def _argument(task: TaskRecord, name: str, value: previews.Preview) -> str:
    """An argument, and the task that gave it."""
    given = task.given.get(name)
    if not isinstance(given, dict) or "task" not in given:
        return previews.text(value)
    if given == value and "of" not in given:
        source = task.run.task(given["task"])
        value = source.result if source.status in GOOD else given
    told = "" if given == value else f"  (of {previews.text(given)})"
    return previews.text(value) + told


def _around(task: TaskRecord) -> tuple[Near, Near, Near]:
    """The tasks that a task depends on at once, those that depend on it, and those that it submitted."""
    before: Near = defaultdict(list)
    after: Near = defaultdict(list)
    children: Near = defaultdict(list)
    for source, to, kind in edges(task.run):
        if to == task.id and kind != PARENT:
            before[source].append(kind)
        elif source == task.id:
            (children if kind == PARENT else after)[to].append(kind)
    return before, after, children


def _print_tasks(title: str, run: RunRecord, found: Near) -> None:
    if not found:
        return
    heading(title)
    shown = [(run.task(id), kinds) for id, kinds in list(found.items())[:_SHOWN_TASKS]]
    table(_TASKS, [(str(task.id), task.path, task.status, ", ".join(kinds)) for task, kinds in shown])
    if len(found) > _SHOWN_TASKS:
        line(f"  and {len(found) - _SHOWN_TASKS:,} more")


# ------------------------------------------------------------------------------------ for programs


def as_json(task: TaskRecord, why: str) -> dict[str, Any]:
    """All that is known of a task, and why it ran or did not, in JSON's types."""
    app, parent = task.app, task.parent
    before, after, children = _around(task)
    return {
        **in_short(task),
        "run": task.run.id,
        "why": why,
        "module": app.module,
        "kind": app.kind,
        "file": app.file,
        "line": app.line,
        "parent": None if parent is None else parent.id,
        "submitted": task.submitted or None,
        "ended": task.ended or None,
        "cpu_s": task.cpu,
        "peak_memory_bytes": task.peak_memory or None,
        "tries": task.tries,
        "worker": task.worker or None,
        "key": task.key.hex() if task.key else None,
        "origin": None if task.origin is None else {"run": task.origin[0], "task": task.origin[1]},
        "arguments": plain(task.arguments),
        "given": plain(task.given),
        "result": plain(task.result),
        "inputs": list(task.inputs),
        "outputs": list(task.outputs),
        "dependencies": _near_json(before),
        "dependents": _near_json(after),
        "children": list(children),
        "failures": [_failure_json(each) for each in task.failures],
    }


def in_short(task: TaskRecord) -> dict[str, Any]:
    """What a list of tasks has of each."""
    return {
        "task": task.id,
        "path": task.path,
        "loc": task.loc,
        "app": task.name,
        "status": task.status,
        "started": task.started or None,
        "duration_s": task.duration if task.ended else None,
    }


def _near_json(found: Near) -> Sequence[dict[str, Any]]:
    return [{"task": id, "kinds": kinds} for id, kinds in found.items()]


def _failure_json(failure: Failure) -> dict[str, Any]:
    return {
        "try": failure.number,
        "time": failure.time,
        "type": failure.type,
        "message": failure.message,
        "traceback": failure.traceback,
    }
