"""Owns what is noted of a task, and when: turns the kernel's steps into events for the recorder."""

from __future__ import annotations

import inspect
import itertools
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parslish.errors import StoreError
from parslish.future import task_id
from parslish.history import alive, previews
from parslish.history.event import Event, Kind
from parslish.history.recorder import Recorder
from parslish.task import Scope, State, Task, Try
from parslish.utils import user_name
from parslish.version import VERSION

if TYPE_CHECKING:
    from parslish.apps import AppBase
    from parslish.executors.base import Reply
    from parslish.identity.key import ArgumentPart
    from parslish.recorded import Described

_MESSAGE = 2_000  # characters of an exception's message that are kept
_TRACEBACK = 16_000  # and of its traceback, from the end
_NO_TASKS: tuple[int, ...] = ()
_NOT_TOLD = {"repr": "…"}
_ATOMS = frozenset({int, float, str, bytes, bool, type(None)})
# Bare numbers in the events of every task: a tuple of nothing but atoms is nothing to the garbage collector.
_SUBMIT, _START, _REUSE, _END = map(int, (Kind.SUBMIT, Kind.START, Kind.REUSE, Kind.END))


class Journal:
    """Notes the events of one run; the same calls with `recorder=None` note nothing.

    Args:
        recorder: what writes them.
        previews: whether arguments and results are told of.
    """

    def __init__(self, recorder: Recorder | None, *, previews: bool = True) -> None:
        self._recorder = recorder
        #: Whether what calls are given is noted, and what they give.
        self.previews = previews and recorder is not None
        #: Notes an event. Where that happens for each task it is looked up before it is called: to call like a method
        #: what is none takes longer.
        self.add: Callable[[Event], None] = recorder.add if recorder is not None else _drop
        self._apps: dict[AppBase, int] = {}
        self._workers: dict[str, int] = {}
        self._numbers = itertools.count()

    def run_started(self, facts: Mapping[str, Any]) -> None:
        if self._recorder is not None:
            self._recorder.add_now((Kind.RUN_START, time.time(), dict(facts)))

    def submitted(self, task: Task, dependencies: Sequence[Future[Any]], described: Described | None = None) -> None:
        """A call was made; `described` is there where it is not plain."""
        app = self._apps.get(task.app)
        if app is None:
            app = self._note_app(task.app)
        parent = -1 if task.parent is None else task.parent.id
        edges = _edges(task, dependencies) if dependencies else _NO_TASKS
        scope = -1 if task.scope is None else task.scope.number
        given: tuple[Any, ...] = (task.args if self.previews else None, None, scope)
        if described is not None:
            args, keywords, *more = described
            given = (args, keywords, scope, *more)
        call = _SUBMIT, task.id, time.time(), app, parent, task.position, task.occurrence, task.label, edges
        note = self.add
        note(call + given)

    def scope(self, scope: Scope) -> None:
        parent = -1 if scope.parent is None else scope.parent.id
        outer = -1 if scope.outer is None else scope.outer.number
        self.add((Kind.SCOPE, scope.number, parent, outer, scope.name, scope.label))

    def bound(self, task: Task, parts: Sequence[ArgumentPart]) -> None:
        """What the arguments of a call that is not plain were bound to, now that its futures are done."""
        shown = [previews.of(part.value) for part in parts]
        self.add((Kind.ARGUMENTS, task.id, [part.name for part in parts], [part.digest for part in parts], shown))

    def missed(self, task: Task, reason: str, detail: str) -> None:
        """A result was there that was not used."""
        self.add((Kind.MISS, task.id, reason, detail))

    def forced(self, task: Task, reason: str) -> None:
        """A task is computed whatever is known."""
        self.add((Kind.FORCE, task.id, reason))

    def started(self, attempt: Try, worker: str) -> None:
        assert attempt.task is not None
        number = self._workers.get(worker)
        if number is None:
            number = self._note_worker(worker)
        note = self.add
        note((_START, attempt.task.id, time.time(), attempt.number, number))

    def reused(self, task: Task, origin_run: int | None, origin_task: int, value: Any) -> None:
        result = value if self.previews and type(value) in _ATOMS else self._result(value)
        note = self.add
        note((_REUSE, task.id, time.time(), task.key, origin_run, origin_task, result))

    def end_of(self, task: Task, reply: Reply) -> Event:
        """That a task was computed: to be noted by `add` once its result is kept."""
        value = reply.value
        return (
            _END,
            task.id,
            time.time(),
            task.key,
            self._workers.get(reply.worker),
            reply.started,
            reply.duration,
            reply.cpu,
            reply.peak_memory,
            value if self.previews and type(value) in _ATOMS else self._result(value),
        )

    def _result(self, value: Any) -> Any:
        if not self.previews:
            return _NOT_TOLD
        # A long one is cut short by who writes it.
        return value if type(value) in _ATOMS else previews.of(value)

    def failed(
        self, task: Task, state: State, exc: BaseException, reply: Reply | None = None, call: bytes | None = None
    ) -> None:
        """A try has failed, or a task has; `call` as `recorded.call_of_failed`."""
        text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))[-_TRACEBACK:]
        worker = self._workers.get(reply.worker) if reply else None
        self.add(
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
                call,
            )
        )

    def marked(self, what: str, facts: Mapping[str, Any]) -> None:
        """Something else is to be said of the run."""
        self.add((Kind.MARK, time.time(), what, dict(facts)))

    def trouble(self, what: str, message: str) -> None:
        self.add((Kind.TROUBLE, time.time(), what, message))

    def run_ended(self, reason: str, counts: Mapping[str, int], lost_results: int = 0) -> StoreError | None:
        """The last event. Returns why some of the record is lost; None when all of it is stored."""
        self.add((Kind.RUN_END, time.time(), reason, dict(counts), lost_results))
        return None if self._recorder is None else self._recorder.close()

    def _note_app(self, app: AppBase) -> int:
        number = self._apps.setdefault(app, next(self._numbers))
        self.add((Kind.APP, number, *_app_facts(app)))
        return number

    def _note_worker(self, name: str) -> int:
        number = self._workers.setdefault(name, next(self._numbers))
        self.add((Kind.WORKER, number, name))
        return number


def _edges(task: Task, dependencies: Sequence[Future[Any]]) -> tuple[int, ...]:
    kernel = task.future._kernel  # two in a process number their tasks alike
    return tuple([tid for each in dependencies if (tid := task_id(each, kernel)) is not None])


def _drop(event: Event) -> None:
    pass


def _app_facts(app: AppBase) -> tuple[Any, ...]:
    """What is noted of an app; the fields of `Kind.APP` after its number."""
    code, parts = "", []
    if app.cache:
        maker = app.key_makers[0]
        code = maker.code_digest.hex()
        parts = [
            (part.kind, part.name, part.digest[:8], part.text)
            for fingerprint in maker.fingerprints
            for part in fingerprint.parts
        ]
    written = getattr(inspect.unwrap(app.func), "__code__", None)
    place = (written.co_filename, written.co_firstlineno) if written else ("", 0)
    rest = app.parameters, parts, sorted(app.ignored), app.draws
    return app.name, app.module, code, app.kind, str(app.cache), app.version, *place, *rest


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
        "command": list(sys.orig_argv),
        "executable": sys.executable,
        "cwd": os.getcwd(),
        "host": socket.gethostname(),
        "machine": alive.machine(),
        "pid": os.getpid(),
        "user": user_name(),
        "python": sys.version.split()[0],
        "parslish": VERSION,
        "commit": _commit(Path.cwd()),
        "packages": _versions(),
    }


def _versions() -> dict[str, str]:
    """The versions of the packages that are imported, as far as they say: asking the installer takes longer
    than a first task may."""
    versions = {}
    for name, module in list(sys.modules.items()):
        # Not getattr: a module may compute its attributes, and warn.
        is_package = "." not in name and name not in sys.stdlib_module_names
        version = getattr(module, "__dict__", {}).get("__version__") if is_package else None
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
