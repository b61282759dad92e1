"""Owns making recorded calls again without the program that made them: with what was recorded of their arguments, and
with the stored results of the tasks that these came from.

A script is run up to its first call of an app, so that its apps and its configuration are there; then it is left.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import re
import sys
import weakref
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from parslish import recorded
from parslish.apps import AppBase, known_apps
from parslish.errors import UsageError, near
from parslish.history import previews
from parslish.history.edges import VALUE, Edges, edges
from parslish.history.record import RunRecord, TaskRecord
from parslish.orders import VERIFY
from parslish.recorded import ResultOf
from parslish.scopes import scope

if TYPE_CHECKING:
    from parslish.guide import Guide
    from parslish.kernel import DataFlowKernel

logger = logging.getLogger("parslish")

_SEGMENT = re.compile(r"/([^/\[]+)\[([^\]]*)\]")
_begun: weakref.WeakSet[DataFlowKernel] = weakref.WeakSet()


def check(record: RunRecord, ids: Iterable[int]) -> None:
    """Check that recorded tasks can be made again from the record.

    Raises:
        UsageError: between two of them the program handed on a value, or the arguments of one were not kept.
    """
    chosen = set(ids)
    for edge in edges(record, (VALUE,)):
        if edge.source in chosen and edge.to in chosen:
            raise UsageError(
                f"{record.path_of(edge.to)} took a value that the program had from {record.path_of(edge.source)}: "
                f"without the program a new value would not reach it; use from_={record.path_of(edge.source)!r}"
            )
    for id in sorted(chosen):
        why_not = why_not_kept(TaskRecord(record, id))
        if why_not is not None:
            raise UsageError(f"{why_not}; use from_={record.path_of(id)!r}, which runs the program")


def why_not_kept(task: TaskRecord) -> str | None:
    """Why a task's arguments cannot be had from the record; None when they can."""
    if task.call is not None:
        return None
    if task.run.columns.arguments[task.id] is None and task.app.parameters:
        return f"the arguments of {task.path} were not recorded (previews=False)"
    for name, given in task.given.items():
        if not (previews.is_exact(given) or _is_reference(given)):
            return f"argument {name!r} of {task.path} was not recorded, only what it looks like: {previews.text(given)}"
    return None


def take_over(kernel: DataFlowKernel) -> None:
    """At the first call of a program: make the ordered calls in its place, and end it. Later calls, as those of joins,
    go their way."""
    if kernel in _begun:
        return
    code = 0
    try:
        make_again(kernel)
    except UsageError as exc:
        print(f"parslish: {exc}", file=sys.stderr)
        code = 2
    except Exception as exc:  # of a task
        print(f"parslish: {type(exc).__name__}: {exc}", file=sys.stderr)
        code = 1
    finally:
        kernel.cleanup()
    raise SystemExit(code)


def make_again(kernel: DataFlowKernel) -> None:
    """Make the ordered calls, and what else the orders say.

    Raises:
        UsageError: as `execute`; and whatever the first task raised that failed.
    """
    guide = kernel.guide
    assert guide is not None
    made = execute(kernel, guide)
    if guide.orders.style == VERIFY:
        from parslish.rerun import verifying  # here: with what opens values

        verifying.compare(kernel, guide, made)
    for future in made.values():
        future.result()


def execute(kernel: DataFlowKernel, guide: Guide) -> dict[int, Future[Any]]:
    """Make the ordered calls in a kernel, and wait for them; gives their futures by the ids of the recorded tasks.

    Raises:
        UsageError: an app is not there, or a result that is needed is not stored.
    """
    _begun.add(kernel)
    record = guide.record
    calls = _Calls(kernel, guide)
    order = Edges(record).topological(_outermost(record, guide.orders.selected))
    made = {id: calls.make(TaskRecord(record, id)) for id in order}
    concurrent.futures.wait(made.values())
    return made


def _outermost(record: RunRecord, selected: Iterable[int]) -> list[int]:
    """Those tasks that no other of them submits."""
    chosen = set(selected)

    def is_within(id: int) -> bool:
        while (id := record.columns.parent[id]) >= 0:
            if id in chosen:
                return True
        return False

    return [id for id in chosen if not is_within(id)]


class _Calls:
    def __init__(self, kernel: DataFlowKernel, guide: Guide) -> None:
        self._kernel, self._guide, self._record = kernel, guide, guide.record
        self._made: dict[int, Future[Any]] = {}
        self._apps: dict[int, AppBase] = {}

    def make(self, task: TaskRecord) -> Future[Any]:
        """Make a recorded call again, at its place."""
        app = self._app(task)
        args, kwargs = self._arguments(task)
        label = task.label if task.label is not None else str(self._record.columns.occurrence[task.id])
        with contextlib.ExitStack() as places:
            for name, which in _SEGMENT.findall(self._record.scope_of(task.id)):
                places.enter_context(scope(name, which))
            future = self._made[task.id] = self._kernel.submit(app, args, {**kwargs, "label": label})
        return future

    def _app(self, task: TaskRecord) -> AppBase:
        number = task.app.number
        if number not in self._apps:
            self._apps[number] = find_app(task.app.name, task.app.module)
        return self._apps[number]

    def _arguments(self, task: TaskRecord) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if task.call is not None:
            return recorded.opened(task.call, self._result)
        columns = self._record.columns
        args = tuple(self._value(each) for each in columns.arguments[task.id] or ())
        return args, {name: self._value(each) for name, each in columns.keywords.get(task.id, {}).items()}

    def _value(self, given: Any) -> Any:
        return self._result(ResultOf(given["task"])) if _is_reference(given) else given

    def _result(self, wanted: ResultOf) -> Any:
        """The future of a task that is made again, or the stored result of another."""
        # What is verified is given what it was given before.
        found: Any = None if self._guide.orders.style == VERIFY else self._made.get(wanted.task)
        if found is not None:
            return _lifted(found, wanted)
        task = TaskRecord(self._record, wanted.task)
        known = None if task.key is None else self._kernel.known(task.key)
        if known is None:
            raise UsageError(
                f"the result of {task.path} is needed, and not stored; select it too, or use from_={task.path!r}"
            )
        return wanted.of(known.value)


def find_app(name: str, module: str) -> AppBase:
    """The app of that name, as it is in this process.

    Raises:
        UsageError: there is none.
    """
    apps = known_apps()
    for place in ((module, name), ("__main__", name), ("__parslish_main__", name)):
        if place in apps:
            return apps[place]
    names = {each for _, each in apps}
    raise UsageError(
        f"app {name!r} of module {module!r} is not there when the program makes its first call{near(name, names)}; "
        f"define it before, or use from_=, which runs the program"
    )


def _is_reference(given: Any) -> bool:
    return isinstance(given, Mapping) and "task" in given and "of" not in given


def _lifted(future: Any, wanted: ResultOf) -> Any:
    for how, which in wanted.steps:
        future = future[which] if how == "item" else getattr(future, which)
    return future
