"""What these tests share: apps, a counter and a gate for tasks, and scripts in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import parslish
from parslish import python_app

ROOT = Path(parslish.__file__).parents[1]
PATIENCE_S = 60.0


@python_app
def double(x: int) -> int:
    return x * 2


@python_app
def give(value: Any = None) -> Any:
    return value


@python_app
def fail(x: Any = None) -> None:
    raise ValueError(f"{x} is refused")


class Counted:
    """Counts the calls of an app's body; safe from several threads."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, value: Any = None) -> int:
        self.calls.append(value)
        return len(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    # An app's code refers to this object: its identity is that there is a counter, not how far it is.
    def __parslish_key__(self) -> str:
        return "counter"


class Gate:
    """Holds tasks of a thread until it is opened, and tells when one has arrived."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._arrived = threading.Semaphore(0)

    def wait(self) -> None:
        self._arrived.release()
        assert self._open.wait(PATIENCE_S / 4), "the gate was never opened"

    def await_arrival(self) -> None:
        assert self._arrived.acquire(timeout=PATIENCE_S), "no task arrived at the gate"

    def open(self) -> None:
        self._open.set()

    def __parslish_key__(self) -> str:
        return "gate"


def run_script(
    text: str, *arguments: str, name: str = "script.py", ok: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a script in the current folder, in a process of its own; with `ok`, it must end well."""
    Path(name).write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, name, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    if ok:
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
