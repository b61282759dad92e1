"""Owns what a task is and which states it may pass through; the kernel alone moves it (I1).

A `Task` is one call of an app in a run. A `Try` is one attempt at it, which is what executors see.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parslish.apps import AppBase
    from parslish.executors.base import Sink
    from parslish.future import AppFuture


class State(enum.IntEnum):
    """Where a task stands. The names are those that Parsl scripts know as `States`."""

    unsched = 0  #: just submitted
    pending = 1  #: waits for futures among its arguments, for another kernel, or for its turn at an exclusive key
    launched = 2  #: handed to an executor
    running = 3  #: a worker has it
    joining = 4  #: a join app's body has returned; the futures it gave are awaited
    fail_retryable = 5  #: a try failed, another follows
    exec_done = 6  #: computed
    memo_done = 7  #: reused
    failed = 8  #: failed, tries spent
    dep_fail = 9  #: not run: a dependency failed
    cancelled = 10  #: cancelled, or the kernel closed before it could run


S = State
_UNSCHED = State.unsched  # looked up once, not for each task
TRANSITIONS: Mapping[State, frozenset[State]] = {
    S.unsched: frozenset({S.pending, S.launched, S.memo_done, S.failed, S.dep_fail, S.cancelled}),
    S.pending: frozenset({S.launched, S.memo_done, S.failed, S.dep_fail, S.cancelled}),
    S.launched: frozenset({S.running, S.joining, S.exec_done, S.failed, S.fail_retryable, S.cancelled}),
    # Twice running: taken back from a worker before it began, or lost with a neighbour, and given to another.
    S.running: frozenset({S.running, S.joining, S.exec_done, S.failed, S.fail_retryable, S.cancelled}),
    S.joining: frozenset({S.exec_done, S.failed, S.cancelled}),
    S.fail_retryable: frozenset({S.launched, S.failed, S.cancelled}),
    S.exec_done: frozenset(),
    S.memo_done: frozenset(),
    S.failed: frozenset(),
    S.dep_fail: frozenset(),
    S.cancelled: frozenset(),
}
#: States in which no executor has a task.
WAITING = frozenset({S.unsched, S.pending, S.fail_retryable, S.joining})
FINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


class Try:
    """One attempt at a task: everything an executor needs to run it, and nothing of the kernel's.

    `task` is None for a call that no kernel made (`Executor.submit`); `walltime` is in seconds; `encode` asks a
    remote worker for the result's stored form along with its value. `sink` is set by the executor that it is launched
    on: who is told how it ends.
    """

    __slots__ = ("args", "encode", "func", "kwargs", "number", "resources", "sink", "task", "walltime")

    sink: Sink

    def __init__(
        self,
        task: Task | None,
        number: int,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        resources: Mapping[str, Any] | None = None,
        walltime: float | None = None,
        encode: bool = False,
    ) -> None:
        self.task = task
        self.number = number
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.resources = resources
        self.walltime = walltime
        self.encode = encode

    def __str__(self) -> str:
        return f"{self.subject} (try {self.number})"

    def again(self) -> Try:
        """The next attempt at the same."""
        return Try(
            self.task, self.number + 1, self.func, self.args, self.kwargs, self.resources, self.walltime, self.encode
        )

    @property
    def subject(self) -> str:
        """What it is an attempt at, in words."""
        if self.task is not None:
            return str(self.task)
        return f"a call of {getattr(self.func, '__qualname__', type(self.func).__qualname__)}"


class Task:
    """One call of an app in a run.

    Only the kernel writes to it. A finished task keeps no arguments: it must not hold memory that its future
    does not (I10).
    """

    __slots__ = (
        "app", "args", "attempt", "calls", "exec_label", "fail_cost", "future", "id", "key", "kwargs", "label",
        "losses", "occurrence", "options", "parent", "position", "scope", "state", "tries",
    )  # fmt: skip

    def __init__(
        self,
        id: int,
        app: AppBase,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        parent: Task | None,
        scope: Scope | None = None,
    ) -> None:
        self.id = id
        self.app = app
        self.args = args
        self.kwargs = kwargs
        self.parent = parent
        self.scope = scope
        self.state = _UNSCHED
        self.future: AppFuture
        self.key: bytes | None = None
        self.attempt: Try | None = None  # the try in flight; replies of any other are late and dropped
        self.tries = 0
        self.fail_cost = 0.0
        self.losses = 0  # tries whose worker died
        self.options: Options | None = None
        self.label: str | None = None
        self.position = 0  # among all children of the parent
        self.occurrence = 0  # among the calls of the same app in its scope, or else under its parent
        self.calls: Calls | None = None  # how often it has called what; only for tasks that call apps
        self.exec_label = ""

    def __str__(self) -> str:
        return f"task {self.id} ({self.path})"

    @property
    def path(self) -> str:
        """The task's place in its run: `-/scan[2]/relax[Si]`."""
        place = self.occurrence if self.label is None else self.label
        within = self.scope or self.parent
        return f"{within.path if within else '-'}/{self.app.name}[{place}]"

    @property
    def loc(self) -> str:
        """The task's short address in its run: `-.N3.N5`, its position under each parent."""
        return f"{self.parent.loc if self.parent else '-'}.N{self.position}"

    @property
    def runs(self) -> Callable[..., Any]:
        """What a worker runs: the app's function, or one made of it for this call."""
        return self.app.runs if self.options is None or self.options.runs is None else self.options.runs

    @property
    def func(self) -> Callable[..., Any]:
        return self.app.func

    @property
    def func_name(self) -> str:
        return self.app.name

    @property
    def try_id(self) -> int:
        return max(self.tries - 1, 0)

    @property
    def status(self) -> State:
        return self.state

    @property
    def resource_specification(self) -> Mapping[str, Any]:
        return (self.options.resources if self.options else None) or {}

    def __getitem__(self, field: str) -> Any:
        """Parsl scripts read a task as a dict: in `retry_handler`, `check_memo` and `std_autopath`."""
        try:
            return getattr(self, _PARSL_FIELDS.get(field, field))
        except AttributeError:
            raise KeyError(field) from None

    def get(self, field: str, default: Any = None) -> Any:
        try:
            return self[field]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return iter(_PARSL_FIELDS)


_PARSL_FIELDS: Mapping[str, str] = {
    "id": "id",
    "func": "func",
    "func_name": "func_name",
    "try_id": "try_id",
    "args": "args",
    "kwargs": "kwargs",
    "status": "state",
    "app_fu": "future",
    "hashsum": "key",
    "executor": "exec_label",
    "fail_count": "tries",
    "fail_cost": "fail_cost",
    "resource_specification": "resource_specification",
}


class Options:
    """What a call asks for beyond its arguments: most calls ask for nothing and have none."""

    __slots__ = ("output_futures", "outputs", "resources", "runs", "stderr", "stdout", "walltime")

    def __init__(self) -> None:
        self.stdout: Any = None
        self.stderr: Any = None
        self.walltime: float | None = None  # seconds
        self.resources: Mapping[str, Any] | None = None
        self.runs: Callable[..., Any] | None = None  # instead of the app's function, where files are staged
        self.outputs: list[Any] = []
        self.output_futures: list[Any] = []


class Scope:
    """A block of the program whose calls are counted by themselves; see `scopes`.

    Args:
        number: within the run.
        parent: the join task whose body holds it, `outer` the scope that does.
        label: what tells it from its namesakes.
    """

    __slots__ = ("calls", "label", "name", "number", "outer", "parent")

    def __init__(self, number: int, parent: Task | None, outer: Scope | None, name: str, label: str) -> None:
        self.number, self.parent, self.outer, self.name, self.label = number, parent, outer, name, label
        self.calls = Calls()

    @property
    def path(self) -> str:
        """Its place in the run: `-/scf[3]`."""
        within = self.outer or self.parent
        return f"{within.path if within else '-'}/{self.name}[{self.label}]"


class Calls:
    """Counts the calls under one parent, which gives each its place among its siblings."""

    __slots__ = ("by_name", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_name: dict[str, int] = {}

    def next(self, name: str) -> tuple[int, int]:
        """The place of one more call of `name`: among all, and among its namesakes."""
        position, occurrence = self.total, self.by_name.get(name, 0)
        self.total = position + 1
        self.by_name[name] = occurrence + 1
        return position, occurrence

    def next_in(self, scope: Scope, name: str) -> tuple[int, int]:
        """The same for a call in a scope: among all under the parent, and among its namesakes in the scope."""
        position = self.total
        self.total = position + 1
        return position, scope.calls.next(name)[1]
