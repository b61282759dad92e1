"""Workflows that the tests of `workflows`, `dispatched` and `outcomes` share, in a module that they can be found in."""

from __future__ import annotations

import time
from typing import Any

from parslish import python_app, workflow


@python_app(cache=True)
def task_0(a: Any) -> Any:
    return a


@python_app(cache=True)
def task_1(a: Any, b: Any) -> Any:
    return a + b


@python_app(cache=True)
def task_2(a: Any, b: Any) -> Any:
    return a / b


@workflow
def divided(a: Any, b: Any) -> Any:
    """The workflow of Covalent's page on re-execution."""
    res_0 = task_0(a)
    res_1 = task_1(res_0, b)
    return task_2(res_1, b)


@workflow
def nested(n: int, *, label: str = "x") -> Any:
    return {"all": [task_0(i) for i in range(n)], "one": (task_1(n, 1), label)}


@python_app
def sleeps(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@workflow
def slow(n: int, seconds: float) -> Any:
    return [sleeps(seconds) for _ in range(n)]
