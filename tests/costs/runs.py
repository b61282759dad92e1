"""Owns the runs whose costs are counted: 1,000 calls that do nothing, each side of them on its own.

Whatever depends on time is out of them: threads that wake by and by do not run, and the clock ticks with its readings.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from benchmarks.budget_held import (
    HeldPacks,
    HeldProcesses,
    HeldThreads,
    OnSide,
    Side,
    held_kernel,
    held_processes,
    held_side_of_work,
)
from parslish import python_app
from parslish.history.recorder import Recorder

N = 1_000


@python_app(cache=True)
def same(i: int) -> int:
    return i


def threads(side: Side) -> None:
    """Cached, recorded, in threads."""
    _computed(HeldThreads(), side)


def task_exit(side: Side) -> None:
    """The same with every result on its way to the disk before its future resolves; each is alone there."""
    _computed(HeldThreads(), side, checkpoint_mode="task_exit")


def task_exit_packs(side: Side) -> None:
    """The same, where results come in packs."""
    _computed(HeldPacks(), side, checkpoint_mode="task_exit")


def hits(side: Side) -> None:
    """Each call has been made before in this run."""
    executor = HeldThreads()
    with kernel(executor) as (_, recorder):
        for _ in range(2):
            call(range(N))
            executor.work()
        recorder._write_gathered()
        with side("submit"):
            call(range(N))


def processes(side: Side, on_side: OnSide) -> None:
    """Cached, recorded, in one process, whose dispatcher says with `on_side` whose turn it is."""
    side, on_side = held_side_of_work(side, on_side)
    with held_processes(on_side) as executor:
        _computed(executor, side)


def _computed(executor: HeldThreads | HeldProcesses, side: Side, **options: Any) -> None:
    with kernel(executor, **options) as (_, recorder):
        call(range(-N, 0))  # what is made once, and the pools' knowledge of how short these are
        executor.work()
        recorder._write_gathered()
        with side("submit"):
            call(range(N))
        with side("work"):
            executor.work()
        with side("record"):
            recorder._write_gathered()


def call(numbers: range) -> None:
    for i in numbers:
        same(i)


@contextlib.contextmanager
def kernel(executor: Any, **options: Any) -> Iterator[tuple[Any, Recorder]]:
    """A kernel beside which no thread runs, and its recorder; its clock goes by what is done."""
    with mock.patch.object(time, "perf_counter", ticking()), held_kernel(executor, **options) as held:
        yield held


def ticking() -> Callable[[], float]:
    """A clock that goes on by a microsecond whenever it is read; a C function, like the one it stands for."""
    return deque([i * 1e-6 for i in range(1_000_000)]).popleft
