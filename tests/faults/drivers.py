"""Owns driver processes for tests: starting a script of `scripts/`, reading its lines, killing it, and what a kill
leaves: the recovered results and any process that lives on.

A script prints what it saw, one fact a line; a pipe keeps what was written before a SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import parslish
from parslish import codec
from parslish.result import StoredResult
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.reader import read_frames

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE_S = 60.0  # for what should take a moment: a longer wait is a hang
ORPHAN_S = 5.0  # no worker outlives its driver by more


class Driver:
    """One script, running in a session of its own, so that whatever it starts can be found again.

    Args:
        script: a file of `scripts/`, or its path.
        args: its command line.
        under: a command that runs it, and its own command line.
        patience_s: how long it may take to end.
    """

    def __init__(self, script: str, *args: object, under: Sequence[str] = (), patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        # Where the library under test lies, which need not be where the tests lie.
        home = str(Path(parslish.__file__).parents[1])
        self.process = subprocess.Popen(
            [*under, sys.executable, "-X", "faulthandler", str(SCRIPTS / script), *map(str, args)],
            env={**os.environ, "PYTHONPATH": home, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.err = ""

    def line(self) -> str | None:
        """The script's next line; None when it has ended."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text.endswith("\n"):
            return None  # the end, or a line that a kill has torn
        self.lines.append(text.rstrip("\n"))
        return self.lines[-1]

    def await_line(self, start: str) -> None:
        """Read on to a line that begins with `start`."""
        while (line := self.line()) is not None:
            if line.startswith(start):
                return
        raise AssertionError(f"the script ended without saying {start!r}: {self.end()}")

    def send(self, number: signal.Signals) -> None:
        """Signal the script's process alone."""
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end; returns exit code and stderr. A script that hangs shows its stacks and fails."""
        try:
            out, self.err = self.process.communicate(timeout=self.patience_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            out, self.err = self.process.communicate()
            raise AssertionError(f"the script hangs; its lines:\n{self.lines}\n{out}\n{self.err}") from None
        self.lines += out.split("\n")[:-1]
        return self.process.returncode, self.err

    def facts(self, kind: str) -> list[int]:
        """The numbers of all lines `kind number …`."""
        return [int(line.split()[1]) for line in self.lines if line.split(" ", 1)[0] == kind]

    def survivors(self) -> list[int]:
        """The processes that live on after the driver, once they have had their time to end."""
        deadline = time.monotonic() + ORPHAN_S
        while left := list(_session(self.process.pid)):
            if time.monotonic() > deadline:
                return left
            time.sleep(0.01)
        return []


def run(script: str, *args: object) -> Driver:
    """Run a script that is to end well."""
    driver = Driver(script, *args)
    code, err = driver.end()
    assert code == 0, err
    return driver


def recovered(folder: str | os.PathLike[str] = "runinfo") -> dict[int, Any]:
    """task argument → value, of all results that the checkpoints of a run folder hold; twice, to the same effect.

    For the scripts whose apps return (argument, value).
    """
    first, second = dict(_results(folder)), dict(_results(folder))
    assert first == second, "recovering twice does not give the same"
    return first


def _results(folder: str | os.PathLike[str]) -> Iterator[tuple[int, Any]]:
    keys = Keys.load()
    for checkpoint in parslish.get_all_checkpoints(folder):
        for record in read_frames(checkpoint, keys, types={Type.RESULT}):
            yield codec.decode(StoredResult.unpack(record.body).encoded, record.folder)


def _session(leader: int) -> Iterator[int]:
    """The living processes of a session, zombies not counted."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                state, _, _, session, *_ = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(session) == leader and state != "Z":
                yield int(entry)
