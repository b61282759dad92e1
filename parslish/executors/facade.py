"""Owns the other direction: a kernel as a `concurrent.futures.Executor`, for code that wants one."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from parslish.apps import AppBase
from parslish.config import Config
from parslish.errors import KernelClosed
from parslish.future import AppFuture
from parslish.kernel import DataFlowKernel


class ParslPoolExecutor(concurrent.futures.Executor):
    """Submits functions to a kernel.

    Args:
        config: makes a kernel of its own, which ends with the executor.
        dfk: a kernel to use, which stays; give one of the two.
        executors: labels of the kernel's executors that may be used, or "all".
    """

    def __init__(
        self,
        config: Config | None = None,
        dfk: DataFlowKernel | None = None,
        executors: str | list[str] = "all",
    ) -> None:
        if (config is None) == (dfk is None):
            raise ValueError("ParslPoolExecutor: give either config= or dfk=")
        self._kernel = dfk if dfk is not None else DataFlowKernel(config=config)
        self._owns = dfk is None
        self._executors = executors
        self._apps: dict[Callable[..., Any], AppBase] = {}
        self._closed = False

    @property
    def app_count(self) -> int:
        """How many functions have become apps."""
        return len(self._apps)

    def get_app(self, fn: Callable[..., Any]) -> AppBase:
        """The app of a function: one, however often it is submitted."""
        if isinstance(fn, AppBase):
            return fn
        if fn not in self._apps:
            self._apps[fn] = AppBase(fn, data_flow_kernel=self._kernel, executors=self._executors)
        return self._apps[fn]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> AppFuture:
        if self._closed or self._kernel.cleanup_called:
            raise KernelClosed("this ParslPoolExecutor has been shut down and takes no more calls; make a new one")
        return self._kernel.submit(self.get_app(fn), args, kwargs)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[Any]:
        """As `Executor.map`; calls are packed by the kernel's executors, so `chunksize` has no effect."""
        return super().map(fn, *iterables, timeout=timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; a kernel of its own is cleaned up, after its tasks unless they are cancelled."""
        self._closed = True
        if self._owns:
            if wait and not cancel_futures:
                self._kernel.wait_for_current_tasks()
            self._kernel.cleanup()
