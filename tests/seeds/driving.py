"""What the tests of the seeds share: programs that are run as they are, and what their bodies have noted."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import parslish
from parslish import RecordedRun
from tests.parsl.helpers import PATIENCE_S, run_script

SCRIPTS = Path(__file__).with_name("scripts")

HEAD = """
import sys
from pathlib import Path
import parslish
from parslish import Config, File, join_app, python_app

def note(what):
    with open("executed", "a") as file:
        file.write(f"{what}\\n")
"""


def program(name: str, *arguments: str, ok: bool = True) -> RecordedRun:
    """Run a program of `scripts`, or the one of that name that is here already, in a process of its own.

    Args:
        ok: whether it has to end well, or to fail.

    Returns:
        The run that it made.
    """
    done = shell(sys.executable, _here(name), *arguments)
    assert (done.returncode == 0) == ok, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return parslish.run("last")


def begun(name: str, *arguments: str, until: Callable[[], bool]) -> subprocess.Popen[str]:
    """The same, without waiting for more than that something is so; the caller ends it."""
    process = subprocess.Popen([sys.executable, _here(name), *arguments], stdout=subprocess.PIPE, text=True)
    try:
        wait_for(until)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return process


def _here(name: str) -> str:
    if not Path(name).exists():
        shutil.copy(SCRIPTS / name, name)
    return name


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so, for things that no event tells of: those of other processes."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def made(body: str, *, ok: bool = True, config: str = "", head: str = "") -> RecordedRun:
    """The run of a script `script.py` that is a few lines: its apps, and what it does with them in a kernel.

    Args:
        body: lines that begin with `@`, `def` or a blank are of its apps, the others stand in the kernel's block.
        config: options behind `Config(checkpoint_mode="task_exit"`; `head`: what it imports besides.
    """
    lines = body.strip().splitlines()
    apps = [line for line in lines if line.startswith(("@", "def ", " "))]
    steps = [f"    {line}" for line in lines if line not in apps]
    kernel = f"with parslish.load(Config(checkpoint_mode='task_exit'{config})):"
    done = run_script("\n".join([HEAD, head, *apps, kernel, *steps, ""]), ok=ok)
    assert ok or done.returncode != 0
    return parslish.run("last")


def change(name: str, old: str, new: str) -> None:
    """Edit a program that is here."""
    text = Path(name).read_text()
    assert text.count(old) == 1, f"{old!r} is in {name} {text.count(old)} times"
    Path(name).write_text(text.replace(old, new))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`parslish …` in a process of its own."""
    return shell(sys.executable, "-m", "parslish", *arguments)


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_S)


def executed() -> list[str]:
    """What bodies of apps have noted since the last call, in that order."""
    path = Path("executed")
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def statuses(run: RecordedRun) -> dict[str, str]:
    """Path → status of all tasks of a run."""
    return {task.path: task.status for task in run.record}


def contents(folders: Iterable[Path]) -> dict[Path, bytes]:
    """What is in the files of some folders."""
    return {file: file.read_bytes() for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()}
