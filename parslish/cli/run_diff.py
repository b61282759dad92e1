"""Owns `parslish diff`: what differs between two runs. How that is found is `history.diff`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from parslish.cli.output import FINE, NOT_SO, Column, json_option, json_value, line, say, seconds, table
from parslish.cli.plain import plain
from parslish.cli.sheet import difference, heading
from parslish.cli.tasks import LIMIT
from parslish.cli.which import LAST, RunCommand, RunName, recorded_run, run_dir_option
from parslish.errors import UsageError

if TYPE_CHECKING:
    from parslish.history.diff import Changed, Diff, Timed

_CHANGED: Final = (Column("path", narrow="fold"), Column("what differs", narrow="fold"))
_STATUSES: Final = (Column("path", narrow="fold"), Column("was"), Column("is"))
_PATH: Final = Column("path", narrow="fold")


@click.command(cls=RunCommand)
@click.argument("a", metavar="A", type=RunName())
@click.argument("b", metavar="[B]", default=LAST, type=RunName())
@click.option("--values", is_flag=True, help="Open the results that differ too, and say by how much.")
@click.option("--limit", type=click.IntRange(0), default=LIMIT, show_default=True, help="Rows of each table; 0: all.")
@run_dir_option
@json_option
def diff(a: str, b: str, values: bool, limit: int, run_dir: str, as_json: bool) -> int:
    """Compare two runs.

    A and B are ids, last, which is the default for B, or folders. Tasks are matched by their paths. With --values
    results are unpickled, which are signed with a key of yours.

    Exit codes: 0 the tasks and their results are the same, 1 they are not, 2 wrong usage.
    """
    first, second = recorded_run(a, run_dir), recorded_run(b, run_dir)
    if first.path.resolve() == second.path.resolve():
        raise UsageError(f"run {first.id} would be compared with itself: name two runs")
    found = first.diff(second, values=values)
    for sentence in found.warnings:
        say(f"warning: {sentence}")
    if as_json:
        json_value(plain(found.to_json()))
    else:
        _print(found, limit or None)
    differs = found.changed or found.only_a or found.only_b or found.status_changed
    return NOT_SO if differs else FINE


def _print(found: Diff, limit: int | None) -> None:
    line(str(found))
    if found.run:
        heading("what they ran with")
        for change in found.run:
            line(f"  {change.sentence}")
        for change in found.run:
            if change.diff:
                print()
                difference(change.diff)
    _list("changed", _CHANGED, [_changed(each) for each in found.changed], limit)
    _list(f"only in run {found.a.id}", (_PATH,), [(path,) for path in found.only_a], limit)
    _list(f"only in run {found.b.id}", (_PATH,), [(path,) for path in found.only_b], limit)
    _list("ended otherwise", _STATUSES, [(each.path, each.old, each.new) for each in found.status_changed], limit)
    times = (_PATH, Column(f"run {found.a.id}", right=True), Column(f"run {found.b.id}", right=True))
    _list("slower", times, [_timed(each) for each in found.slower], limit)
    _list("faster", times, [_timed(each) for each in found.faster], limit)


def _list(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], limit: int | None) -> None:
    if not rows:
        return
    heading(title)
    table(columns, rows[:limit])
    if limit is not None and len(rows) > limit:
        line(f"and {len(rows) - limit:,} more: see --limit")


def _changed(each: Changed) -> tuple[str, str]:
    told = [reason.sentence for reason in each.reasons]
    if each.value is not None:
        told.append(str(each.value))
    return each.path, "; ".join(told)


def _timed(each: Timed) -> tuple[str, str, str]:
    return each.path, seconds(each.a_s), seconds(each.b_s)
