"""Join apps: bodies on the submit side, whose futures become the result (behaviour 13)."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    JoinError,
    ProcessPoolExecutor,
    States,
    ThreadPoolExecutor,
    join_app,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S, Counted, Gate, double, fail, give

pytestmark = pytest.mark.usefixtures("loaded")


# -- 13: joins


def test_13_a_join_app_may_return_a_future_or_a_list_of_them() -> None:
    assert join_app(lambda: double(4))().result(PATIENCE_S) == 8
    assert join_app(lambda: [double(1), double(2)])().result(PATIENCE_S) == [2, 4]
    assert join_app(list)().result(PATIENCE_S) == []


def test_13_a_join_app_may_return_a_plain_future_or_an_item() -> None:
    done: Future[int] = Future()
    done.set_result(7)
    assert join_app(lambda: done)().result(PATIENCE_S) == 7
    assert join_app(lambda: give([1, 2])[1])().result(PATIENCE_S) == 2


@pytest.mark.parametrize("wrong", [None, 5, "text", [1], {}])
def test_13_a_join_app_that_returns_something_else_fails_with_a_type_error(wrong: Any) -> None:
    assert isinstance(join_app(lambda: wrong)().exception(PATIENCE_S), TypeError)


def test_13_a_join_app_whose_body_raises_fails_with_that() -> None:
    assert isinstance(join_app(lambda: 1 / 0)().exception(PATIENCE_S), ZeroDivisionError)


def test_13_a_join_app_whose_tasks_fail_gets_a_join_error_that_names_them(loaded: Any) -> None:
    children: list[Any] = []

    @join_app
    def outer() -> Any:
        children.extend([fail(), double(1), fail()])
        return children

    future = outer()
    error = future.exception(PATIENCE_S)
    assert isinstance(error, JoinError)
    assert [tid for _, tid in error.dependent_exceptions_tids] == [f"task {children[0].tid}", f"task {children[2].tid}"]
    assert error.__cause__ is children[0].exception()
    assert f"task {children[0].tid}" in str(error)
    assert future.task_status() == "failed"


def test_13_a_join_error_of_one_future() -> None:
    error = join_app(lambda: fail())().exception(PATIENCE_S)
    assert isinstance(error, JoinError)
    assert isinstance(error.__cause__, ValueError)


def test_13_recursion_does_not_deadlock() -> None:
    parslish.dfk().cleanup()
    config = Config(executors=[ThreadPoolExecutor(max_threads=1)], internal_tasks_max_threads=1)
    with parslish.load(config):

        @python_app
        def add(*args: int) -> int:
            return sum(args)

        @join_app
        def fibonacci(n: int) -> Any:
            return add(n) if n < 2 else add(fibonacci(n - 1), fibonacci(n - 2))

        assert fibonacci(10).result(PATIENCE_S) == 55


def test_13_join_bodies_run_on_the_submit_side_also_with_a_process_pool() -> None:
    parslish.dfk().cleanup()
    with parslish.load(Config(executors=[ProcessPoolExecutor(max_workers=1)])):
        pids: list[int] = []

        @python_app
        def worker() -> int:
            import os

            return os.getpid()

        @join_app
        def body() -> Any:
            pids.append(os.getpid())
            return worker()

        assert body().result(PATIENCE_S) != os.getpid()
        assert pids == [os.getpid()]


def test_13_while_its_children_run_a_join_task_is_joining_and_holds_no_thread() -> None:
    parslish.dfk().cleanup()
    gate = Gate()
    with parslish.load(Config(internal_tasks_max_threads=1)) as dfk:
        held = python_app(gate.wait)
        future = join_app(lambda: held())()
        # The one thread for bodies of join apps is free again: another body runs on it, to the end.
        assert join_app(lambda: double(1))().result(PATIENCE_S) == 2
        assert future.task_status() == "joining"
        assert dfk.task_state_counts[States.joining] == 1
        gate.open()
        assert future.result(PATIENCE_S) is None


def test_13_a_join_app_is_memoized_as_a_whole() -> None:
    count = Counted()

    @join_app(cache=True)
    def outer(x: int) -> Any:
        count(x)
        return double(x)

    assert [outer(3).result(PATIENCE_S) for _ in range(3)] == [6, 6, 6]
    assert len(count) == 1


def test_13_a_tasks_children_have_it_in_their_path() -> None:
    children: list[Any] = []

    @join_app
    def outer() -> Any:
        children.append(double(1))
        return children[0]

    outer().result(PATIENCE_S)
    assert children[0].task_record.path == "-/outer[0]/double[0]"
