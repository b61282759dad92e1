"""Owns making recorded calls again without the program that made them: with what was recorded of their arguments, and
with the stored results of the tasks that these came from.

A script is run up to its first call of an app, so that its apps and its configuration are there; then it is left.
"""

from __future__ import annotations

import concurrent.futures
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from parslish import loader, recorded, scopes
from parslish.apps import AppBase, known_apps
from parslish.errors import UsageError, near
from parslish.future import StoredFuture
from parslish.history import inherited, previews
from parslish.history.edges import VALUE, Edges, edges
from parslish.history.lineage import VERIFY
from parslish.history.record import RunRecord, TaskRecord
from parslish.recorded import ResultOf

if TYPE_CHECKING:
    from parslish.guide import Guide
    from parslish.kernel import DataFlowKernel


class _Taken:
    """That a kernel makes recorded calls: whose thread makes them, and when they are made, the exit code."""

    def __init__(self) -> None:
        self.maker = threading.get_ident()
        self.is_over = threading.Event()
        self.exit_code = 0


_lock = threading.Lock()  # guards what follows
_taken: weakref.WeakKeyDictionary[DataFlowKernel, _Taken] = weakref.WeakKeyDictionary()


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
    if _call(task) is not None:
        return None
    if task.run.columns.arguments[task.id] is None and task.app.parameters:
        return f"the arguments of {task.path} were not recorded (previews=False)"
    for name, given in task.given.items():
        if not (previews.is_exact(given) or _is_reference(given)):
            return (
                f"the arguments of {task.path} were not kept, as they are large or of classes of your own, but only "
                f"what they look like, such as {name}={previews.text(given)}"
            )
    return None


def _call(task: TaskRecord) -> bytes | None:
    """What was kept of a call, or of what a function that failed was given."""
    says_no_more = task.app.kind == "python" and not task.outputs
    return task.call or (task.failed_call if says_no_more else None)


def take_over(kernel: DataFlowKernel) -> None:
    """At the first call of a program: make the ordered calls in its place, and end it; at every other call that it
    still makes, as in a `finally` or in another thread, end it too. Those of joins and tasks go their way."""
    taken, is_first = _take(kernel)
    if not is_first:
        if loader.is_own_thread(kernel) or (taken.maker == threading.get_ident() and not taken.is_over.is_set()):
            return
        taken.is_over.wait()
        raise SystemExit(taken.exit_code)
    try:
        make_again(kernel)
    except UsageError as exc:
        print(f"parslish: {exc}", file=sys.stderr)
        taken.exit_code = 2
    except Exception as exc:  # of a task
        print(f"parslish: {type(exc).__name__}: {exc}", file=sys.stderr)
        taken.exit_code = 1
    finally:
        kernel.cleanup()
        loader.keep(kernel)
        taken.is_over.set()
    raise SystemExit(taken.exit_code)


def _take(kernel: DataFlowKernel) -> tuple[_Taken, bool]:
    with _lock:
        is_first = kernel not in _taken
        return _taken.setdefault(kernel, _Taken()), is_first


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
    _take(kernel)
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
        if "label" not in app.accepts:  # else it is one of the arguments
            kwargs = {**kwargs, "label": _label(task)}
        with scopes.at(_places(task)):
            future = self._made[task.id] = self._kernel.submit(app, args, kwargs)
        return future

    def _app(self, task: TaskRecord) -> AppBase:
        number = task.app.number
        if number not in self._apps:
            self._apps[number] = found = find_app(task.app.name, task.app.module)
            _check_is_it(found, task, self._record)
        return self._apps[number]

    def _arguments(self, task: TaskRecord) -> tuple[tuple[Any, ...], dict[str, Any]]:
        call = _call(task)
        if call is not None:
            here = partial(inherited.here, self._record, task.id)
            return recorded.opened(call, lambda wanted: self._result(_translated(wanted, here)))
        columns = self._record.columns
        args = tuple(self._value(each) for each in columns.arguments[task.id] or ())
        return args, {name: self._value(each) for name, each in columns.keywords.get(task.id, {}).items()}

    def _value(self, given: Any) -> Any:
        if not _is_reference(given):
            return given
        return self._result(ResultOf(given["task"] if "task" in given else bytes.fromhex(given["stored"])))

    def _result(self, wanted: ResultOf) -> Any:
        """The future of a task that is made again, or the stored result of another."""
        # What is verified is given what it was given before.
        verifies = self._guide.orders.style == VERIFY
        found = None if verifies or isinstance(wanted.task, bytes) else self._made.get(wanted.task)
        if found is not None:
            return wanted.of(found)
        key, name = self._key_and_name(wanted.task)
        known = None if key is None else self._kernel.stored(key) if verifies else self._kernel.known(key)
        if key is None or known is None:
            raise UsageError(f"the result of {name} is needed, and not stored; select it too, or use from_={name!r}")
        return wanted.of(StoredFuture(key, known.value))

    def _key_and_name(self, whole: int | bytes) -> tuple[bytes | None, str]:
        if isinstance(whole, bytes):
            return whole, f"an earlier run with key {whole.hex()[:12]}"
        task = self._record.task(whole)
        return task.key, task.path


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
    return isinstance(given, Mapping) and given.keys() in ({"task"}, {"stored"})


def _translated(wanted: ResultOf, here: Callable[[int], int]) -> ResultOf:
    """The same with the id that a task has in this record."""
    return wanted._replace(task=here(wanted.task)) if isinstance(wanted.task, int) else wanted


def _label(task: TaskRecord) -> str:
    return str(task.run.columns.occurrence[task.id]) if task.label is None else task.label


def _places(task: TaskRecord) -> list[tuple[str, str]]:
    """The blocks and joins that a task is in, the outermost first."""
    columns, found = task.run.columns, list[tuple[str, str]]()
    parent, scope = columns.parent[task.id], columns.scope[task.id]
    while parent >= 0 or scope >= 0:
        if scope in columns.scopes:
            _, _, _, scope, name, label, *_ = columns.scopes[scope]
        elif parent >= 0:
            around = TaskRecord(task.run, parent)
            name, label = around.name, _label(around)
            parent, scope = columns.parent[parent], columns.scope[parent]
        else:
            break
        found.insert(0, (name, label))
    return found


def _check_is_it(app: AppBase, task: TaskRecord, record: RunRecord) -> None:
    """Check that an app that was found by its name is the one that a task was a call of, where there were several."""
    was = task.app
    namesakes = {(each.code, each.file, each.line) for each in record.apps.values() if each.name == was.name}
    if len(namesakes) > 1 and not (was.code and app.cache and app.key_makers[0].code_digest.hex() == was.code):
        raise UsageError(
            f"there are {len(namesakes)} apps called {was.name!r} in run {record.id}, and which of them {task.path} "
            f"was of cannot be told without the program; use from_={task.path!r}"
        )
