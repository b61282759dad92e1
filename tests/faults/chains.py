"""Owns chains of tasks for tests: each adds one to the result of the one before it."""

from __future__ import annotations

from typing import Any

from parslish import python_app


@python_app
def more(x: int) -> int:
    return x + 1


def chain(start: Any, links: int) -> Any:
    future = start
    for _ in range(links):
        future = more(future)
    return future
