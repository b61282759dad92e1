"""Owns what is noted of a task, and when: turns the kernel's steps into events for the recorder."""

from __future__ import annotations

import getpass
import itertools
import os
import socket
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parslish.future import task_id
from parslish.history.event import Kind
from parslish.history.recorder import Recorder
from parslish.task import State, Task, Try
from parslish.version import VERSION

if TYPE_CHECKING:
    from parslish.apps import AppBase
    from parslish.executors.base import Reply

_MESSAGE = 2_000  # characters of an exception's message that are kept
_TRACEBACK = 16_000  # and of its traceback, from the end
_NO_TASKS: tuple[int, ...] = ()
# Bare numbers in the events of every task: a tuple of nothing but atoms is nothing to the garbage collector.
_SUBMIT, _START, _REUSE, _END = map(int, (Kind.SUBMIT, Kind.START, Kind.REUSE, Kind.END))


class Journal:
    """Notes the events of one run; the same calls with `recorder=None` note nothing."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._add = recorder.add if recorder is not None else _drop
        self._apps: dict[AppBase, int] = {}
        self._workers: dict[str, int] = {}
        self._numbers = itertools.count()

    def run_started(self, facts: Mapping[str, Any]) -> None:
        self._add((Kind.RUN_START, time.time(), dict(facts)))

    def submitted(self, task: Task, dependencies: Sequence[Future[Any]]) -> None:
        app = self._apps.get(task.app)
        if app is None:
            app = self._note_app(task.app)
        parent = -1 if task.parent is None else task.parent.id
        edges = tuple([tid for f in dependencies if (tid := task_id(f)) is not None]) if dependencies else _NO_TASKS
        self._add(
            (
                _SUBMIT,
                task.id,
                time.time(),
                app,
                parent,
                task.position,
                task.occurrence,
                task.label,
                edges,
            )
        )

    def started(self, attempt: Try, worker: str) -> None:
        assert attempt.task is not None
        number = self._workers.get(worker)
        if number is None:
            number = self._note_worker(worker)
        self._add((_START, attempt.task.id, time.time(), attempt.number, number))

    def reused(self, task: Task, origin_run: int | None, origin_task: int) -> None:
        self._add((_REUSE, task.id, time.time(), task.key, origin_run, origin_task))

    def ended(self, task: Task, reply: Reply) -> None:
        self._add(
            (
                _END,
                task.id,
                time.time(),
                task.key,
                self._workers.get(reply.worker),
                reply.started,
                reply.duration,
                reply.cpu,
                reply.peak_memory,
            )
        )

    def failed(self, task: Task, state: State, exc: BaseException, reply: Reply | None = None) -> None:
        text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))[-_TRACEBACK:]
        worker = self._workers.get(reply.worker) if reply else None
        self._add(
            (
                Kind.FAIL,
                task.id,
                time.time(),
                task.tries,
                state.name,
                type(exc).__qualname__,
                _message(exc),
                text,
                task.key,
                worker,
            )
        )

    def trouble(self, what: str, message: str) -> None:
        self._add((Kind.TROUBLE, time.time(), what, message))

    def run_ended(self, reason: str, counts: Mapping[str, int]) -> None:
        self._add((Kind.RUN_END, time.time(), reason, dict(counts)))
        if self._recorder is not None:
            self._recorder.close()

    def _note_app(self, app: AppBase) -> int:
        code = app.key_makers[0].code_digest.hex() if app.cache else ""
        number = self._apps.setdefault(app, next(self._numbers))
        self._add((Kind.APP, number, app.name, app.module, code))
        return number

    def _note_worker(self, name: str) -> int:
        number = self._workers.setdefault(name, next(self._numbers))
        self._add((Kind.WORKER, number, name))
        return number


def _drop(event: tuple[Any, ...]) -> None:
    pass


def _message(exc: BaseException) -> str:
    try:
        return str(exc)[:_MESSAGE]
    except Exception:  # user code: an exception's own __str__
        return f"<{type(exc).__name__} whose message cannot be made>"


def run_facts(number: int, root: str, parent: str | None) -> dict[str, Any]:
    """What a run's record says of where it runs and what it continues."""
    return {
        "run": number,
        "root": root,
        "parent": parent,
        "argv": list(sys.argv),
        "executable": sys.executable,
        "cwd": os.getcwd(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": _user(),
        "python": sys.version.split()[0],
        "parslish": VERSION,
        "commit": _commit(Path.cwd()),
        "packages": _versions(),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _versions() -> dict[str, str]:
    """The versions of the packages that are imported, as far as they say: asking the installer takes longer
    than a first task may."""
    versions = {}
    for name, module in list(sys.modules.items()):
        # Not getattr: a module may compute its attributes, and warn.
        version = None if "." in name else getattr(module, "__dict__", {}).get("__version__")
        if isinstance(version, str):
            versions[name] = version
    return versions


def _commit(folder: Path) -> str | None:
    """The commit that is checked out, read from .git: starting git takes longer than a first task may."""
    for place in (folder, *folder.parents):
        head = place / ".git" / "HEAD"
        try:
            text = head.read_text().strip()
            if not text.startswith("ref: "):
                return text
            return (place / ".git" / text[5:]).read_text().strip()
        except OSError:
            if head.exists():
                return None
    return None
