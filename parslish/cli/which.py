"""Owns which run a command is about, and which task of it: arguments, their completion, and errors with near matches.

A task is named by its path `-/scan[2]/relax[Si]`, its loc `-.N3.N5` or its id. The first two look like options to
click: `RunCommand` keeps them apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from parslish.cli.output import say
from parslish.cli.places import RUN_DIR, known_keys
from parslish.errors import ParslishError, UsageError, near
from parslish.history import inherited, lineage
from parslish.history.folder import EVENTS, numbered
from parslish.history.record import RunRecord, TaskRecord
from parslish.secret import Keys, key_file
from parslish.store.report import Kind, foreign, told

if TYPE_CHECKING:
    from parslish.rerun.handle import RecordedRun

LAST: Final = "last"
_TASK: Final = re.compile(r"-[/.].")  # as paths and locs begin, and no option
_COMPLETED_BYTES: Final = 4 << 20  # of a record that is read to complete a name: more takes too long

F = TypeVar("F", bound=Callable[..., Any])


class RunCommand(click.Command):
    """A command among whose arguments may be paths and locs of tasks."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # What begins with a blank is no option; the types below take the blank away again.
        given = [f" {each}" if _TASK.match(each) else each for each in args]
        try:
            return super().parse_args(ctx, given)
        except click.UsageError as exc:
            exc.ctx = exc.ctx or ctx  # so that the error tells which help to see
            raise


class Word(click.ParamType):  # type: ignore[type-arg]  # which click 8.1 does not take
    """An argument that may name a task."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value.strip() if isinstance(value, str) else value


class RunName(Word):
    """An argument that names a run; completed with those that there are."""

    name = "run"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        known = [path.name for _, path in numbered(ctx.params.get("run_dir") or RUN_DIR)]
        return [CompletionItem(each) for each in (*known, LAST) if each.startswith(incomplete)]


class Expression(Word):
    """A selection of tasks; completed with the names of the last run's apps."""

    name = "expression"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        apps = _apps_of_last(ctx.params.get("run_dir") or RUN_DIR)
        return [CompletionItem(each) for each in apps if each.startswith(incomplete)]


def _apps_of_last(run_dir: str) -> list[str]:
    runs = [path for _, path in numbered(run_dir) if (path / EVENTS).is_dir()]
    try:
        if not runs or not key_file().exists():
            return []
        if sum(each.stat().st_size for each in (runs[-1] / EVENTS).iterdir()) > _COMPLETED_BYTES:
            return []
        return sorted({app.name for app in RunRecord(runs[-1], Keys.load(), shared=True).apps.values()})
    except (ParslishError, OSError):
        return []


def run_argument(command: F) -> F:
    """The argument RUN of a command, as `run`; the last run where it is not given."""
    return click.argument("run", metavar="[RUN]", default=LAST, type=RunName())(command)


def task_argument(command: F) -> F:
    """The argument TASK of a command, as `task`."""
    return click.argument("task", metavar="TASK", type=Word())(command)


def expression_argument(command: F) -> F:
    """The argument EXPR of a command, as `expression`."""
    return click.argument("expression", metavar="EXPR", type=Expression())(command)


def run_dir_option(command: F) -> F:
    """The option `--run-dir` of a command, as `run_dir`."""
    option = click.option("--run-dir", default=RUN_DIR, show_default=True, metavar="FOLDER", help="The run folder.")
    return option(command)


def run_and_task(run: str, task: str | None) -> tuple[str, str | None]:
    """What `[RUN] [TASK]` mean: a path, a loc or a call such as `relax[Si]` alone is a task of the last run."""
    if _TASK.match(run):
        return (LAST, run) if task is None else (task, run)
    return (LAST, run) if task is None and "[" in run and not Path(run).is_dir() else (run, task)


def task_and_run(task: str, run: str) -> tuple[str, str]:
    """What `TASK [RUN]` mean: a path or loc is a task, wherever it stands."""
    return (run, task) if _TASK.match(run) and not _TASK.match(task) else (task, run)


def run_path(run: str, run_dir: str = RUN_DIR) -> Path:
    """The folder of the run that is meant by an id (`003`, `3`), `last`, or its folder.

    Raises:
        UsageError: there is no such run.
    """
    known = {path.name: path for _, path in numbered(run_dir)}
    by_number = {int(name): path for name, path in known.items()}
    if run == LAST and known:
        recorded = [path for path in known.values() if (path / EVENTS).is_dir()]
        return lineage.last(recorded or list(known.values()))
    if run.isdecimal() and int(run) in by_number:
        return by_number[int(run)]
    if _is_folder(run):
        return Path(run)
    raise UsageError(_no_run(run, run_dir, list(known)))


def _is_folder(run: str) -> bool:
    return run not in ("", os.curdir, os.pardir) and Path(run).is_dir() and (run.isdecimal() or os.sep in run)


def _no_run(run: str, run_dir: str, known: list[str]) -> str:
    if not known:
        there = "holds no runs" if Path(run_dir).is_dir() else "is not there"
        return f"the run folder {run_dir!r} {there}: go to where the script was started, or name it with --run-dir"
    if _TASK.match(run):
        return f"{run!r} is a task, and here a run is named: by its id ({known[0]} to {known[-1]}), last or its folder"
    if Path(run).is_file():
        return f"{run!r} is a file, and here a run is named; a script is run with  parslish run {run}"
    hint = "" if run.isdecimal() else near(run, [*known, LAST])
    return (
        f"there is no run {run!r} in {run_dir!r}{hint}: name one by its id "
        f"({known[0]} to {known[-1]}), last or its folder; see  parslish runs"
    )


def open_run(run: str, run_dir: str = RUN_DIR) -> RunRecord:
    """The record of the run that is meant; findings about damage are told.

    Raises:
        UsageError, BadCheckpoint: there is no such run, or it cannot be read.
    """
    record = inherited.read(run_path(run, run_dir), _keys())
    _tell(record)
    return record


def recorded_run(run: str, run_dir: str = RUN_DIR) -> RecordedRun:
    """The run that is meant, to be corrected or executed again; as `open_run`.

    Raises:
        UsageError, BadCheckpoint: there is no such run, or it cannot be read.
    """
    from parslish.rerun.handle import RecordedRun  # here: who only looks needs nothing that can unpickle

    path = run_path(run, run_dir)
    _keys()
    found = RecordedRun(path)
    _tell(found.record)
    return found


def _keys() -> Keys:
    """The user's keys; who only looks makes none. Raises UsageError when there are none."""
    keys = known_keys()
    if keys is None:
        raise UsageError(
            f"runs are read with the key that signed them, and there is none to be read in {str(key_file())!r}: "
            f"set PARSLISH_KEY_FILE"
        )
    return keys


def _tell(record: RunRecord) -> None:
    """Tell what was found in a record besides. Raises UsageError when nothing of it could be read."""
    sentences = told(record.report.warnings)
    if not record.columns.starts:
        why = sentences[0] if sentences else "there is nothing in its record yet"
        if record.report.of(Kind.UNTRUSTED):
            why = f"its record is {foreign()}"
        raise UsageError(f"run {record.id} cannot be read: {why}")
    for sentence in sentences:
        say(f"warning: {sentence}")


def task_of(record: RunRecord, task: str) -> TaskRecord:
    """The task of a run that is meant; by its path, loc, id, or the end of its path where no other ends so.

    Raises:
        UsageError: there is no such task, or there are several.
    """
    name = task.rpartition("/")[2].partition("[")[0]
    apps = {number for number, app in record.apps.items() if app.name == name}
    if not apps or _TASK.match(task):
        return record.task(task)
    app_of = record.columns.app
    calls = [id for id in record.ids() if app_of[id] in apps]
    meant = calls if task == name else [id for id in calls if record.path_of(id).endswith(f"/{task}")]
    if len(meant) == 1:
        return record.task(meant[0])
    paths = [record.path_of(id) for id in meant or calls]
    if not meant:
        raise UsageError(f"run {record.id} has no task {task!r}{near(f'-/{task}', paths)}; see  parslish select {name}")
    raise UsageError(
        f"{task!r} may be any of {len(meant):,} tasks of run {record.id}: name one by its path, such as {paths[0]}; "
        f"parslish select '{task}' lists them"
    )
