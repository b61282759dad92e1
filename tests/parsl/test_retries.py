"""Retries, their costs, and what a failure stops (behaviour 11)."""

from __future__ import annotations

from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    DependencyError,
    States,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S, Counted, double, fail, give

pytestmark = pytest.mark.usefixtures("loaded")


# -- 11: retries


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (2, 3)])
def test_11_a_failing_task_is_tried_retries_times_more(retries: int, tries: int) -> None:
    parslish.dfk().cleanup()
    count = Counted()
    with parslish.load(Config(retries=retries)) as dfk:

        @python_app
        def app() -> None:
            raise ValueError(count())

        future = app()
        assert isinstance(future.exception(PATIENCE_S), ValueError)
        assert dfk.task_state_counts[States.failed] == 1
    assert len(count) == tries
    assert future.task_record["try_id"] == tries - 1


def test_11_the_first_good_try_ends_it() -> None:
    parslish.dfk().cleanup()
    count = Counted()
    with parslish.load(Config(retries=5)):

        @python_app
        def app() -> int:
            if count() < 3:
                raise ValueError
            return len(count)

        assert app().result(PATIENCE_S) == 3


@pytest.mark.parametrize(("cost", "tries"), [(0.5, 5), (1, 3), (0.25, 9), (2, 2), (100, 1)])
def test_11_retry_costs_may_be_fractions(cost: float, tries: int) -> None:
    parslish.dfk().cleanup()
    count = Counted()
    seen: list[Any] = []

    def handler(exc: BaseException, task: Any) -> float:
        seen.append((type(exc), task["func_name"], task["try_id"]))
        return cost

    with parslish.load(Config(retries=2, retry_handler=handler)):

        @python_app
        def app() -> None:
            raise ValueError(count())

        assert isinstance(app().exception(PATIENCE_S), ValueError)
    # Tried again as long as the summed cost is within the budget of 2.
    assert len(count) == tries
    assert seen == [(ValueError, "app", i) for i in range(tries)]


def test_11_an_exception_of_the_retry_handler_becomes_the_result() -> None:
    parslish.dfk().cleanup()

    def handler(exc: BaseException, task: Any) -> float:
        raise LookupError("of the handler")

    with parslish.load(Config(retries=3, retry_handler=handler)):
        assert isinstance(fail().exception(PATIENCE_S), LookupError)


def test_11_a_failed_dependency_is_not_retried() -> None:
    parslish.dfk().cleanup()
    with parslish.load(Config(retries=3)) as dfk:
        after = give(fail())
        assert isinstance(after.exception(PATIENCE_S), DependencyError)
        assert after.task_record["try_id"] == 0
        assert dfk.task_state_counts[States.dep_fail] == 1


# -- lazy_errors


def test_without_lazy_errors_the_first_failure_is_raised_at_the_next_call() -> None:
    parslish.dfk().cleanup()
    with parslish.load({"globals": {"lazyErrors": False}}):
        assert isinstance(fail("the first").exception(PATIENCE_S), ValueError)
        with pytest.raises(ValueError, match="the first"):
            double(1)


def test_with_lazy_errors_calls_go_on() -> None:
    assert isinstance(fail().exception(PATIENCE_S), ValueError)
    assert double(1).result() == 2
