"""Owns `parslish run`: a script under a configuration that it does not name, and again from where it failed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from parslish.cli.output import FINE, counted, json_option, json_value, say
from parslish.cli.places import RUN_DIR, known_keys
from parslish.cli.runs import row_of
from parslish.errors import UsageError, near
from parslish.history import card
from parslish.history.folder import EVENTS, numbered

_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP)


class _Script(click.Command):
    """What stands behind the script is the script's, options too."""

    allow_interspersed_args = False


@click.command(cls=_Script)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="A TOML file, for a script that has none."
)
@click.option("--retries", type=click.IntRange(0), default=0, metavar="N", help="Go on from failure up to N times.")
@click.option("--run-dir", metavar="FOLDER", help="Where the script keeps its runs, if its own code says so.")
@json_option
def run(
    script: Path, arguments: tuple[str, ...], config: Path | None, retries: int, run_dir: str | None, as_json: bool
) -> int:
    """Run a script under a configuration, without touching it.

    The options stand before SCRIPT. The configuration is for parslish.load() and DataFlowKernel() without one; a script
    that names its own keeps that. With --json, what the script prints goes to standard error.

    Exit codes: that of the script, the last one where it was run again; 2 wrong usage.
    """
    if not script.is_file():
        raise UsageError(f"there is no script {str(script)!r}{near(script.name, _scripts_beside(script))}")
    run_dir = run_dir or _run_dir(config)
    with _configured(config), output_aside(as_json):
        pid, code = _start([sys.executable, str(script), *arguments])
        made = _made_by(pid, run_dir)
        if made is None and retries and code:
            say(f"no run of it is in {run_dir!r}, so it is not run again: name the folder with --run-dir")
        made, code = _again(made, code, retries)
    return told(made, code, as_json)


def _scripts_beside(script: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [each.name for each in script.parent.glob("*.py")]
    return []


def _run_dir(config: Path | None) -> str:
    """Where runs are kept under a configuration. Raises ConfigurationError when it is not valid."""
    if config is None:
        return RUN_DIR
    from parslish.config import Config  # here: without a configuration it is not needed

    found = Config.from_toml(config)
    found.check()
    return os.fspath(found.run_dir)


@contextlib.contextmanager
def _configured(config: Path | None) -> Iterator[None]:
    from parslish.config import FILE_VARIABLE

    before = os.environ.get(FILE_VARIABLE)
    if config is not None:
        os.environ[FILE_VARIABLE] = str(config.absolute())
    try:
        yield
    finally:
        if config is not None:
            os.environ.pop(FILE_VARIABLE)
            if before is not None:
                os.environ[FILE_VARIABLE] = before


def _start(command: list[str]) -> tuple[int, int]:
    """Run a program and wait for it; returns its process and its exit code. Signals are the program's to answer."""
    with patiently():
        process = subprocess.Popen(command)
        with _answering(_FORWARDED, lambda number, frame: process.send_signal(number)):
            return process.pid, exit_code(process.wait())


def _made_by(pid: int, run_dir: str) -> Path | None:
    """The run that a process made; None when there is none."""
    for _, path in reversed(list(numbered(run_dir))):
        facts = card.read(path)
        if facts.get("pid") == pid and facts.get("host") == socket.gethostname() and (path / EVENTS).is_dir():
            return path
    return None


def _again(made: Path | None, code: int, retries: int) -> tuple[Path | None, int]:
    """Go on from failure while there is any, and while it may be tried."""
    for left in range(retries, 0, -1):
        if made is None:
            break
        from parslish.rerun.handle import RecordedRun  # here: only a failure needs all that

        failed = RecordedRun(made)
        has_failures = failed.status == "failed"
        if code == FINE and not has_failures:
            break
        how = f"{failed.status}, exit code {code}"
        say(f"run {made.name}: {how}; going on from there, {counted(left, 'more time')} at most")
        with patiently():
            new = failed.rerun(from_failure=True) if has_failures else failed.resume()
        made, code = new.path, exit_code(new.exit_code)
    return made, code


def told(made: Path | None, code: int, as_json: bool, **more: Any) -> int:
    """Say which run was made; returns the exit code."""
    row = None if made is None else row_of(made, known_keys())
    if as_json:
        facts = {"run": row.path.name, "path": str(row.path), "status": row.status} if row else {"run": None}
        json_value({**facts, "exit_code": code, **more})
    elif row is not None:
        say(f"run {row.path.name}: {row.status}")
    return code


def exit_code(code: int) -> int:
    """An exit code as shells have it: 128 and the number of the signal that killed it."""
    return code if code >= 0 else 128 - code


def patiently() -> contextlib.AbstractContextManager[None]:
    """Leave Ctrl-C to the program that we wait for: it gets it too, and has things to put in order."""
    return _answering((signal.SIGINT,), lambda number, frame: None)


@contextlib.contextmanager
def _answering(numbers: Sequence[signal.Signals], handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Answer signals so, but for those that are ignored: by whoever started us, and for the program too."""
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        heard = []  # nobody else may say
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def output_aside(is_wanted: bool) -> Iterator[None]:
    """Send what programs print to standard error, so that standard output has nothing but JSON."""
    if not is_wanted:
        yield
        return
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(ours, 1)
        os.close(ours)
