"""Owns `parslish select`: the tasks that an expression means. What it means is `history.selection`'s to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from parslish.cli.output import FINE, NOT_SO, clean, counted, json_option, json_value, line, say
from parslish.cli.task_show import in_short
from parslish.cli.tasks import LIMIT, print_tasks
from parslish.cli.which import RunCommand, expression_argument, open_run, run_argument, run_dir_option
from parslish.errors import UsageError

if TYPE_CHECKING:
    from parslish.history.selection import Selection


@click.command(cls=RunCommand)
@expression_argument
@run_argument
@click.option("--paths", is_flag=True, help="Print paths alone, one a line.")
@click.option("--locs", is_flag=True, help="Print locs alone, one a line.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    help=f"At most N tasks, 0: all; else {LIMIT}, of paths, locs and JSON all.",
)
@run_dir_option
@json_option
def select(expression: str, run: str, paths: bool, locs: bool, limit: int | None, run_dir: str, as_json: bool) -> int:
    """List the tasks that an expression means.

    EXPR is a name (all calls of an app), a path, a loc, a filter such as status:failed or arg:seed=7, or several with
    and, or, not; *x and x* are x with all that it depends on, and with all that depends on it. The default of RUN is
    the last run. Put EXPR in quotes: shells have a meaning for * and [ ].

    Exit codes: 0 fine, 1 it means no task, 2 wrong usage: it is no expression, or names what the run does not have.
    """
    if paths + locs + as_json > 1:
        raise UsageError("--paths, --locs and --json exclude each other: give one")
    from parslish.history.selection import complaints, select

    record = open_run(run, run_dir)
    found = select(record, expression, empty_ok=True)
    if found.meaning.unknown:
        raise complaints.unknown(found.meaning)
    ids = found.ids[: limit or None]
    if as_json:
        json_value(_json(found, ids))
    elif paths or locs:
        for id in ids:
            print(clean(record.path_of(id) if paths else record.loc_of(id)))
    else:
        line(_echo(found))
        print_tasks(record, found.ids, LIMIT if limit is None else limit or None)
    if not found:
        say(str(complaints.nothing(found.meaning, found.parsed)))
    return FINE if found else NOT_SO


def _echo(found: Selection) -> str:
    """How many tasks, of which run, and what was asked for as it was understood."""
    return f"{counted(len(found), 'task')} of run {found.run.id}: {found.expression}"


def _json(found: Selection, ids: tuple[int, ...]) -> dict[str, Any]:
    return {
        "run": found.run.id,
        "expression": found.expression,
        "count": len(found),
        "tasks": [in_short(found.run.task(id)) for id in ids],
    }
