"""Owns cases under strace: the server of `scripts/traced.py`, the calls that a case made, and what it left."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import parslish
from parslish.store.check import check
from tests.faults.drivers import SCRIPTS, recovered
from tests.faults.scripts.traced import COUNT, REFUSED, size_of

ROOT = Path(__file__).resolve().parents[2]
ALL = list(range(COUNT))


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of the traced thread that concerns the run's folder: the n-th of its name, counted from 1."""

    name: str
    n: int
    line: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a case: see `scripts/traced.py`."""

    folder: Path
    code: int
    seen: list[int]
    executed: list[int]

    @property
    def err(self) -> str:
        """What it wrote to stderr."""
        return (self.folder / "err").read_text()

    @property
    def was_hit(self) -> bool:
        """Whether the fault came, and in a call on the run's folder."""
        text = (self.folder / "trace").read_text()
        return "+++ killed by SIGKILL" in text or any("INJECTED" in call.line for call in calls(self.folder))


class Server:
    """Runs cases, each in a folder of its own within `folder`. To be used in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def __enter__(self) -> Server:
        home = Path(parslish.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, SCRIPTS / "traced.py"],
            env={**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(
        self, scene: str, thread: str = "main", inject: Sequence[str] | None = (), folder: Path | None = None
    ) -> Outcome:
        """Run one case.

        Args:
            scene: a function of the script.
            thread: which one is traced.
            inject: what strace does to it, as its option `inject` has it; None: no strace.
            folder: where; a new one by default.
        """
        if folder is None:
            folder = self._folder / str(next(self._numbers))
            folder.mkdir()
        case = {"folder": str(folder), "scene": scene, "thread": thread, "inject": inject}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        return Outcome(folder, **json.loads(self._process.stdout.readline()))


def calls(folder: Path) -> Iterator[Call]:
    """The calls of a case that concern its run folder, in their order."""
    seen: Counter[str] = Counter()
    for line in (folder / "trace").read_text(errors="replace").splitlines():
        if match := re.match(r"(\w+)\(", line):
            seen[match[1]] += 1
            if f"{folder}/runinfo" in line:
                yield Call(match[1], seen[match[1]], line)


def judge(server: Server, scene: str, outcome: Outcome, *, loses_nothing: bool, is_at_end: bool) -> None:
    """The oracles after a case, and after the run that goes on from it.

    Args:
        loses_nothing: all that was seen must be kept.
        is_at_end: the script came to its end.
    """
    told = outcome.err
    assert "Timeout" not in told, f"it hangs:\n{told}"
    assert "Traceback" not in told and "InternalError" not in told, told
    os.chdir(outcome.folder)
    values = recovered()
    assert all(value == bytes([number]) * size_of(number) for number, value in values.items()), "a wrong value"
    assert values.keys() <= set(ALL)
    if loses_nothing:
        assert set(outcome.seen) <= values.keys(), "what a caller saw is lost"
    if is_at_end:
        assert outcome.seen == ALL, told
    for checkpoint in Path("runinfo").glob("*/checkpoint"):
        assert check(checkpoint).state in ("clean", "torn"), [str(one) for one in check(checkpoint).segments]
    after = server.run(scene, inject=None, folder=outcome.folder)
    assert (after.code, after.seen) == (0, ALL), after.err
    assert after.executed == sorted(set(ALL) - values.keys()), "it executes what is missing, and nothing else"
    assert recovered().keys() == set(ALL)


def is_refused(outcome: Outcome) -> bool:
    """Whether the kernel said that it cannot start."""
    return outcome.code == REFUSED
