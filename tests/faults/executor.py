"""Owns an executor without threads, for tests that must know what has happened when a call returns."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from parslish import Executor


class InlineExecutor(Executor):
    """Runs a task where it is submitted, as a user's own executor may; knows how often it was started and stopped."""

    def __init__(self, label: str = "inline") -> None:
        self.label = label
        self.starts = 0
        self.stops = 0

    def start(self) -> None:
        self.starts += 1

    def submit(
        self, func: Any, resource_specification: Mapping[str, Any] | None, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(func(*args, **kwargs))
        except Exception as exc:
            future.set_exception(exc)
        return future

    def shutdown(self, block: bool = True) -> None:
        self.stops += 1
