"""Owns `parslish restart`, `edit` and `accept`: what is to be otherwise when a run goes on."""

from __future__ import annotations

import ast
from typing import Any, Final

import click

from parslish.cli.output import FINE, counted, json_option, json_value, line
from parslish.cli.tasks import print_tasks
from parslish.cli.which import (
    RunCommand,
    Word,
    expression_argument,
    recorded_run,
    run_argument,
    run_dir_option,
    task_and_run,
    task_argument,
    task_of,
)
from parslish.errors import UsageError
from parslish.history import previews

_SHOWN: Final = 20  # characters of a value in an error


@click.command(cls=RunCommand)
@task_argument
@run_argument
@click.option("--dry-run", is_flag=True, help="Print the tasks and change nothing.")
@run_dir_option
@json_option
def restart(task: str, run: str, dry_run: bool, run_dir: str, as_json: bool) -> int:
    """Have a task and its dependents run again.

    That is when RUN (the default is the last run) is resumed, and in no other run: nothing stored is touched. What runs
    again is listed, each task behind those that it depends on.

    Exit codes: 0 fine, 2 there is no such run or task, 3 the disk refuses.
    """
    from parslish.history.edges import Edges

    task, run = task_and_run(task, run)
    found = recorded_run(run, run_dir)
    record = found.record
    first = task_of(record, task)
    if dry_run:
        edges = Edges(record)
        locs = [record.loc_of(id) for id in edges.topological(edges.descendants([first.id]))]
    else:
        locs = found.restart_task(first.id)
    if as_json:
        json_value(
            {"run": found.id, "locs": locs, "paths": [record.task(loc).path for loc in locs], "done": not dry_run}
        )
        return FINE
    print_tasks(record, [record.task(loc).id for loc in locs])
    again = f"{counted(len(locs), 'task')} {'runs' if len(locs) == 1 else 'run'} again"
    line(f"{again}; nothing was changed" if dry_run else f"{again} with  parslish resume {found.id}")
    return FINE


@click.command(cls=RunCommand)
@task_argument
@run_argument
@click.option(
    "--argument", "arguments", multiple=True, metavar="NAME=VALUE", type=Word(), help="What the task is given."
)
@click.option("--result", metavar="VALUE", type=Word(), help="What it gives, without being run.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the run.")
@run_dir_option
@json_option
def edit(
    task: str, run: str, arguments: tuple[str, ...], result: str | None, reason: str, run_dir: str, as_json: bool
) -> int:
    """Give a task other arguments, or its result.

    That is when RUN (the default is the last run) is resumed or run again. VALUE is a literal of Python: 0.1, "text",
    [1, 2], None. Arguments that are not named stay what they are; --argument may be repeated.

    Exit codes: 0 fine, 2 wrong usage: no such run, task or argument, or no literal, 3 the disk refuses.
    """
    if bool(arguments) == (result is not None):
        raise UsageError(
            "give either --argument NAME=VALUE, as often as there are arguments to edit, or --result VALUE"
        )
    task, run = task_and_run(task, run)
    found = recorded_run(run, run_dir)
    edited = task_of(found.record, task)
    if result is None:
        before, after = edited.arguments, dict(_named(each) for each in arguments)
        found.edit(edited.id, arguments=after, reason=reason)
    else:
        before, after = {"result": edited.result}, {"result": _literal("--result", result)}
        found.edit(edited.id, result=after["result"], reason=reason)
    if as_json:
        values = {name: previews.shown(value) for name, value in after.items()}
        what = "arguments" if result is None else "result"
        json_value({"run": found.id, "task": edited.id, "path": edited.path, "edited": what, "values": values})
        return FINE
    for name, value in after.items():
        was = f" (was {previews.text(before[name])})" if name in before else ""
        line(f"{edited.path}: {name} is {previews.shown(value)}{was}")
    line(f"that counts with  parslish resume {found.id}")
    return FINE


def _named(given: str) -> tuple[str, Any]:
    name, equals, value = given.partition("=")
    if not (equals and name.strip().isidentifier()):
        raise UsageError(f"--argument {given!r}: takes NAME=VALUE, as --argument x=0.1")
    return name.strip(), _literal(f"--argument {name.strip()}", value)


def _literal(option: str, text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise UsageError(
            f"{option}: {shown!r} is no literal of Python, as 0.1, True or [1, 2] are; a text stands in quotes of its "
            f"own, as in '\"{shown}\"'"
        ) from None


@click.command(cls=RunCommand)
@expression_argument
@run_argument
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with the run folder.")
@run_dir_option
@json_option
def accept(expression: str, run: str, reason: str, run_dir: str, as_json: bool) -> int:
    """Let results count after a harmless change of code.

    Results that earlier code of the apps of these tasks gave count for the code as it is in RUN; the default is the
    last run. Who said so and why is kept.

    Exit codes: 0 fine, 2 wrong usage, or no code of them has changed, 3 the disk refuses.
    """
    found = recorded_run(run, run_dir)
    apps = found.accept(expression, reason=reason)
    if as_json:
        json_value({"run": found.id, "apps": apps})
    else:
        line(f"results of earlier code count for {', '.join(apps)} as in run {found.id}")
    return FINE
