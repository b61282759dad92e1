"""A future lost its result: asking for its `__dict__` takes the attributes out of the object (CPython 3.11), which may
start the garbage collector, and that another thread, which then resolves a future that forgets it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from parslish.future import AppFuture, DataFuture, Lifted, task_id


class Watched(AppFuture):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise AssertionError("its __dict__ was asked for")


class Numbered:
    id = 7
    options = None


def test_a_futures_task_is_found_without_its_dict() -> None:
    future = Watched(Numbered(), None)  # type: ignore[arg-type]
    assert task_id(future) == 7
    assert task_id(Lifted(future, "item", 0)) == 7
    assert task_id(DataFuture(future, None)) == 7  # type: ignore[arg-type]
    assert task_id(Future()) is None


def test_a_future_has_all_its_attributes_from_birth() -> None:
    future = AppFuture(Numbered(), None)  # type: ignore[arg-type]
    before = set(vars(future))
    future.set_result(1)
    future.encoding()
    assert set(vars(future)) == before
