"""Owns `parslish why`: why a task ran, or was reused. What the reasons are is `history.why`'s to say."""

from __future__ import annotations

from typing import Any

import click

from parslish.cli.output import FINE, json_option, json_value, line
from parslish.cli.plain import plain
from parslish.cli.sheet import difference
from parslish.cli.which import (
    RunCommand,
    recorded_run,
    run_argument,
    run_dir_option,
    task_and_run,
    task_argument,
    task_of,
)


@click.command(cls=RunCommand)
@task_argument
@run_argument
@run_dir_option
@json_option
def why(task: str, run: str, run_dir: str, as_json: bool) -> int:
    """Say why a task ran, or was reused, part by part.

    The task of RUN (the default is the last run) is compared with that of an earlier run which it goes back to. Where
    code changed, the difference is printed.

    Exit codes: 0 fine, 2 there is no such run or task.
    """
    task, run = task_and_run(task, run)
    found = recorded_run(run, run_dir)
    why = found.why(task_of(found.record, task).id)
    if as_json:
        json_value(plain(why.to_json()))
        return FINE
    line(str(why))
    if len(why.reasons) > 1:
        for reason in why.reasons:
            line(f"  - {reason.sentence}")
    if why.earlier is not None:
        line(f"compared with {why.earlier.path} of run {why.earlier.run.id}")
    for reason in why.reasons:
        _print_diffs(reason.facts)
    return FINE


def _print_diffs(facts: Any) -> None:
    """The differences of code among the facts of a reason, and of those that it rests on."""
    if facts.get("diff"):
        print()
        difference(str(facts["diff"]))
    for each in facts.get("differences", ()):
        _print_diffs(each.get("facts", {}))
