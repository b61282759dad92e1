"""What these tests share: a program that is written, started and changed, and what its bodies have noted."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import parslish
from parslish import RecordedRun
from tests.parsl.helpers import PATIENCE_S

HEAD = """
import os
import random
import sys
import time
from pathlib import Path

import parslish
from parslish import Config, File, bash_app, join_app, python_app


def note(*words):
    with open("executed", "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

"""
SCRIPT = "script.py"


def written(apps: str, calls: str, config: str = "", name: str = SCRIPT) -> Path:
    """A program of apps, and of calls that are made in a kernel; `config` is more for its configuration."""
    text = HEAD + textwrap.dedent(apps) + f"\n\nwith parslish.load(Config(checkpoint_mode='task_exit'{config})):\n"
    Path(name).write_text(text + textwrap.indent(textwrap.dedent(calls).strip("\n"), "    ") + "\n")
    return Path(name)


def first(apps: str, calls: str, config: str = "", ok: bool = True) -> RecordedRun:
    """The run of such a program."""
    written(apps, calls, config)
    return again(ok=ok)


def again(*arguments: str, name: str = SCRIPT, ok: bool = True) -> RecordedRun:
    """The run of the program that is there, started as anybody would."""
    done = subprocess.run([sys.executable, name, *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode == 0) == ok, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return parslish.run("last")


def changed(old: str, new: str, name: str = SCRIPT) -> None:
    """Edit the program."""
    text = Path(name).read_text()
    assert old in text, f"{old!r} is not in {name}"
    Path(name).write_text(text.replace(old, new))


def executed() -> list[str]:
    """What bodies have noted since the last call, in that order."""
    path = Path("executed")
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def statuses(run: RecordedRun) -> dict[str, str]:
    """Path → status of all tasks of a run."""
    return {task.path: task.status for task in run.record}


def results(run: RecordedRun) -> dict[str, object]:
    """Path → preview of the result of all tasks of a run."""
    return {task.path: task.result for task in run.record}


def forced(run: RecordedRun) -> dict[str, str]:
    """Path → why, of all tasks of a run that were computed whatever was known."""
    return {task.path: task.forced for task in run.record if task.forced is not None}


def contents(folders: Iterable[Path]) -> dict[Path, bytes]:
    """What is in the files of some folders."""
    return {file: file.read_bytes() for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()}


#: The graph of Tierkreis: start → nested(times × 3) → unreliable → end.
NESTED = """
@python_app(cache=True)
def start():
    note("start")
    return 1

@python_app(cache=True)
def times(a, b):
    note("times", a, b)
    return a * b

@python_app(cache=True)
def unreliable(n):
    note("unreliable", n)
    if os.path.exists("broken"):
        raise ValueError("blah")
    return n

@join_app(cache=True)
def nested(x):
    note("nested")
    return times(times(x, 2), times(x, 3))

@python_app(cache=True)
def end(n):
    note("end", n)
    return n
"""
NESTED_CALLS = """
result = end(unreliable(nested(start())))
result.exception()
"""
