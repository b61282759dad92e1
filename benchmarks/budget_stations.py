"""Owns the stopwatch of the budget: which functions are the stations of a call, and the time that is spent in each.

A station's time is its own: what it calls of other stations is theirs. What the stopwatch itself takes is measured
beforehand and taken off.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any
from unittest import mock

from parslish import codec
from parslish.checkpoint import Checkpointer
from parslish.executors import outcome, parcel
from parslish.executors.dispatch import Dispatcher
from parslish.executors.processes import ProcessPoolExecutor
from parslish.executors.remote import RemoteWorker
from parslish.executors.threads import ThreadPoolExecutor
from parslish.executors.wire import Channel
from parslish.future import AppFuture
from parslish.history.journal import Journal
from parslish.history.recorder import Recorder
from parslish.identity.key import KeyMaker
from parslish.lean import LeanFuture
from parslish.memo import Memo
from parslish.scheduler import Scheduler
from parslish.store.disk import OS_DISK
from parslish.store.log import Log
from parslish.table import TaskTable
from parslish.task import Task, Try

#: Station → where it is entered, in the order in which a call passes them.
STATIONS: dict[str, list[tuple[Any, str]]] = {
    "bind and key": [(KeyMaker, "key")],
    "task, try, future: made": [(Task, "__init__"), (Try, "__init__"), (AppFuture, "__init__")],
    "memo": [(Memo, "claim"), (Memo, "find"), (Memo, "finish")],
    "table": [(TaskTable, "add"), (TaskTable, "move"), (TaskTable, "claim")],
    "events: noted": [
        *[(Journal, name) for name in ("submitted", "started", "end_of", "reused")],
        (Recorder, "add"),
    ],
    "queue": [(ThreadPoolExecutor, "launch"), (ProcessPoolExecutor, "launch")],
    "steps after a reply": [(Scheduler, "started"), (Scheduler, "deliver"), (Scheduler, "deliver_all")],
    "value encoded": [(codec, "encode")],
    "record made": [(Checkpointer, "keep"), (Log, "post")],
    "frames": [(Log, "write")],
    "write, by the system": [(OS_DISK, "write")],
    "future resolved": [(LeanFuture, "set_result")],
}

#: What processes have besides: on the side of the dispatcher, and on that of the worker.
OF_PROCESSES: dict[str, list[tuple[Any, str]]] = {
    "arguments or result: packed": [(parcel, "pack")],
    "arguments or result: opened": [(parcel, "unpack"), (outcome, "unpack")],
    "messages: sent": [(RemoteWorker, "send_jobs"), (Channel, "send")],
    "messages: received": [(Channel, "receive")],
    "answer taken": [(Dispatcher, "_take_answer"), (Dispatcher, "_settle")],
}

_CALIBRATION, _TRIES = 2_000, 20


class Stopwatch:
    """Tells how long each station of each side took, and how often it was entered."""

    def __init__(self) -> None:
        self.ns: Counter[tuple[str, str]] = Counter()
        self.entered: Counter[tuple[str, str]] = Counter()
        self._side, self._station, self._mark = "", "", 0
        self._calls_within: Counter[tuple[str, str]] = Counter()  # of other stations, whose entry costs them
        self._inside_ns = self._outside_ns = 0.0
        self._calibrate()

    def on_side(self, side: str) -> None:
        """What follows belongs to this side, and to none of its stations as yet; "" is nobody's."""
        now = time.perf_counter_ns()
        if self._side:
            self.ns[self._side, self._station] += now - self._mark
        self._side, self._station = side, ""
        self._mark = time.perf_counter_ns()

    @contextmanager
    def watching(self, stations: dict[str, list[tuple[Any, str]]]) -> Iterator[None]:
        """While in the `with`, the functions of the stations are timed."""
        with ExitStack() as stack:
            for station, entries in stations.items():
                for owner, name in entries:
                    watched = self._watched(station, getattr(owner, name))
                    stack.enter_context(mock.patch.object(owner, name, watched))
            yield

    def clear(self) -> None:
        """Forget all but what the stopwatch itself takes."""
        for counts in (self.ns, self.entered, self._calls_within):
            counts.clear()

    def us(self, side: str, station: str, count: int) -> float:
        """Microseconds of each of `count` tasks, without what the stopwatch took."""
        at = side, station
        own = self.ns[at] - self.entered[at] * self._inside_ns - self._calls_within[at] * self._outside_ns
        return max(own, 0.0) / count / 1e3

    def _watched(self, station: str, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = time.perf_counter_ns

        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self._side:
                return function(*args, **kwargs)
            before = self._station
            self.ns[self._side, before] += clock() - self._mark
            self._calls_within[self._side, before] += 1
            self.entered[self._side, station] += 1
            self._station = station
            self._mark = clock()
            try:
                return function(*args, **kwargs)
            finally:
                self.ns[self._side, station] += clock() - self._mark
                self._station = before
                self._mark = clock()

        return watched

    def _calibrate(self) -> None:
        """Measure what is left of the stopwatch in the time of a station, and of the one that called it."""

        def nothing(task: Any, state: Any, attempt: Any = None) -> None:
            pass

        numbers = range(_CALIBRATION)
        watched = self._watched("inside", nothing)
        tries = []
        for _ in range(_TRIES):
            bare, call = _loop_ns(numbers, None), _loop_ns(numbers, nothing)
            self.on_side("calibration")
            for i in numbers:
                watched(i, i)
            self.on_side("")
            outside, inside = (self.ns.pop(("calibration", at)) / _CALIBRATION for at in ("", "inside"))
            tries.append((inside - (call - bare), outside - bare))
        self._inside_ns, self._outside_ns = median(a for a, _ in tries), median(b for _, b in tries)
        self.clear()


def _loop_ns(numbers: range, call: Callable[..., None] | None) -> float:
    began = time.perf_counter_ns()
    if call is None:
        for _ in numbers:
            pass
    else:
        for i in numbers:
            call(i, i)
    return (time.perf_counter_ns() - began) / len(numbers)
