"""Owns `parslish logs`: the log of a run, and what a task has written and raised."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from parslish.cli.output import FINE, NOT_SO, json_option, json_value, line, say
from parslish.cli.sheet import block
from parslish.cli.which import (
    LAST,
    RunCommand,
    RunName,
    Word,
    open_run,
    run_and_task,
    run_dir_option,
    run_path,
    task_of,
)
from parslish.history.record import TaskRecord

LOG: Final = "parslish.log"
_STREAMS: Final = ("stdout", "stderr")
_TASKS_A_FOLDER: Final = 10_000  # as `bash.auto_logname` has them


class Text(NamedTuple):
    """What was written: to a file, or, without a path, what a task raised."""

    what: str
    path: Path | None
    lines: list[str]


@click.command(cls=RunCommand)
@click.argument("run", metavar="[RUN]", default=LAST, type=RunName())
@click.argument("task", metavar="[TASK]", default=None, type=Word(), required=False)
@click.option("--tail", type=click.IntRange(1), metavar="N", help="Only the last N lines of each.")
@run_dir_option
@json_option
def logs(run: str, task: str | None, tail: int | None, run_dir: str, as_json: bool) -> int:
    """Print the log of a run, or what a task has written.

    Of a run that is its parslish.log, which it keeps with Config(initialize_logging=True). Of a task it is the files of
    its stdout and stderr, where it had any, and the traceback of each try that failed. RUN and TASK are as with show.

    Exit codes: 0 fine, 1 there is nothing, 2 there is no such run or task.
    """
    run, task = run_and_task(run, task)
    path = run_path(run, run_dir)
    if task is None:
        found, nothing = (
            _of_run(path, tail),
            f"run {path.name} has logged nothing; what became of its tasks is in  parslish show {path.name}",
        )
    else:
        record = task_of(open_run(run, run_dir), task)
        found = list(_of_task(record, tail))
        nothing = f"task {record.id} of run {path.name} has written nothing that was kept, and raised nothing"
    if as_json:
        json_value(
            {"run": path.name, "task": None if task is None else record.id, "texts": [_json(each) for each in found]}
        )
    elif task is None:
        for each in found:
            for text in each.lines:
                line(text)
    else:
        _print(found)
    if not found:
        say(nothing)
    return FINE if found else NOT_SO


def _of_run(path: Path, tail: int | None) -> list[Text]:
    log = path / LOG
    return [Text("log", log, _lines(log, tail))] if log.is_file() else []


def _of_task(task: TaskRecord, tail: int | None) -> Iterator[Text]:
    for stream in _STREAMS:
        path = _file(task, stream)
        if path is not None and path.is_file():
            yield Text(stream, path, _lines(path, tail))
        elif path is not None and task.tries:
            say(f"its {stream} went to {str(path)!r}, which is not there")
    for failure in task.failures:
        lines = (failure.traceback or f"{failure.type}: {failure.message}").splitlines()
        yield Text(f"try {failure.number}", None, lines if tail is None else lines[-tail:])


def _file(task: TaskRecord, stream: str) -> Path | None:
    """Where a task's stream went: as the call said, or where AUTO_LOGNAME puts it."""
    given = task.given.get(stream)
    if isinstance(given, dict):
        given = given.get("file")
    if isinstance(given, str):
        return Path(str(task.run.facts.get("cwd") or "."), given)
    folder = task.run.path / "task_logs" / f"{task.id // _TASKS_A_FOLDER:04d}"
    return next(folder.glob(f"task_{task.id:04d}_*.{stream}"), None)


def _lines(path: Path, tail: int | None) -> list[str]:
    with path.open(errors="backslashreplace") as file:
        return [each.rstrip("\n") for each in (file if tail is None else deque(file, tail))]


def _print(found: list[Text]) -> None:
    for number, each in enumerate(found):
        if number:
            print()
        line(f"{each.what}{'' if each.path is None else f': {each.path}'}")
        block("\n".join(each.lines))


def _json(text: Text) -> dict[str, Any]:
    return {"what": text.what, "path": None if text.path is None else str(text.path), "lines": text.lines}
