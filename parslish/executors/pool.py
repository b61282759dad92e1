"""Owns running tasks on any `concurrent.futures.Executor`: mpi4py's, executorlib's, another pool one has."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from parslish.errors import ConfigurationError, InvalidResourceSpecification
from parslish.executors.base import Executor


class PoolExecutor(Executor):
    """Runs tasks on a pool that somebody else made.

    Args:
        pool: the pool; or a function that makes one, called at each start, so that the executor can be started
            again after a shutdown. A pool that was given is not shut down: it is its maker's.
        label: the name by which apps choose it.
    """

    def __init__(
        self,
        pool: concurrent.futures.Executor | Callable[[], concurrent.futures.Executor],
        label: str = "pool",
    ) -> None:
        if not callable(pool) and not hasattr(pool, "submit"):
            raise ConfigurationError(f"pool={pool!r}: a concurrent.futures.Executor, or a function that makes one")
        self.label = label
        self._given = pool
        self._pool: Any = None

    def copy(self) -> PoolExecutor:
        """Another one; a pool that was given is used by both."""
        return PoolExecutor(self._given, self.label)

    def start(self) -> None:
        self._pool = self._given if hasattr(self._given, "submit") else self._given()

    def submit(
        self, func: Any, resource_specification: Mapping[str, Any] | None, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        if resource_specification:
            raise InvalidResourceSpecification(
                resource_specification,
                f"executor {self.label!r} has no resources, but {sorted(resource_specification)} were asked for",
            )
        future: Future[Any] = self._pool.submit(func, *args, **kwargs)
        return future

    def shutdown(self, block: bool = True) -> None:
        if self._pool is not self._given:
            self._pool.shutdown(wait=block, cancel_futures=True)
