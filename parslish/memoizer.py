"""Owns `BasicMemoizer`: how Parsl scripts configure memoization, and where they refuse single hits."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from parslish.errors import UsageError

if TYPE_CHECKING:
    from parslish.kernel import DataFlowKernel
    from parslish.task import Task


class BasicMemoizer:
    """What a kernel is to do about memoization; `Config(memoizer=…)`. The arguments mean what the options of
    the same names in `Config` mean.

    A subclass may override `check_memo`, for example to refuse certain hits.
    """

    def __init__(
        self,
        *,
        memoize: bool = True,
        checkpoint_mode: str | None = None,
        checkpoint_files: list[str] | None = None,
        checkpoint_period: str | float | None = None,
    ) -> None:
        self.memoize = memoize
        self.checkpoint_mode = checkpoint_mode
        self.checkpoint_files = checkpoint_files
        self.checkpoint_period = checkpoint_period
        self._kernel: DataFlowKernel | None = None

    def options(self) -> dict[str, Any]:
        """The fields of `Config` that this memoizer sets."""
        return {
            "app_cache": self.memoize,
            "checkpoint_mode": self.checkpoint_mode,
            "checkpoint_files": self.checkpoint_files,
            "checkpoint_period": self.checkpoint_period,
        }

    def start(self, kernel: DataFlowKernel) -> None:
        """Serve `kernel` from now on; the same object may serve one kernel after another."""
        self._kernel = kernel

    def check_memo(self, task_record: Task) -> Future[Any] | None:
        """A done future with the result that is known for a task, or None: then the task runs."""
        return self._serving().find_memo(task_record)

    def checkpoint(self) -> str:
        """As `DataFlowKernel.checkpoint`."""
        return self._serving().checkpoint()

    def _serving(self) -> DataFlowKernel:
        if self._kernel is None:
            raise UsageError("this memoizer serves no kernel yet: load a Config(memoizer=…) with it first")
        return self._kernel
