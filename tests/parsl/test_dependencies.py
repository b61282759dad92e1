"""Futures among arguments, and failures that travel along them (behaviours 1 and 9)."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections import defaultdict, namedtuple
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    DependencyError,
    States,
    python_app,
)
from tests.faults.executor import InlineExecutor
from tests.parsl.helpers import PATIENCE_S, Gate, double, fail, give

pytestmark = pytest.mark.usefixtures("loaded")


# -- 1: completion does not recurse


def depth() -> int:
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count


@pytest.mark.parametrize("eager", [True, False])
def test_1_a_chain_on_an_inline_executor_stays_under_50_frames(eager: bool) -> None:
    parslish.dfk().cleanup()
    with parslish.load(Config(executors=[InlineExecutor()])):

        @python_app
        def deeper(before: list[int]) -> list[int]:
            return [*before, depth()]

        first: Future[list[int]] = Future()
        if eager:
            first.set_result([])
        last: Any = first
        for _ in range(100):
            last = deeper(last)
        base = depth()
        if not eager:
            first.set_result([])
        depths = last.result(PATIENCE_S)
    assert len(depths) == 100
    assert max(depths) - base < 50


def test_1_a_long_chain_of_failures_does_not_recurse_either() -> None:
    gate = Gate()
    held = python_app(lambda: gate.wait() or 1 / 0)()
    last = give(held)
    for _ in range(3000):
        last = give(last)
    gate.open()
    assert isinstance(last.exception(PATIENCE_S), DependencyError)
    assert isinstance(last.exception().__cause__, ZeroDivisionError)


# -- futures among arguments

Pair = namedtuple("Pair", "a b")


@dataclass
class Box:
    content: Any


def test_futures_are_found_in_every_container() -> None:
    two = double(1)
    value = {
        "list": [two, (two, {"deep": two})],
        two: "as a key",
        "pair": Pair(two, 1),
        "box": Box([two]),
        "set": {two},
        "default": defaultdict(list, {"x": two}),
    }
    got = give(value).result()
    assert got["list"] == [2, (2, {"deep": 2})]
    assert got[2] == "as a key"
    assert got["pair"] == Pair(2, 1)
    assert got["box"] == Box([2])
    assert got["set"] == {2}
    assert got["default"]["x"] == 2 and got["default"]["new"] == []


def test_the_callers_containers_stay_as_they_were() -> None:
    two = double(1)
    mine = [two, {"k": two}]
    give(mine).result()
    assert mine == [two, {"k": two}]


def test_keyword_arguments_and_inputs_are_searched() -> None:
    @python_app
    def total(x: int, *, y: int, inputs: Any = ()) -> int:
        return int(x + y + sum(inputs))

    assert total(double(1), y=double(2), inputs=[double(3), 4]).result() == 2 + 4 + 6 + 4


def test_the_shallow_resolver_leaves_what_is_nested() -> None:
    parslish.dfk().cleanup()
    with parslish.load(Config(dependency_resolver=parslish.SHALLOW_DEPENDENCY_RESOLVER)):

        @python_app
        def kinds(x: Any, y: Any, inputs: Any = ()) -> Any:
            return type(x), type(y[0]), type(inputs[0])

        assert kinds(double(1), [double(1)], inputs=[double(1)]).result() == (int, parslish.AppFuture, int)


def test_9_plain_futures_are_dependencies_too() -> None:
    outside: Future[int] = Future()
    waiting = double(outside)
    assert not waiting.done()
    outside.set_result(21)
    assert waiting.result(PATIENCE_S) == 42


# -- 9: dependencies that fail


def test_9_a_failed_dependency_is_a_dependency_error_with_the_chain(loaded: Any) -> None:
    failed = fail("the root")
    first = give(failed)
    second = give([first])
    error = second.exception(PATIENCE_S)
    assert isinstance(error, DependencyError)
    ((inner, tid),) = error.dependent_exceptions_tids
    assert tid == f"task {first.tid}"
    assert isinstance(inner, DependencyError)
    ((root, root_tid),) = inner.dependent_exceptions_tids
    assert root is failed.exception() and root_tid == f"task {failed.tid}"
    assert error.__cause__ is root
    assert f"task {first.tid}" in str(error) and "the root" in str(error)
    counts = loaded.task_state_counts
    assert (counts[States.failed], counts[States.dep_fail], counts[States.exec_done]) == (1, 2, 0)
    assert (failed.task_status(), second.task_status()) == ("failed", "dep_fail")


def test_9_all_failed_dependencies_are_named_in_order() -> None:
    gate = Gate()
    held = python_app(gate.wait)()
    failures = [fail(held), fail(held), fail()]
    after = give([failures[0], double(1), failures[1], failures[2]])
    gate.open()
    error = after.exception(PATIENCE_S)
    assert [tid for _, tid in error.dependent_exceptions_tids] == [f"task {f.tid}" for f in failures]
    assert error.__cause__ is failures[0].exception()


def test_9_a_plain_future_is_named_by_its_repr() -> None:
    outside: Future[int] = Future()
    after = double(outside)
    outside.set_exception(OSError("from outside"))
    error = after.exception(PATIENCE_S)
    assert isinstance(error, DependencyError)
    assert error.dependent_exceptions_tids[0][1] == repr(outside)
    assert isinstance(error.__cause__, OSError)


def test_9_a_cancelled_plain_future_is_a_failed_dependency() -> None:
    outside: Future[int] = Future()
    after = double(outside)
    outside.cancel()
    outside.set_running_or_notify_cancel()
    assert isinstance(after.exception(PATIENCE_S), DependencyError)


def test_9_a_task_whose_dependency_failed_does_not_run() -> None:
    ran: list[int] = []
    after = python_app(lambda x: ran.append(1))(fail())
    assert isinstance(after.exception(PATIENCE_S), DependencyError)
    assert ran == []


def test_9_a_dependency_error_survives_pickling() -> None:
    error = give(fail()).exception(PATIENCE_S)
    assert error is not None
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert isinstance(again, DependencyError)
    assert isinstance(again.__cause__, ValueError)


def test_9_an_item_of_a_failed_task_is_named_by_the_task() -> None:
    failed = fail()
    error = give(failed["item"]).exception(PATIENCE_S)
    assert isinstance(error, DependencyError)
    assert error.dependent_exceptions_tids[0][1] == f"task {failed.tid}"


# -- arguments that raise when they are looked at


def test_a_resolver_that_raises_fails_its_task_and_leaves_none_open(loaded: Any) -> None:
    def refuse(args: Any, kwargs: Any) -> Any:
        raise LookupError("of the resolver")

    loaded.cleanup()
    resolver = dataclasses.replace(parslish.DEEP_DEPENDENCY_RESOLVER, futures_in=refuse)
    with parslish.load(Config(dependency_resolver=resolver)) as dfk:
        assert isinstance(give([1]).exception(PATIENCE_S), LookupError)
        assert dict(dfk.tasks) == {}
        dfk.wait_for_current_tasks()


def test_an_argument_that_raises_when_it_is_looked_at_fails_its_task_and_leaves_none_open(loaded: Any) -> None:
    class Hidden:
        def __get__(self, instance: object, owner: type) -> Any:
            raise LookupError("of the argument")

        def __set__(self, instance: object, value: Any) -> None: ...

    @dataclass
    class Awkward:
        field: Any

    awkward = Awkward(1)
    Awkward.field = Hidden()  # type: ignore[method-assign]
    assert isinstance(give(awkward).exception(PATIENCE_S), LookupError)
    assert dict(loaded.tasks) == {}
    assert give(1).result(PATIENCE_S) == 1
