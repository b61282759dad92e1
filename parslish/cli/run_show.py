"""Owns `parslish show`: a run's facts and its totals by app. One task of it is left to `task_show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import click

from parslish.cli import task_show
from parslish.cli.output import FINE, Column, counted, json_option, json_value, line, seconds, table, when
from parslish.cli.plain import in_a_line, plain
from parslish.cli.runs import entry_of, last_sign, statuses
from parslish.cli.sheet import facts, heading, some
from parslish.cli.which import (
    LAST,
    RunCommand,
    RunName,
    Word,
    open_run,
    recorded_run,
    run_and_task,
    run_dir_option,
    task_of,
)
from parslish.history import columns
from parslish.history.marks import in_order
from parslish.history.record import STATUSES, Mark, RunRecord

_ALWAYS: Final = ("done", "reused", "failed", "lost")  # columns that are there whatever there is
_SAID: Final = frozenset({"restart", "edit", "invalidate", "undo", "accept"})
_SHOWN_FAILURES: Final = 5
_SHOWN_PACKAGES: Final = 6
_OTHERWISE: Final = ("reason", "user", "by", "number")  # facts of marks that are told in a column, or not at all
_MARKS: Final = (Column("when"), Column("what"), Column("by"), Column("details", narrow="fold"))
_TROUBLES: Final = (Column("when"), Column("what"), Column("trouble", narrow="fold"))


class Total(NamedTuple):
    """What became of the calls of one app; `time_s` is the sum of how long those took that were computed here."""

    app: str
    counts: Mapping[str, int]
    time_s: float

    @property
    def tasks(self) -> int:
        return sum(self.counts.values())


@click.command(cls=RunCommand)
@click.argument("run", metavar="[RUN]", default=LAST, type=RunName())
@click.argument("task", metavar="[TASK]", default=None, type=Word(), required=False)
@run_dir_option
@json_option
def show(run: str, task: str | None, run_dir: str, as_json: bool) -> int:
    """Show a run, or one task of it.

    RUN is an id (003, or 3), last, which is the default, or the run's folder. TASK is a path such as
    -/scan[2]/relax[Si], a loc such as -.N3.N5 or an id; a path or a loc alone is one of the last run. Nothing is
    unpickled.

    Exit codes: 0 fine, 2 there is no such run or task, or nothing of it can be read, 3 its files may not be read.
    """
    run, task = run_and_task(run, task)
    if task is not None:
        found = recorded_run(run, run_dir)
        which = task_of(found.record, task)
        why = found.why(which.id).sentence
        json_value(task_show.as_json(which, why)) if as_json else task_show.show(which, why)
        return FINE
    record = open_run(run, run_dir)
    every = totals(record)
    json_value(_json(record, every)) if as_json else _print(record, every)
    return FINE


def totals(record: RunRecord) -> list[Total]:
    """What became of the calls of each app, in the order in which these were first called."""
    of, rows = record.columns, record.columns.count
    counts: dict[str, Counter[str]] = {app.name: Counter() for _, app in sorted(record.apps.items())}
    for (app, status), count in Counter(zip(of.app[:rows], of.status[:rows], strict=True)).items():
        if app in record.apps:
            counts[record.apps[app].name][STATUSES[status]] += count
    times: dict[int, float] = dict.fromkeys(record.apps, 0.0)
    for app, status, duration in zip(of.app[:rows], of.status[:rows], of.duration[:rows], strict=True):
        if status != columns.REUSED and app in times:
            times[app] += duration
    spent: dict[str, float] = dict.fromkeys(counts, 0.0)
    for app, time_s in times.items():
        spent[record.apps[app].name] += time_s
    return [Total(name, found, spent[name]) for name, found in counts.items()]


# ------------------------------------------------------------------------------------ for people


def _print(record: RunRecord, found: Sequence[Total]) -> None:
    state = f"{record.status}, degraded" if record.degraded else record.status
    line(f"run {record.id}: {state}, {_took(record)}{counted(len(list(record.ids())), 'task')}")
    facts(_facts(record))
    if found:
        print()
        _print_totals(found)
    _print_failures(record)
    if marks := _marks(record):
        heading("said of it later")
        table(_MARKS, [_mark_row(mark) for mark in marks])
    if record.columns.troubles:
        heading("trouble")
        table(
            _TROUBLES, [(when(time), str(what), str(message)) for _, time, what, message, *_ in record.columns.troubles]
        )


def _took(record: RunRecord) -> str:
    end = _end(record)
    return f"{seconds(end - record.started)}, " if end and record.started else ""


def _end(record: RunRecord) -> float | None:
    return record.ended or (None if record.alive else last_sign(record))


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    said = record.facts
    packages = said.get("packages")
    listed = [f"{name} {version}" for name, version in packages.items()] if isinstance(packages, Mapping) else []
    ended = "" if record.alive else when(_end(record))
    return [
        ("entry", entry_of(said)),
        ("folder", str(record.path)),
        ("started", when(record.started or None)),
        ("ended" if record.ended or record.alive else "last sign", ended),
        ("in", str(said.get("cwd") or "")),
        ("by", f"{said.get('user', '?')} on {said.get('host', '?')}, process {said.get('pid', '?')}"),
        ("python", f"{said.get('python', '?')}, parslish {said.get('parslish', '?')}"),
        ("packages", some(listed, _SHOWN_PACKAGES)),
        ("commit", str(said.get("commit") or "")),
        ("parent", record.parent.name if record.parent else ""),
        ("results", f"{counted(record.lost_results, 'result')} could not be stored" if record.lost_results else ""),
        ("record", "its end could not be stored: tasks that ended may be shown as lost" if record.is_cut else ""),
    ]


def _print_totals(found: Sequence[Total]) -> None:
    there = set().union(*(total.counts for total in found))
    shown = [name for name in STATUSES if name in there or name in _ALWAYS]
    titles = ["upstream" if name == "upstream_failed" else name for name in shown]
    numbers = [Column(title, right=True) for title in ("tasks", *titles, "time")]
    rows = [_total_row(total, shown) for total in found]
    if len(found) > 1:
        every: Counter[str] = Counter()
        for total in found:
            every.update(total.counts)
        rows.append(_total_row(Total("all", every, sum(total.time_s for total in found)), shown))
    table([Column("app", narrow="cut"), *numbers], rows)


def _total_row(total: Total, shown: Sequence[str]) -> tuple[str, ...]:
    counts = (f"{total.counts[name]:,}" if total.counts.get(name) else "" for name in shown)
    return (total.app, f"{total.tasks:,}", *counts, seconds(total.time_s))


def _print_failures(record: RunRecord) -> None:
    status = record.columns.status
    failed = [id for id in record.ids() if status[id] == columns.FAILED]
    if not failed:
        return
    heading("failed")
    for id in failed[:_SHOWN_FAILURES]:
        error = record.task(id).error
        told = f": {error.type}: {error.message}" if error else ""
        line(f"  {record.path_of(id)}{told}")
    if len(failed) > _SHOWN_FAILURES:
        line(f"  and {len(failed) - _SHOWN_FAILURES:,} more: parslish select status:failed {record.id}")


def _marks(record: RunRecord) -> list[Mark]:
    """What people said of it, and not what is noted for programs."""
    return [mark for mark in in_order(record.marks) if mark.what in _SAID]


def _mark_row(mark: Mark) -> tuple[str, ...]:
    said = mark.facts
    reason = [str(said["reason"])] if said.get("reason") else []
    details = [_detail(name, value) for name, value in said.items() if name not in _OTHERWISE]
    return when(mark.time), mark.what, str(said.get("user", "")), "; ".join(reason + [each for each in details if each])


def _detail(name: str, value: object) -> str:
    if value in (None, "", [], ()):
        return ""
    if isinstance(value, bytes):  # encoded values, which nobody opens here
        return f"other {name}" if name == "arguments" else f"a {name}"
    return in_a_line(value) if name in ("path", "paths") else f"{name}: {in_a_line(value)}"


# ------------------------------------------------------------------------------------ for programs


def _json(record: RunRecord, found: Sequence[Total]) -> dict[str, Any]:
    said = record.facts
    end = _end(record)
    return {
        "run": record.id,
        "path": str(record.path),
        "status": record.status,
        "degraded": record.degraded,
        "lost_results": record.lost_results,
        "started": record.started or None,
        "time_ended": end,
        "took_s": end - record.started if end and record.started else None,
        "entry": entry_of(said),
        "parent": record.parent.name if record.parent else None,
        "root": record.root,
        "tasks": len(list(record.ids())),
        "counts": statuses(record),
        "apps": [
            {"app": total.app, "tasks": total.tasks, "counts": dict(total.counts), "time_s": total.time_s}
            for total in found
        ],
        "marks": [{"time": mark.time, "what": mark.what, "facts": plain(mark.facts)} for mark in _marks(record)],
        "troubles": [
            {"time": time, "what": str(what), "message": str(message)}
            for _, time, what, message, *_ in record.columns.troubles
        ],
        "facts": plain(said),
    }
