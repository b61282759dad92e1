"""Runs that tests ask about: real ones, of programs that are given as text, and made-up ones, of events."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import parslish
from parslish import Config
from parslish.history.event import Event, Kind
from parslish.history.record import RunRecord
from parslish.history.recorder import Recorder
from parslish.secret import Keys

HEAD = "from parslish import bash_app, join_app, python_app\nimport parslish\n"
_versions = itertools.count()


def load(text: str) -> Any:
    """The program as a module; each time from a file of its own, so that no old source is shown."""
    path = Path(f"version{next(_versions)}/program.py")
    path.parent.mkdir()
    path.write_text(HEAD + text)
    spec = importlib.util.spec_from_file_location("program", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["program"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(text: str, **config: Any) -> RunRecord:
    """Run a program whose `main` gives futures, wait for them, and read the run's record."""
    module = load(text)
    settings = {"run_dir": "runinfo", "checkpoint_mode": "task_exit", "initialize_logging": False, **config}
    with parslish.load(Config(**settings)) as kernel:
        for future in module.main():
            future.exception()
    return read(kernel.run_id)


def go_on(text: str, **config: Any) -> RunRecord:
    """The same as a run that continues the last one."""
    last = max(Path("runinfo").glob("[0-9]*"))
    return run(text, checkpoint_files=[str(last / "checkpoint")], **config)


def read(id: str) -> RunRecord:
    return RunRecord(Path("runinfo", id), Keys.load())


def made_up(number: int, events: Iterable[Event], *, ended: bool = True, **facts: Any) -> RunRecord:
    """A run with these events; of one app, number 0, unless they say otherwise."""
    path = Path("runinfo", f"{number:03d}")
    path.mkdir(parents=True)
    recorder = Recorder(path / "events", keys=Keys.load(), run_number=number)
    recorder.add((Kind.RUN_START, 1000.0 * (number + 1), {"run": number, "root": "r", **facts}))
    recorder.add(app())
    for event in events:
        recorder.add(event)
    if ended:
        recorder.add((Kind.RUN_END, time.time(), "completed", {}))
    recorder.close()
    return read(path.name)


def app(number: int = 0, name: str = "f", cache: str = "True", kind: str = "python", code: str = "aa") -> Event:
    return (Kind.APP, number, name, "program", code, kind, cache, None, "", 0, ["x", "y"], [])


def submit(
    task: int,
    *args: Any,
    app: int = 0,
    parent: int = -1,
    at: float = 1.0,
    needs: tuple[int, ...] = (),
    nth: int | None = None,
) -> Event:
    occurrence = task if nth is None else nth
    return (Kind.SUBMIT, task, at, app, parent, task, occurrence, None, needs, list(args), None, -1)


def start(task: int) -> Event:
    return (Kind.START, task, 2.0, 1, 0)


def end(task: int, key: bytes | None = None, result: Any = None, seconds: float = 1.0, at: float = 2.0) -> Event:
    return (Kind.END, task, at + seconds, key, 0, at, seconds, seconds, 0, result)


def reuse(task: int, key: bytes, run: int | None, origin: int, result: Any = None) -> Event:
    return (Kind.REUSE, task, 2.0, key, run, origin, result)


def fail(task: int, state: str = "failed", key: bytes | None = None) -> Event:
    return (Kind.FAIL, task, 3.0, 1, state, "ValueError", "told so", "", key, 0, None)
