"""I10: long chains and wide fans cost a task no more, and what is finished and not held costs nothing."""

from __future__ import annotations

import concurrent.futures
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

import parslish
from parslish import Config, DependencyError, Executor, ThreadPoolExecutor, python_app
from parslish.task import Task
from tests.faults.chains import chain, more
from tests.faults.drivers import PATIENCE_S
from tests.faults.executor import InlineExecutor
from tests.faults.simulation import Planned

LONG = 100_000


@python_app
def total(numbers: list[int]) -> int:
    return sum(numbers)


def live_tasks() -> int:
    """How many tasks are in memory, once the threads have let go of the last ones, which they do after delivering."""
    for _ in range(100):
        gc.collect()
        alive = sum(type(each) is Task for each in gc.get_objects())
        if alive <= 1:
            break
        threading.Event().wait(0.02)
    return alive


def test_a_chain_of_100_000_waiting_tasks_runs_and_leaves_nothing() -> None:
    gate: Future[int] = Future()
    with parslish.load() as kernel:
        last = chain(gate, LONG)
        gate.set_result(0)
        assert last.result(PATIENCE_S) == LONG
        assert not kernel.tasks
        assert live_tasks() == 1, "the gate must not hold the chain that hung on it"


def test_a_fan_in_of_100_000_tasks_runs_and_leaves_nothing() -> None:
    with parslish.load():
        assert total([more(i) for i in range(LONG)]).result(PATIENCE_S) == LONG * (LONG + 1) // 2
        assert live_tasks() <= 1


def test_the_first_future_of_a_chain_does_not_hold_the_others() -> None:
    with parslish.load():
        head = more(0)
        assert chain(head, 2_000).result(PATIENCE_S) == 2_001
        assert live_tasks() <= 2


def test_sharers_and_items_of_a_result_are_not_held_by_its_future() -> None:
    release = threading.Event()

    @python_app(cache=True)
    def made() -> tuple[int]:
        release.wait(PATIENCE_S)
        return (1,)

    with parslish.load():
        first = made()
        others = [made() for _ in range(100)]
        items = weakref.WeakSet(first[0] for _ in range(100))
        release.set()
        concurrent.futures.wait(others)
        del others
        assert live_tasks() <= 2
        assert len(items) <= 1


@pytest.mark.parametrize("make", [InlineExecutor, ThreadPoolExecutor])
def test_a_chain_whose_first_task_fails_fails_to_its_end(make: Callable[[], Executor]) -> None:
    gate: Future[int] = Future()
    with parslish.load(Config([make()])):
        last = chain(gate, 5_000)
        gate.set_exception(Planned("the root"))
        exc = last.exception(PATIENCE_S)
        assert isinstance(exc, DependencyError) and str(exc.__cause__) == "the root"
        assert "task 4998" in str(exc)


def test_each_failure_of_a_chain_finds_its_root_at_once() -> None:
    root: BaseException = ValueError("the root")
    exc, began = root, time.process_time()
    for number in range(50_000):
        exc = DependencyError([(exc, f"task {number}")], number + 1)
    assert exc.__cause__ is root
    assert time.process_time() - began < 10, "a walk from each failure to the root is quadratic"


def test_completion_does_not_recurse() -> None:
    depths = []

    @python_app
    def deeper(x: int) -> int:
        frame, depth = sys._getframe(), 0
        while frame := frame.f_back:  # type: ignore[assignment]
            depth += 1
        depths.append(depth)
        return x

    gate: Future[int] = Future()
    with parslish.load(Config([InlineExecutor()])):
        last: Any = gate
        for _ in range(1_000):
            last = deeper(last)
        gate.set_result(1)
        assert last.result(PATIENCE_S) == 1
    assert max(depths) - min(depths) < 10
