"""Owns the measuring itself: every row in turn, round by round, each measurement in a process of its own.

Round by round (A B A B …), so that a machine that gets slower or faster meanwhile does so for all.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environments import HOME, ROOT, NotInstalled
from benchmarks.peers import PEERS
from benchmarks.record import Record
from benchmarks.rows import Row

TIMEOUT_S = 1800


class Failed(Exception):
    """A measurement yielded nothing; the one sentence says why."""


@dataclass(slots=True)
class Measured:
    """What the rounds of one row have yielded so far."""

    row: Row
    n: int
    folder: Path
    python: str = ""
    trouble: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def records(self, commit: str) -> list[Record]:
        """One for each figure; one that says why, if there is none."""
        today = datetime.date.today().isoformat()
        row = self.row
        return [
            Record(row.workload, row.label, row.peer, name, self.n, values, today, self.trouble, self.versions, commit)
            for name, values in (self.values or {"": []}).items()
        ]


def measure(
    rows: Sequence[Row],
    wanted: int | None,
    rounds: int,
    scratch: Path,
    python_of: Callable[[str], str],
    say: Callable[[str], None],
) -> list[Measured]:
    """Measure the rows of one workload.

    Args:
        wanted: what `--n` says.
        scratch: an empty folder, on the disk that is to be measured.
        python_of: the interpreter of an environment; raises `NotInstalled`.
        say: is told of each value.
    """
    measured = [Measured(row, row.size(wanted), scratch / _store_of(row, row.size(wanted))) for row in rows]
    for one in measured:
        _trying(one, _prepare, python_of)
    for turn in range(1, rounds + 1):
        for one in measured:
            _trying(one, _measure_once)
            say(f"{one.row.workload} round {turn}/{rounds}  {one.row.label}: {_last(one)}")
    return measured


def _store_of(row: Row, n: int) -> str:
    """Rows that begin with the same store share the folder it is prepared in."""
    return f"{row.prepare}-{n}" if row.prepare else f"{row.call}-{n}-{'-'.join(row.variant.split())}"


def _trying(one: Measured, step: Callable[..., None], *arguments: Any) -> None:
    """A row that cannot go on is left out from then on, and says why."""
    if one.trouble:
        return
    try:
        step(one, *arguments)
    except (Failed, NotInstalled) as why:
        prefix = "not installed: " if isinstance(why, NotInstalled) else ""
        one.trouble = f"{prefix}{why}"


def _prepare(one: Measured, python_of: Callable[[str], str]) -> None:
    one.python = python_of(PEERS[one.row.peer].environment)
    prepared = one.folder / "prepared"
    if one.row.prepare and not prepared.exists():
        prepared.mkdir(parents=True)
        try:
            _run(one, one.row.prepare, (), prepared)
        except Failed:
            shutil.rmtree(prepared)  # half a store is none
            raise


def _measure_once(one: Measured) -> None:
    folder = one.folder / "measured"
    folder.mkdir(parents=True)
    try:
        answer = _run(one, one.row.call, one.row.arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    one.versions = answer["versions"]
    for name, value in answer["figures"].items():
        one.values.setdefault(name, []).append(float(f"{value:.5g}"))


def _run(one: Measured, call: str, arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run one function of a driver, end everything that it leaves behind, and return what it wrote."""
    environment = PEERS[one.row.peer].environment
    command = [one.python, "-m", "benchmarks.run_one", environment, call, str(one.n), *arguments]
    with (folder / "output.txt").open("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environ(one.python),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {TIMEOUT_S} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        said = [line for line in output.read().splitlines() if line.strip()]
    if code:
        raise Failed(f"failed with exit code {code}: {said[-1][:200] if said else 'without a word'}")
    answer: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return answer


def _environ(python: str) -> dict[str, str]:
    """As in an activated environment (Parsl looks for its programs in PATH), with nobody's settings for peers, and
    with compiled modules kept, as for users."""
    theirs = ("PARSL_", "RAY_", "DASK_", "PYTHONDONTWRITEBYTECODE")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    environ.setdefault("PARSLISH_KEY_FILE", str(HOME / "key"))
    environ["PATH"] = f"{Path(python).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}


def _last(one: Measured) -> str:
    return one.trouble or ", ".join(f"{name} {values[-1]:,.4g}" for name, values in one.values.items())


def to_stderr(line: str) -> None:
    """The progress of a run."""
    print(line, file=sys.stderr, flush=True)
