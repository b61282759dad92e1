"""Owns `parslish plan`, `rerun` and `resume`: a run again, and what that would come to."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from parslish.cli.output import FINE, Column, json_option, json_value, line, say, seconds, table
from parslish.cli.plain import plain
from parslish.cli.run_script import exit_code, output_aside, patiently, told
from parslish.cli.sheet import heading
from parslish.cli.which import Expression, RunCommand, Word, recorded_run, run_argument, run_dir_option
from parslish.errors import UsageError

if TYPE_CHECKING:
    from parslish.history.plan import Plan
    from parslish.rerun.handle import RecordedRun

#: What errors advise, in Python and here.
_ARGUMENTS: Final = {"from_=": "--from ", "only=": "--only ", "all=True": "--all", "reuse=False": "--no-reuse"}
_REPLACE: Final = "Run this function in the place of the app NAME; may be repeated."
_pause_option: Final = click.option("--pause", metavar="EXPR", type=Expression(), help="Do not begin these tasks.")

F = TypeVar("F", bound=Callable[..., Any])
_APPS: Final = (
    Column("app", narrow="cut"),
    Column("reuse", right=True),
    Column("run", right=True),
    Column("not known", right=True),
    Column("runs take", right=True),
)
_TASKS: Final = (Column("loc"), Column("path", narrow="fold"), Column("because", narrow="fold"))
_SHOWN: Final = 20  # tasks of a plan, for people
_PARTS: Final = {"all": "--all", "only": "--only EXPR", "from_": "--from EXPR", "from_failure": "--from-failure"}


def _part_options(command: F) -> F:
    """The options that say which part of a run is run again; as `RecordedRun.rerun` takes them."""
    for option in reversed((
        click.option("--all", "all", is_flag=True, help="Compute everything anew."),
        click.option("--only", metavar="EXPR", type=Expression(), help="Just these tasks, without the program."),
        click.option("--from", "from_", metavar="EXPR", type=Expression(), help="These, and all that depends on them."),
        click.option("--from-failure", is_flag=True, help="What failed or was lost, and what depends on it."),
        click.option("--replace", metavar="NAME=MODULE:FUNC", type=Word(), multiple=True, help=_REPLACE),
        click.option("--no-reuse", is_flag=True, help="Use no stored results."),
        _pause_option,
    )):  # fmt: skip
        command = option(command)
    return command


def _run_options(command: F) -> F:
    """The options that say how it is gone about."""
    for option in reversed((
        click.option("--strict", is_flag=True, help="A selected task that does not come back is an error."),
        click.option("--retries", type=click.IntRange(0), default=0, metavar="N", help="Go on from failure so often."),
        click.option("--dry-run", is_flag=True, help="Print the plan and run nothing."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command(cls=RunCommand)
@run_argument
@_part_options
@run_dir_option
@json_option
def plan(run: str, run_dir: str, as_json: bool, **part: Any) -> int:
    """Say what a rerun would run and what it would reuse.

    The options are those of parslish rerun, without any it is parslish resume that is planned. Times are those of RUN;
    the default is the last run. Nothing is run.

    Exit codes: 0 fine, 2 wrong usage, or the run cannot be executed so.
    """
    how = _how(part)
    with _here(bool(how["replace"])), _in_words_of_the_shell():
        planned = _planned(recorded_run(run, run_dir), how)
    _print_plan(planned, as_json)
    return FINE


@click.command(cls=RunCommand)
@run_argument
@_part_options
@_run_options
@run_dir_option
@json_option
def rerun(run: str, strict: bool, retries: int, dry_run: bool, run_dir: str, as_json: bool, **part: Any) -> int:
    """Run a run again: all of it, a part, or from where it failed.

    The program of RUN (the default is the last run) is started as it was, without being changed. What is not run again
    is reused. The new run is linked to RUN, of which nothing is overwritten. With --only, recorded calls are made again
    with recorded arguments. With --json, what the program prints goes to standard error.

    Exit codes: that of the program; 2 wrong usage, or it cannot be executed so.
    """
    how = _how(part)
    if not any(how.get(name) for name in (*_PARTS, "replace")) and how["reuse"]:
        raise UsageError(
            f"say what is to run again: {', '.join(_PARTS.values())}; to finish what is open there is  parslish resume"
        )
    return _go_on(run, run_dir, how, strict=strict, retries=retries, dry_run=dry_run, as_json=as_json)


@click.command(cls=RunCommand)
@run_argument
@_pause_option
@_run_options
@run_dir_option
@json_option
def resume(run: str, pause: str | None, strict: bool, retries: int, dry_run: bool, run_dir: str, as_json: bool) -> int:
    """Finish what is open in a run.

    What failed, was lost, waits behind a breakpoint, or was restarted or edited runs, and what depends on it; the rest
    is reused. RUN (the default is the last run) is continued by a new run. With --json, what the program prints goes to
    standard error.

    Exit codes: that of the program; 2 wrong usage, or it cannot be executed again.
    """
    how = {} if pause is None else {"pause": pause}
    return _go_on(run, run_dir, how, strict=strict, retries=retries, dry_run=dry_run, as_json=as_json)


def _how(part: dict[str, Any]) -> dict[str, Any]:
    """The options as `RecordedRun.rerun` has them."""
    given = [option.split()[0] for name, option in _PARTS.items() if part[name]]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other: give one of {', '.join(_PARTS.values())}")
    replace = dict(_replacement(each) for each in part["replace"])
    how = {**part, "reuse": not part["no_reuse"], "replace": replace or None}
    del how["no_reuse"]
    return how


def _replacement(given: str) -> tuple[str, str]:
    match = re.fullmatch(r"([^=:]+)=([^=:]+:[^=:]+)", given)
    if not match:
        raise UsageError(f"--replace {given!r}: takes NAME=MODULE:FUNC, as --replace relax=better:relax")
    return match[1], match[2]


def _go_on(
    run: str, run_dir: str, how: dict[str, Any], *, strict: bool, retries: int, dry_run: bool, as_json: bool
) -> int:
    with _here(bool(how.get("replace"))), _in_words_of_the_shell():
        found = recorded_run(run, run_dir)
        planned = _planned(found, how)
        if dry_run:
            _print_plan(planned, as_json)
            return FINE
        say(f"run {found.id}: {_in_a_line(planned)}")
        with output_aside(as_json), _waiting_for(found):
            new = found.rerun(**how, strict=strict, retries=retries)
    return told(new.path, exit_code(new.exit_code), as_json, parent=found.id, plan=planned.to_json()["groups"])


def _planned(found: RecordedRun, how: dict[str, Any]) -> Plan:
    from parslish.rerun.making import has_failures

    if how.get("from_failure") and not has_failures(found.record):
        raise UsageError(f"no task of run {found.id} failed or was lost: there is no failure to go on from")
    return found.plan(**how)


@contextlib.contextmanager
def _here(replaces: bool) -> Iterator[None]:
    """Let what is in this folder be imported, as `python -m` does: by us, and, where it is to replace something, by the
    program that is started."""
    here, before = os.getcwd(), os.environ.get("PYTHONPATH")
    sys.path.insert(0, here)
    if replaces:
        os.environ["PYTHONPATH"] = os.pathsep.join([here, *([before] if before else [])])
    try:
        yield
    finally:
        sys.path.remove(here)
        os.environ.pop("PYTHONPATH", None)
        if before is not None:
            os.environ["PYTHONPATH"] = before


@contextlib.contextmanager
def _in_words_of_the_shell() -> Iterator[None]:
    """Let errors name options, not the arguments of `RecordedRun.rerun`."""
    try:
        yield
    except UsageError as exc:
        said = str(exc)
        for argument, option in _ARGUMENTS.items():
            said = said.replace(argument, option)
        raise exc if said == str(exc) else UsageError(said) from None


def _waiting_for(found: RecordedRun) -> contextlib.AbstractContextManager[None]:
    """A script is a process of its own, which answers Ctrl-C; a workflow runs in this one."""
    entry = found.record.facts.get("entry")
    is_script = isinstance(entry, dict) and entry.get("kind") == "script"
    return patiently() if is_script else contextlib.nullcontext()


# ------------------------------------------------------------------------------------ plans


def _in_a_line(planned: Plan) -> str:
    """What is to be done, and how long the part of it takes of which that is known."""
    hours = planned.core_hours
    told = [
        (planned.run, "run", "to run"),
        (planned.reuse, "reuse", "reused"),
        (planned.unknown, "unknown", "not known yet"),
    ]
    parts = [f"{len(ids):,} {words} ({seconds(3600 * hours[group])})" for ids, group, words in told if ids]
    return ", ".join(parts) or "no tasks"


def _print_plan(planned: Plan, as_json: bool) -> None:
    if as_json:
        json_value(plain(planned.to_json()))
        return
    line(f"run {planned.record.id} again: {_in_a_line(planned)}")
    table(_APPS, [_app_row(app, groups) for app, groups in planned.apps.items()])
    shown = [*planned.run, *planned.unknown][:_SHOWN]
    if shown:
        heading("what runs, or may")
        table(_TASKS, [_task_row(planned, id) for id in shown])
    rest = len(planned.run) + len(planned.unknown) - len(shown)
    if rest:
        line(f"and {rest:,} more: --json has them")


def _app_row(app: str, groups: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    counts = (f"{groups[group]['tasks']:,}" if groups[group]["tasks"] else "" for group in ("reuse", "run", "unknown"))
    runs = groups["run"]
    is_known = runs["unmeasured"] < runs["tasks"]
    return (app, *counts, seconds(3600 * runs["core_hours"]) if is_known else "?" if runs["tasks"] else "")


def _task_row(planned: Plan, id: int) -> tuple[str, ...]:
    return planned.record.loc_of(id), planned.record.path_of(id), planned.reasons[id]
