"""Owns `parslish invalidate`, `undo` and `invalidations`: stored results that no longer count, and do again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click

from parslish.cli.output import FINE, Column, counted, json_list, json_option, json_value, line, recently, say, table
from parslish.cli.tasks import print_tasks
from parslish.cli.which import (
    RunCommand,
    expression_argument,
    recorded_run,
    run_argument,
    run_dir_option,
)

if TYPE_CHECKING:
    from parslish.rerun.handle import RecordedRun
    from parslish.rerun.invalidation import Invalidation

_COLUMNS: Final = (
    Column("id"),
    Column("when"),
    Column("by", narrow="cut"),
    Column("results", right=True),
    Column("counts"),
    Column("tasks", narrow="fold"),
    Column("reason", narrow="fold"),
)


@click.command(cls=RunCommand)
@expression_argument
@run_argument
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with the run.")
@click.option("--only-these", is_flag=True, help="Not the tasks that depend on them.")
@click.option("--dry-run", is_flag=True, help="Print the tasks and change nothing.")
@run_dir_option
@json_option
def invalidate(
    expression: str, run: str, reason: str, only_these: bool, dry_run: bool, run_dir: str, as_json: bool
) -> int:
    """Let stored results no longer count.

    Those of the tasks that EXPR means in RUN (the default is the last run), and of all that depend on them: whoever
    needs them computes them again. Nothing is removed, and parslish undo takes it back, until checkpoint compact or
    prune removes them for good.

    Exit codes: 0 fine, 2 wrong usage, or none of them has a stored result, 3 the disk refuses.
    """
    found = recorded_run(run, run_dir)
    ids = found.select(expression).ids
    if dry_run:
        affected = _affected(found, ids, only_these)
        if as_json:
            json_value({"id": None, "paths": [found.record.path_of(id) for id in affected], "done": False})
        else:
            print_tasks(found.record, affected)
            line(f"{counted(len(affected), 'task')}; nothing was changed")
        return FINE
    made = found.invalidate(expression, reason=reason, dependents=not only_these)
    if as_json:
        json_value({**made.to_json(), "run": found.id, "done": True})
        return FINE
    print_tasks(found.record, [found.record.task(path).id for path in made.paths])
    for path in made.shared:
        line(f"{path} has the same key, so that its result goes too")
    line(f"{counted(made.records, 'result')} of {counted(len(made.paths), 'task')} no longer count; to take that back:")
    line(f"  parslish undo {made.id} {found.id}")
    return FINE


def _affected(found: RecordedRun, ids: Iterable[int], only_these: bool) -> list[int]:
    from parslish.history.edges import Edges

    edges = Edges(found.record)
    return edges.topological(ids if only_these else edges.descendants(ids))


@click.command(cls=RunCommand)
@click.argument("id", metavar="ID")
@run_argument
@run_dir_option
@json_option
def undo(id: str, run: str, run_dir: str, as_json: bool) -> int:
    """Take an invalidation back.

    ID is what parslish invalidate has printed, and parslish invalidations lists.

    Exit codes: 0 fine, 2 there is none of that ID, or it was undone before, 3 the disk refuses.
    """
    found = recorded_run(run, run_dir)
    records = found.undo(id)
    if as_json:
        json_value({"id": id, "run": found.id, "records": records})
    else:
        line(f"{counted(records, 'result')} {'counts' if records == 1 else 'count'} again")
    return FINE


@click.command(cls=RunCommand)
@run_argument
@run_dir_option
@json_option
def invalidations(run: str, run_dir: str, as_json: bool) -> int:
    """List what was invalidated, by whom and why.

    In the name of RUN; the default is the last run. The oldest stands first.

    Exit codes: 0 fine, 2 there is no such run, or nothing of it can be read, 3 its files may not be read.
    """
    found = recorded_run(run, run_dir)
    made = found.invalidations()
    if as_json:
        json_list(each.to_json() for each in made)
        return FINE
    table(_COLUMNS, [_row(each) for each in made])
    if not made:
        say(f"nothing was invalidated in the name of run {found.id}")
    return FINE


def _row(made: Invalidation) -> tuple[str, ...]:
    more = f" and {len(made.paths) - 1:,} more" if len(made.paths) > 1 else ""
    first = made.paths[0] if made.paths else ""
    counts = "yes, undone" if made.undone else "no"
    return made.id, recently(made.time), made.user, f"{made.records:,}", counts, f"{first}{more}", made.reason
