"""Owns a kernel: what is called with an app's arguments, and the life of the run around it.

The way of a call::

    app(…) → kernel.submit → scheduler.begin: futures among the arguments? wait for them
                           → identity: key = H(app name, code, bound arguments)
                           → memo: stored? reuse · same key running? share it · else
                           → executor → worker runs it → reply
    scheduler.deliver(reply) → checkpoint (record) → journal (event) → future → callers, dependents

One way down, one door back.
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from parslish import calls, loader, scopes, stopping
from parslish.config import Config
from parslish.errors import InternalError, KernelClosed, StoreError, is_of_pause
from parslish.executors.base import Executor
from parslish.executors.choice import Executors
from parslish.future import AppFuture
from parslish.history.lineage import COMPLETED, DID_NOT_START, PAUSED
from parslish.live_run import LiveRun
from parslish.memo import Known
from parslish.memoizer import BasicMemoizer
from parslish.scheduler import Scheduler
from parslish.table import TaskTable
from parslish.task import WAITING, State, Task

if TYPE_CHECKING:
    from parslish.apps import AppBase
    from parslish.guide import Guide
    from parslish.orders import Orders
    from parslish.staging.plug import DataManager

logger = logging.getLogger("parslish")


class DataFlowKernel:
    """Turns calls of apps into futures, and keeps their results.

    Args:
        config: a `Config`, a config dict, the path of a TOML file; None for two local threads.
        options: fields of `Config` on top of it, under any spelling that config dicts know: `executors`,
            `checkpointFiles`, `checkpointMode`, `appCache`, `rundir`, `retries`, …

    Raises:
        ConfigurationError: the configuration is wrong; nothing was started.
        BadCheckpoint: a named checkpoint cannot be loaded.
    """

    def __init__(
        self, config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None, **options: Any
    ) -> None:
        self.config = config = Config.of(config, **options)
        self.memoizer: BasicMemoizer = config.memoizer or BasicMemoizer()
        if config.memoizer is not None:
            config = Config.of(config, **self.memoizer.options())
        self._config = config  # with what the memoizer says
        self._run = LiveRun(config, self._on_trouble)
        self._table = TaskTable(forgets=config.garbage_collect, limit=config.max_pending)
        self._ids = itertools.count()
        self._scopes = scopes.Scopes(self._run.journal.scope)
        self._refusal: str | None = None  # why no task is accepted any more
        self.cleanup_called = False
        self._is_parents = False  # this process is a fork of the one that made it
        self.memoizer.start(self)
        try:
            self._executors = Executors(config.executors, config.internal_tasks_max_threads)
        except BaseException:  # an executor did not start: leave no thread and no open file
            self._run.close(DID_NOT_START, {})
            raise
        self._scheduler = Scheduler(config, self._run, self._table, self._executors, self.memoizer)
        if self._run.orders is not None:
            self._obey(self._run.orders)
        stopping.watch(self)

    def _obey(self, orders: Orders) -> None:
        from parslish.guide import Guide  # here: few runs execute another one again

        try:
            self._scheduler.guide = Guide(orders, self._run.keys)
        except BaseException:
            self._executors.shutdown(block=False)
            self._run.close(DID_NOT_START, {})
            raise

    # ---------------------------------------------------------------------------------- the way down

    def submit(self, app: AppBase, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AppFuture:
        """Make a task of one call of an app, and return its future.

        Raises:
            KernelClosed: the kernel has been cleaned up.
            UsageError: the app names an executor that this kernel has not.
            TypeError: a keyword such as `walltime` or `stdout` has a value that it does not take.
        """
        guide = self._scheduler.guide
        if guide is not None:
            app = self._guided(guide, app)
        self._check_open()
        parent, block = self._scheduler.parents.current, scopes.current()
        scope = None if block is None else self._scopes.of(block, parent)
        task = Task(next(self._ids), app, args, kwargs, parent, scope)
        task.exec_label = self._executors.label_for(app)
        task.future = AppFuture(task, self)
        plain = calls.is_plain(app, args, kwargs)
        if not plain:
            calls.prepare(task, self)
        self._table.add(task)
        self._scheduler.begin(task, plain)
        if self._refusal is not None:  # the kernel has ended meanwhile, and may not have seen this one (I2)
            self._await_end()
            self.cancel(task)
        return task.future

    def _guided(self, guide: Guide, app: AppBase) -> AppBase:
        """The app that a call runs, as this run's orders say."""
        if guide.is_by_record:
            from parslish.rerun import by_record

            by_record.take_over(self)
        return guide.app(app)

    def cancel(self, task: Task) -> bool:
        """Cancel a task; False when it has ended, or a thread is running it."""
        return self._scheduler.cancel(task)

    def known(self, key: bytes) -> Known | None:
        """The result that is known under a key, however old."""
        return self._run.memo.find(key, None)

    def stored(self, key: bytes) -> Known | None:
        """The same as far as it was loaded, and not computed by this run."""
        return self._run.memo.find_stored(key)

    def find_memo(self, task: Task) -> Future[Any] | None:
        """A done future with the result that is known for a task that has its key, else None."""
        known = None if task.key is None else self._run.memo.find(task.key, task.app.expires_s)
        if known is None:
            return None
        found: Future[Any] = Future()
        if known.exception is not None:
            found.set_exception(known.exception)
        else:
            found.set_result(known.value)
        return found

    def _on_trouble(self, trouble: StoreError) -> None:
        if self._config.on_store_error == "raise":
            self._scheduler.first_failure = trouble

    @property
    def guide(self) -> Guide | None:
        """What this run's orders mean, where it executes another one again."""
        return self._scheduler.guide

    @property
    def degraded(self) -> bool:
        """Whether results, or the run's record, cannot be stored for now."""
        return bool(self._run.trouble)

    # ---------------------------------------------------------------------------------- the kernel's life

    @property
    def run_dir(self) -> str:
        """The folder of this run, `runinfo/000`; Parsl scripts also say `rundir`."""
        return str(self._run.path)

    rundir = run_dir

    @property
    def run_id(self) -> str:
        """The name of this run in its run folder."""
        return self._run.path.name

    @functools.cached_property
    def staging(self) -> DataManager:
        """How files get to the workers and back."""
        from parslish.staging.plug import DataManager  # with the clients of all protocols

        return DataManager(self)

    @property
    def executors(self) -> Mapping[str, Executor]:
        """The executors by their labels."""
        return self._executors

    @property
    def tasks(self) -> Mapping[int, Task]:
        """The open tasks by number; with `garbage_collect=False` the finished ones too."""
        return self._table.by_id

    @property
    def task_state_counts(self) -> dict[State, int]:
        """How many tasks stand in each state."""
        return self._table.counts()

    def add_executors(self, executors: Sequence[Executor]) -> None:
        """Start more executors, for apps to choose by label."""
        self._executors.add(executors)

    def checkpoint(self) -> str:
        """Store all results that are not stored yet, in any mode; on return they are on the disk.

        Returns:
            The checkpoint folder of this run.
        """
        if self._is_parents:
            self._check_open()
        try:
            return str(self._run.checkpointer.checkpoint())
        except InternalError:
            self._check_open()  # a kernel that has ended meanwhile says so
            raise

    def wait_for_current_tasks(self) -> None:
        """Wait until the tasks submitted so far are done, well or not."""
        concurrent.futures.wait(self._table.futures())

    def cleanup(self) -> None:
        """End this kernel: running tasks of threads are waited for, those of processes stopped, and waiting ones
        cancelled; what the checkpoint mode says is stored. A second call does nothing."""
        self._close(COMPLETED)

    def _close(self, reason: str) -> None:
        if self.cleanup_called:
            return
        guide = self._scheduler.guide
        if guide is not None and guide.paused and reason == COMPLETED:
            reason = PAUSED
        self.cleanup_called = True
        self._refusal = self._refusal or "has been cleaned up"
        for task in self._table.open_tasks():
            if task.state in WAITING:
                self._scheduler.give_up(task)
        # A stopped run takes no results any more, so a thread that cannot be stopped is not waited for either.
        self._executors.shutdown(block=not self._scheduler.halted)
        self._scheduler.close()
        self._run.checkpointer.settle()
        self.abandon()
        self._run.close(reason, self._count_words())
        stopping.forget(self)
        loader.forget(self)

    def stop(self, reason: str) -> str:
        """Stop launching, store what the mode says and close the run's files, while workers still run.

        For the moment before the process ends: no future resolves any more, so that no caller sees a result
        that is not kept. Returns one line that says how to go on.
        """
        self._scheduler.halted = True
        self._refusal = reason
        self._run.close(reason, self._count_words())
        return f"{reason}; {self._run.how_to_resume()}"

    def abandon(self) -> None:
        """Cancel all that has not ended, running or not: after `stop`, where the process lives on (I2)."""
        for task in self._table.open_tasks():
            self._scheduler.give_up(task)

    def end(self, reason: str) -> None:
        """As `cleanup`, where the program came to another end than its own: `reason` says which."""
        self._close(reason)

    def cancel_all(self, reason: str) -> None:
        """Cancel all tasks, take no more and end; nothing is waited for, and what a thread still runs is dropped."""
        self._refusal = f"was {reason}"
        for task in self._table.open_tasks():
            self._scheduler.cancel(task)
        self.abandon()
        self.stop(reason)
        self._refusal = f"was {reason}"
        self._close(reason)

    def note_outcome(self, status: str, known: Known, error: Mapping[str, str]) -> bool | None:
        """As `LiveRun.note_outcome`."""
        return self._run.note_outcome(status, known, error)

    def put(self, key: bytes, known: Known, encoded: bytes | None = None) -> None:
        """Store something that is no task's result in the run's checkpoint, whatever its mode."""
        self._run.checkpointer.put(key, known, encoded)

    def disown(self) -> None:
        """In a forked child: this kernel, its threads and its files are the parent's."""
        self._scheduler.halted = True
        self._is_parents = True
        self._refusal = "belongs to the process that this one was forked from"
        self.cleanup_called = True
        loader.forget(self)

    def _count_words(self) -> dict[str, int]:
        return {state.name: count for state, count in self.task_state_counts.items() if count}

    def _check_open(self) -> None:
        if self._refusal is not None:
            self._await_end()
            raise KernelClosed(f"this kernel ({self.run_dir}) {self._refusal} and takes no more tasks; load a new one")
        if self._scheduler.first_failure is not None:
            raise self._scheduler.first_failure

    def _await_end(self) -> None:
        """Where a signal has stopped this kernel, let it have its way before anything follows from that."""
        if not self.cleanup_called:
            stopping.await_end()

    def __enter__(self) -> DataFlowKernel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._config.exit_mode == "skip":
            return
        if self._config.exit_mode == "wait" and exc is None:
            self.wait_for_current_tasks()
        self._close(COMPLETED if exc is None or is_of_pause(exc) else f"ended by {type(exc).__name__}")
