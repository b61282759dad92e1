"""Owns what orders mean for each task as it comes: which app runs, whether a known result will do, what was edited.

A kernel without orders has no guide, and asks nobody.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from parslish import codec
from parslish.apps import AppBase
from parslish.errors import Paused, UsageError, near
from parslish.future import task_id
from parslish.history import inherited
from parslish.history.record import RunRecord
from parslish.identity.key import KeyMaker
from parslish.memo import Known
from parslish.orders import Edit, Orders
from parslish.recorded import preview
from parslish.secret import Keys
from parslish.task import Task

if TYPE_CHECKING:
    from parslish.history.selection import LiveSelection


class Guide:
    """Decides for one run, as its orders say.

    Args:
        orders: what was ordered.
        keys: whose signatures count.

    Raises:
        UsageError: a replacement or a selection makes no sense.
    """

    def __init__(self, orders: Orders, keys: Keys) -> None:
        self.orders = orders
        self.keys = keys
        self._record: RunRecord | None = None
        self._replace = {name: replacement(name, each) for name, each in orders.replace.items()}
        self._replaced: dict[AppBase, AppBase] = {}
        self._forces = self._live(orders.expression)
        self._pauses = self._live(orders.pause)
        self._forces_nothing = not (orders.forced or orders.forced_keys or self._forces)
        self._lock = threading.Lock()  # guards what follows
        self._renewed: set[bytes] = set()  # keys that were forced, and are known anew
        self._whole: set[int] = set()  # tasks that are forced, with what depends on them
        self._partly: set[int] = set()
        self.paused: list[str] = []

    @property
    def is_by_record(self) -> bool:
        """Whether the run's program is not to run, but what was recorded of it."""
        return self.orders.is_by_record

    @property
    def record(self) -> RunRecord:
        """The run that is executed again."""
        if self._record is None:
            self._record = inherited.read(self.orders.parent, self.keys)
        return self._record

    def app(self, app: AppBase) -> AppBase:
        """The app that a call of `app` runs."""
        if app.name not in self._replace:
            return app
        found = self._replaced.get(app)
        if found is None:
            found = self._replaced.setdefault(app, app.with_function(self._replace[app.name]))
        return found

    def own_key(self, task: Task, key: bytes) -> bytes:
        """The key of a task, given the one that it would have without orders: what a join comes to with edited tasks or
        replaced apps below it must not be taken for what it comes to by itself."""
        if task.app.kind != "join" or not (self.orders.edits or self._replace):
            return key
        below = sorted((path, edit) for path, edit in self.orders.edits.items() if path.startswith(f"{task.path}/"))
        replaced = self._replacing if task.app.name not in self._joins_apart else []
        if not below and not replaced:
            return key
        return blake3(b"ordered\0" + key + repr((below, replaced)).encode()).digest()

    @functools.cached_property
    def _replacing(self) -> list[tuple[str, bytes]]:
        return sorted((name, KeyMaker(each, name).code_digest) for name, each in self._replace.items())

    @functools.cached_property
    def _joins_apart(self) -> frozenset[str]:
        """The names of the joins that, as far as was recorded, submit nothing that is replaced."""
        apps, app, parents = self.record.apps, self.record.columns.app, self.record.columns.parent
        touched = set[str]()
        for id in self.record.ids() if self._replace else ():
            if apps[app[id]].name in self._replace:
                while (id := parents[id]) >= 0:
                    touched.add(apps[app[id]].name)
        return frozenset(each.name for each in apps.values()) - touched

    def why_forced(self, task: Task, dependencies: Sequence[Future[Any]]) -> str | None:
        """Why a task whose key is made is to be computed, whatever is known; None when what is known will do."""
        if self._forces_nothing:
            return None
        orders, path = self.orders, task.path
        reason = None if self._was_elsewhere(task) else orders.forced.get(path)
        partly = reason is not None and path in orders.partly
        if reason is None and self._forces is not None and self._forces.matches(_Candidate(task)):
            reason = f"selected by {orders.expression}"
        if reason is None and orders.dependents:
            reason = self._why_dependent(task, dependencies)
        if reason is None and task.key is not None:
            reason = orders.forced_keys.get(task.key)
            partly = reason is not None
        if reason is None:
            return None
        with self._lock:
            (self._partly if partly else self._whole).add(task.id)
            if task.key in self._renewed:  # by a call before, whose new result will do
                return None
            if task.key is not None:
                self._renewed.add(task.key)
        return reason

    def is_outdated(self, key: bytes, known: Known) -> bool:
        """Whether a result is older than what is to be used: of a key that was forced, and whose new result failed or
        was dropped; or of before all was to be computed anew."""
        if known.run_number is None:
            return False
        return key in self._renewed or (self.orders.since is not None and known.run_number < self.orders.since)

    def forces(self, task: Task) -> bool:
        """Whether a task was found to be computed, whatever is known."""
        with self._lock:
            return task.id in self._whole or task.id in self._partly

    def _was_elsewhere(self, task: Task) -> bool:
        """Whether a call at the place of a forced one was another, unforced call before: key first, then path."""
        if task.key is None or task.path not in self.orders.forced or task.key in self.orders.forced_keys:
            return False
        return task.key in self._keys_before

    @functools.cached_property
    def _keys_before(self) -> frozenset[bytes | None]:
        return frozenset(self.record.columns.key)

    def _why_dependent(self, task: Task, dependencies: Sequence[Future[Any]]) -> str | None:
        if task.parent is not None and task.parent.id in self._whole:
            return f"{task.parent.path} runs again"
        for each in dependencies:
            id = task_id(each, task.future._kernel)
            if id in self._whole or id in self._partly:
                return f"task {id} runs again"
        return None

    def edited(
        self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Known | None]:
        """A task's arguments, and its result if there is one already, with what somebody put in their place.

        Raises:
            Paused: it is not to begin.
            UsageError: the task takes no argument of such a name.
        """
        self.check_pause(task)
        edit = self.orders.edits.get(task.path) if self.orders.edits else None
        if edit is None:
            return args, kwargs, None
        if edit.result is not None:
            return args, kwargs, Known(codec.decode(edit.result), task_id=task.id)
        return *_edited_arguments(edit, task, args, kwargs), None

    def check_pause(self, task: Task) -> None:
        """Raises Paused for a task that is not to begin."""
        if self._pauses is not None and self._pauses.matches(_Candidate(task)):
            self.paused.append(task.path)
            raise Paused(f"{task} is not begun: the run pauses before {self.orders.pause}; resume it to go on")

    def _live(self, expression: str | None) -> LiveSelection | None:
        if expression is None:
            return None
        from parslish.history.selection import LiveSelection, select  # here: most orders select nothing

        return LiveSelection(select(self.record, expression, empty_ok=True))


def _edited_arguments(
    edit: Edit, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    assert edit.arguments is not None
    called = inspect.signature(task.app.func)
    bound = called.bind(*args, **kwargs)
    new: dict[str, Any] = codec.decode(edit.arguments)
    for name, value in new.items():
        if name not in called.parameters:
            raise UsageError(f"{task} takes no argument {name!r}{near(name, called.parameters)}")
        bound.arguments[name] = value
    return bound.args, bound.kwargs


def replacement(name: str, given: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function that is to run in the place of an app: itself, that of another app, or by "module:name".

    Raises:
        UsageError: there is no such thing.
    """
    if not isinstance(given, str):
        return given.func if isinstance(given, AppBase) else given
    module, _, qualname = given.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as exc:
        raise UsageError(
            f"replacement of {name!r}: {given!r} cannot be imported ({exc}); name it as module:function"
        ) from exc
    function = found.func if isinstance(found, AppBase) else found
    if not callable(function):
        raise UsageError(f"replacement of {name!r}: {given!r} is no function but {type(found).__name__}")
    result: Callable[..., Any] = function
    return result


class _Candidate:
    """A task as a selection sees it."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.name, self.path, self.label, self.occurrence = task.app.name, task.path, task.label, task.occurrence
        self.kind = task.app.kind

    @property
    def scope_path(self) -> str:
        within = self._task.scope or self._task.parent
        return within.path if within else "-"

    def arguments(self) -> dict[str, Any]:
        """Previews of what the task was called with, by parameter."""
        task = self._task
        parameters = task.app.parameters
        names = [parameters[i] if i < len(parameters) else f"*{i}" for i in range(len(task.args))]
        given = zip([*names, *task.kwargs], [*task.args, *task.kwargs.values()], strict=True)
        return {name: preview(value) for name, value in given}
