"""Owns how the events of a run are folded: one column a field, one row a task, in the order of task ids.

Columns of numbers are arrays, and what few tasks have is in dicts by task id: a million tasks take seconds, and some
hundred bytes each.
"""

from __future__ import annotations

import contextlib
import gc
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from parslish.history.event import Event, Kind

NEVER: Final = 0.0  # in columns of times
UNKNOWN: Final = -1  # in columns of numbers

#: Where a task stands, as far as the record tells.
WAITING, RUNNING, DONE, REUSED, FAILED, UPSTREAM_FAILED, CANCELLED, RETRYING = range(8)
_FAILED_AS: Final = {
    "fail_retryable": RETRYING, "failed": FAILED, "dep_fail": UPSTREAM_FAILED, "cancelled": CANCELLED,
}  # fmt: skip
_GROWTH: Final = 4096


class Columns:
    """What the events of a run come to."""

    def __init__(self) -> None:
        self.count = 0  #: rows; ids of which nothing is known have app -1
        self.app = array("i")
        self.status = bytearray()
        self.submitted, self.ended = array("d"), array("d")
        self.started, self.duration, self.cpu = array("d"), array("d"), array("d")
        self.peak_memory = array("q")
        self.parent, self.position, self.occurrence = array("i"), array("i"), array("i")
        self.scope, self.worker, self.tries = array("i"), array("i"), array("i")
        self.key: list[bytes | None] = []
        self.arguments: list[Any] = []
        self.result: list[Any] = []
        # By task id, of those that have any.
        self.label: dict[int, str] = {}
        self.dependencies: dict[int, tuple[int, ...]] = {}
        self.keywords: dict[int, dict[str, Any]] = {}
        self.bound: dict[int, Event] = {}
        self.inputs: dict[int, tuple[str, ...]] = {}
        self.outputs: dict[int, tuple[str, ...]] = {}
        self.call: dict[int, bytes] = {}
        self.origin: dict[int, tuple[int | None, int]] = {}
        self.failures: dict[int, list[Event]] = {}
        self.missed: dict[int, tuple[str, str]] = {}
        self.forced: dict[int, str] = {}
        # Of the run.
        self.starts: list[Event] = []
        self.ends: list[Event] = []
        self.apps: dict[int, Event] = {}
        self.workers: dict[int, str] = {}
        self.scopes: dict[int, Event] = {}
        self.troubles: list[Event] = []
        self.marks: list[Event] = []

    def fold(self, groups: Iterable[Iterable[Event]]) -> None:
        """Take in groups of events. One that does not look like its kind is passed over."""
        takes: dict[int, Callable[[Event], None]] = {
            Kind.SUBMIT: self._submit, Kind.START: self._start, Kind.END: self._end, Kind.REUSE: self._reuse,
            Kind.FAIL: self._fail, Kind.ARGUMENTS: self._arguments, Kind.MISS: self._miss, Kind.FORCE: self._force,
            Kind.APP: lambda event: self.apps.__setitem__(event[1], event),
            Kind.WORKER: lambda event: self.workers.__setitem__(event[1], event[2]),
            Kind.SCOPE: lambda event: self.scopes.__setitem__(event[1], event),
            Kind.RUN_START: self.starts.append, Kind.RUN_END: self.ends.append,
            Kind.TROUBLE: self.troubles.append, Kind.MARK: self.marks.append,
        }  # fmt: skip
        nothing: Callable[[Event], None] = lambda event: None  # noqa: E731 — of a kind that is not known
        with _no_collection():
            for group in groups:
                for event in group:
                    try:
                        takes.get(event[0], nothing)(event)
                    except (IndexError, TypeError, ValueError, OverflowError):
                        continue

    # ---------------------------------------------------------------------------------- events

    def _submit(self, event: Event) -> None:
        _, task, time, app, parent, position, occurrence, label, dependencies, *rest = event
        if task >= self.count:
            self._reach(task)
        self.app[task], self.submitted[task] = app, time
        self.parent[task], self.position[task], self.occurrence[task] = parent, position, occurrence
        if label is not None:
            self.label[task] = label
        if dependencies:
            self.dependencies[task] = dependencies
        if rest:
            arguments, keywords, scope, *more = rest
            self.arguments[task], self.scope[task] = arguments, scope
            if keywords:
                self.keywords[task] = keywords
            if more:
                inputs, outputs, call = more
                if inputs:
                    self.inputs[task] = inputs
                if outputs:
                    self.outputs[task] = outputs
                if call is not None:
                    self.call[task] = call

    def _start(self, event: Event) -> None:
        _, task, time, number, worker = event
        if task >= self.count:
            self._reach(task)
        self.started[task], self.tries[task], self.worker[task] = time, number, worker
        self.status[task] = RUNNING

    def _end(self, event: Event) -> None:
        _, task, time, key, worker, started, duration, cpu, peak_memory, *result = event
        if task >= self.count:
            self._reach(task)
        self.ended[task], self.started[task], self.duration[task] = time, started, duration
        self.cpu[task], self.peak_memory[task], self.key[task] = cpu, peak_memory, key
        if worker is not None:
            self.worker[task] = worker
        if result:
            self.result[task] = result[0]
        self.status[task] = DONE

    def _reuse(self, event: Event) -> None:
        _, task, time, key, run, origin, *result = event
        if task >= self.count:
            self._reach(task)
        self.ended[task] = self.started[task] = time
        self.key[task], self.origin[task] = key, (run, origin)
        if result:
            self.result[task] = result[0]
        self.status[task] = REUSED

    def _fail(self, event: Event) -> None:
        _, task, time, number, state, *_ = event
        if task >= self.count:
            self._reach(task)
        self.failures.setdefault(task, []).append(event)
        self.tries[task], self.key[task] = number, event[8]
        self.status[task] = status = _FAILED_AS.get(state, FAILED)
        if status != RETRYING:
            self.ended[task] = time
            if self.started[task]:
                self.duration[task] = time - self.started[task]

    def _arguments(self, event: Event) -> None:
        self.bound[event[1]] = event

    def _miss(self, event: Event) -> None:
        self.missed[event[1]] = event[2], event[3]

    def _force(self, event: Event) -> None:
        self.forced[event[1]] = event[2]

    # ---------------------------------------------------------------------------------- rows

    def _reach(self, task: int) -> None:
        """Have a row for a task; rows come many at a time."""
        if task < 0:
            raise ValueError
        room = len(self.status)
        if task >= room:
            more = max(_GROWTH, task + 1 - room, room // 2)
            self.status.extend(bytes(more))
            for column in (self.app, self.parent, self.worker, self.scope):
                column.extend(array("i", [UNKNOWN]) * more)
            for column in (self.position, self.occurrence, self.tries):
                column.extend(array("i", bytes(column.itemsize * more)))
            for times in (self.submitted, self.ended, self.started, self.duration, self.cpu):
                times.extend(array("d", bytes(8 * more)))
            self.peak_memory.extend(array("q", bytes(8 * more)))
            for objects in (self.key, self.arguments, self.result):
                objects.extend([None] * more)
        self.count = task + 1


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Events are tuples of atoms: there is nothing for the garbage collector to find, and much to look at."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
