"""Owns the course of a task between its submission and its result: the middle of the picture in `kernel`.

It decides and hands on; it runs no task, writes no file and makes no key itself. Steps that follow from a finished
task run one after the other (`Steps`), never inside each other, so a chain of any length needs no stack (I10).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import TYPE_CHECKING, Any

from parslish import calls, codec, graph, interrupts, joins, loader, recorded, waiting
from parslish.config import Config
from parslish.deadlines import Deadlines
from parslish.errors import AppTimeout, DependencyError, JoinError, SerializationError, WorkerLost
from parslish.executors.base import Reply, Sink
from parslish.executors.choice import Executors
from parslish.live_run import LiveRun
from parslish.memo import Facts, Known, file_facts
from parslish.memoizer import BasicMemoizer
from parslish.reuse import Reuse
from parslish.steps import Steps
from parslish.table import TaskTable
from parslish.task import FINAL, WAITING, State, Task, Try
from parslish.turns import Turn, Turns

if TYPE_CHECKING:
    from parslish.guide import Guide
    from parslish.history.event import Event
    from parslish.store.pending import Call

logger = logging.getLogger("parslish")

_NONE: Sequence[Future[Any]] = ()
# The states that most tasks pass: to look an enum's member up takes longer than to set it.
_LAUNCHED, _RUNNING, _COMPUTED, _REUSED = State.launched, State.running, State.exec_done, State.memo_done


class Scheduler(Sink):
    """Takes each task from `begin` to its resolved future, and is the `Sink` that executors answer to.

    Args:
        config: the kernel's configuration, checked.
        run: where results and events go.
        table: the kernel's tasks.
        executors: what runs them.
        memoizer: asked for hits when its class has a `check_memo` of its own.
    """

    def __init__(
        self, config: Config, run: LiveRun, table: TaskTable, executors: Executors, memoizer: BasicMemoizer
    ) -> None:
        self._config = config
        self._run, self._memo, self._journal = run, run.memo, run.journal
        self._checkpointer = run.checkpointer
        self._table = table
        self._executors = executors
        self._reuse = Reuse(
            run.memo,
            memoizer,
            run.journal,
            run.lineage.root,
            run.seed,
            strict=config.strict_keys,
            accepted=run.accepted,
        )
        self._resolver: graph.DependencyResolver = config.dependency_resolver or graph.DEEP_DEPENDENCY_RESOLVER
        self._steps = Steps()
        # Bound once, not for each task that waits: what those hold is work for the garbage collector.
        self._start_soon = partial(self._soon, self._start)
        self._joined_soon = partial(self._soon, self._joined)
        self._taking, self._handing_out = self._take, self._hand_out
        self._deadlines = Deadlines(self._expire)
        self._turns = Turns(run.leases, run.follow, executors)
        self.parents = joins.Parents()
        self.guide: Guide | None = None  # where this run executes another one again
        self.first_failure: BaseException | None = None  # once set, nothing more is launched
        self.halted = False  # told to stop: nothing is launched and no reply is heard

    # ---------------------------------------------------------------------------------- the way down

    def begin(self, task: Task, plain: bool) -> None:
        """Set a new task on its way: at once, or, unless `plain`, when the futures among its arguments are done."""
        self._take(self._begin, task, plain)

    def _begin(self, task: Task, plain: bool) -> None:
        dependencies = _NONE if plain else self._resolver.futures_in(task.args, task.kwargs)
        describes = not plain and self._journal.previews
        self._journal.submitted(task, dependencies, recorded.described(task) if describes else None)
        if dependencies:
            self._table.move(task, State.pending)
            waiting.when_all(dependencies, self._start_soon, task)
        else:
            self._start(task, dependencies, plain)

    def _start(self, task: Task, dependencies: Sequence[Future[Any]], plain: bool = False) -> None:
        """All dependencies of a task are done."""
        if task.state in FINAL:
            return
        args, kwargs = task.args, task.kwargs
        if dependencies:
            if failed := waiting.failures(dependencies):
                self._fail(task, DependencyError(failed, task.id), State.dep_fail)
                return
            args, kwargs = self._resolver.resolved(args, kwargs)
        if self.guide is not None:
            given = kwargs
            args, kwargs, edited = self.guide.edited(task, args, kwargs)
            if edited is not None:
                self._journal.forced(task, "its result was edited")
                self._reused(task, edited)
                return
            if kwargs is not given:
                plain = False
                if self._journal.previews:
                    self._journal.bound(task, calls.bound(task.app, args, kwargs))
        if task.app.cache and self._config.app_cache:
            known, owner = self._reuse.look_up(task, args, kwargs, dependencies, plain, self.guide)
            if known is not None:
                self._reused(task, known)
                return
            if owner is not None:
                owner.future.add_done_callback(partial(self._shared, task, owner, dependencies))
                return
        elif self.guide is not None:
            self.guide.why_forced(task, dependencies)
        encodes = task.key is not None and self._checkpointer.mode.encodes
        attempt = calls.first_try(task, args, kwargs, self.parents, self._run.seed, encodes)
        exclusive = self._config.exclusive if task.app.exclusive is None else task.app.exclusive
        if exclusive and task.key is not None:
            self._launch_in_turn(task, attempt)
        else:
            self._launch(task, attempt)

    def _launch_in_turn(self, task: Task, attempt: Try, *, waited: bool = False) -> None:
        """Launch a task, or use what another kernel has stored; where one is at it, or many are launched, wait."""
        key = task.key
        assert key is not None
        if task.state in FINAL:  # cancelled while it waited
            self._turns.leave(key)
            return
        if waited and self._found_stored(task, key):
            return
        turn = self._turns.take(key, task.exec_label)
        if task.state in FINAL:  # cancelled now; the lease may be for another call of the same by now
            if self._memo.claim(key, task) is task:
                self._memo.release(key, task)
        elif not self._found_stored(task, key) and (turn is Turn.OURS or not self._waits(task, key, turn, attempt)):
            self._launch(task, attempt)

    def _found_stored(self, task: Task, key: bytes) -> bool:
        """Use what another kernel has stored meanwhile, if there is any."""
        known = None if self.guide is not None and self.guide.forces(task) else self._reuse.known(task, key)
        if known is None or (self.guide is not None and self.guide.is_outdated(key, known)):
            return False
        self._memo.release(key, task)
        self._turns.leave(key)
        self._reused(task, known)
        return True

    def _waits(self, task: Task, key: bytes, turn: Turn, attempt: Try) -> bool:
        if task.state is State.unsched:
            self._table.move(task, State.pending)
        step = partial(self._launch_in_turn, waited=True)
        return self._turns.wait(key, task.exec_label, turn, partial(self._soon, step, task, attempt))

    def _launch(self, task: Task, attempt: Try) -> None:
        if self.first_failure is not None:
            self.give_up(task)
            return
        task.attempt = attempt
        task.tries = attempt.number
        if self._table.move(task, _LAUNCHED):
            self._executors[task.exec_label].launch(attempt, self)

    def enter_thread(self, attempt: Try) -> None:
        """From an executor: apps that are called on this thread are called with this kernel."""
        assert attempt.task is not None
        loader.belongs_to(attempt.task.future._kernel)

    def started(self, attempt: Try, worker: str) -> bool:
        """From an executor: a worker has a try. False when nobody waits for it any more."""
        task = attempt.task
        assert task is not None
        if not self._table.move(task, _RUNNING, attempt):
            return False
        self._journal.started(attempt, worker)
        if attempt.walltime is not None:
            self._deadlines.add(attempt, attempt.walltime)
        return True

    # ---------------------------------------------------------------------------------- the door back

    def deliver(self, reply: Reply) -> None:
        """From an executor: a try has ended. A late reply, of a try given up before, is dropped."""
        attempt = reply.attempt
        task = attempt.task
        assert task is not None
        if self.halted or not self._table.claim(attempt):
            logger.debug("a late reply of %s is dropped", attempt)
            return
        if reply.exception is not None:
            self._take(self._try_failed, task, attempt, reply)
        elif task.app.kind == "join":
            self._take(self._join, task, reply)
        else:
            self._take(self._computed, task, reply)

    def deliver_all(self, replies: Sequence[Reply]) -> None:
        """From an executor: the same for several tries."""
        self._steps.soon(partial(self._deliver_each, replies))

    def _deliver_each(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            self.deliver(reply)

    def _computed(self, task: Task, reply: Reply) -> None:
        """Keep the result, then hand it out (I3)."""
        value, ended = reply.value, self._journal.end_of(task, reply)
        if task.key is None:
            self._hand_out(task, value, None, ended)
            return
        known = self._known(task, value, None, reply.duration)
        if not self._checkpointer.mode.encodes:  # it is kept in memory, and found there
            self._hand_out(task, value, known, ended)
            return
        self._keep(task, known, reply.encoded, (self._taking, self._handing_out, task, value, known, ended))

    def _keep(self, task: Task, known: Facts, encoded: bytes | None, then: Call) -> None:
        assert task.key is not None
        try:
            is_awaited = self._checkpointer.keep(task.key, known, encoded, then)
        except SerializationError as exc:
            self._reuse.warn_once(task.app, "", f"results of {task.app.name} are not checkpointed: {exc}")
            is_awaited = False
        if is_awaited:
            # Once the steps that are in line are taken: a pack of replies is one write.
            self._steps.soon(self._checkpointer.write)
        else:
            then[0](*then[1:])

    def _known(self, task: Task, value: Any, exception: BaseException | None = None, duration: float = 0.0) -> Facts:
        outputs = file_facts(task.options.outputs) if task.options is not None else ()
        kept = self._checkpointer.mode.encodes
        return value, exception, task.id, time.time(), duration, outputs, kept, None, task.app.name

    def _hand_out(self, task: Task, value: Any, known: Facts | None, ended: Event) -> None:
        if known is not None:
            assert task.key is not None
            self._memo.finish(task.key, task, known)
        note = self._journal.add
        note(ended)
        if self._table.move(task, _COMPUTED):
            task.future.set_result(value)

    def _reused(self, task: Task, known: Known) -> None:
        self._journal.reused(task, known.run_number, known.task_id, known.value)
        if known.exception is not None:
            self._journal.failed(task, State.failed, known.exception)
            if self._table.move(task, State.failed):
                task.future.set_exception(known.exception)
            return
        copies = self._config.copy_results if task.app.copy_results is None else task.app.copy_results
        value = codec.copy(known.value) if copies else known.value
        if self._table.move(task, _REUSED):
            task.future.set_result(value)

    def _shared(self, task: Task, owner: Task, dependencies: Sequence[Future[Any]], done: Future[Any]) -> None:
        """The task that ran for the same key has ended."""
        if done.cancelled():  # by its own caller, not by ours
            self._soon(self._start, task, dependencies)
        elif (exc := done.exception()) is not None:
            task.key = None  # it was never this task's
            self._soon(self._fail, task, exc)
        else:
            self._soon(self._reused, task, Known(done.result(), task_id=owner.id))

    def _try_failed(self, task: Task, attempt: Try, reply: Reply) -> None:
        exc = reply.exception
        assert exc is not None
        if isinstance(exc, CancelledError):
            self.give_up(task)
            return
        try:
            tries_again = self._may_retry(task, exc)
        except Exception as handler_exc:  # user code: retry_handler
            self._fail(task, handler_exc, reply=reply)
            return
        if not tries_again:
            self._fail(task, exc, reply=reply)
            return
        self._journal.failed(task, State.fail_retryable, exc, reply)
        if self._table.move(task, State.fail_retryable):
            self._soon(self._launch, task, attempt.again())

    def _may_retry(self, task: Task, exc: BaseException) -> bool:
        if isinstance(exc, WorkerLost):
            task.losses += 1
            return task.losses <= self._config.worker_retries
        handler = self._config.retry_handler
        task.fail_cost += 1 if handler is None else handler(exc, task)
        return task.fail_cost <= self._config.retries

    def _fail(self, task: Task, exc: BaseException, state: State = State.failed, reply: Reply | None = None) -> None:
        """A task has failed for good."""
        if task.key is not None:
            if isinstance(exc, task.app.remember):
                known = self._known(task, None, exc)
                self._keep(task, known, None, (self._memo.finish, task.key, task, known))
            else:
                self._memo.release(task.key, task)
        ran = state is State.failed and self._journal.previews
        self._journal.failed(task, state, exc, reply, recorded.call_of_failed(task) if ran else None)
        if not self._config.lazy_errors and self.first_failure is None:
            self.first_failure = exc
        if self._table.move(task, state):
            task.future.set_exception(exc)

    # ---------------------------------------------------------------------------------- joins

    def _join(self, task: Task, reply: Reply) -> None:
        """A join app's body has returned: wait for the futures that it gave."""
        futures = joins.futures_of(task, reply.value)
        self._table.move(task, State.joining)
        if task.key is not None:
            self._turns.leave(task.key)
        waiting.when_all(futures, self._joined_soon, task, reply)

    def _joined(self, task: Task, futures: Sequence[Future[Any]], reply: Reply) -> None:
        if task.state in FINAL:
            return
        if failed := waiting.failures(futures):
            self._fail(task, JoinError(failed, task.id), reply=reply)
            return
        results = [f.result() for f in futures]
        reply.value = results[0] if isinstance(reply.value, Future) else results
        reply.encoded = None
        self._computed(task, reply)

    # ---------------------------------------------------------------------------------- steps

    def _soon(self, step: Callable[..., None], task: Task, *args: Any) -> None:
        self._steps.soon(partial(self._take, step, task, *args))

    def _take(self, step: Callable[..., None], task: Task, *args: Any) -> None:
        """Take a step of a task. Whatever it raises becomes the task's failure: its future resolves (I2).

        In a run that was told to stop no step is taken: `DataFlowKernel.abandon` resolves what is left.
        """
        if self.halted:
            return
        try:
            step(task, *args)
        except BaseException as exc:
            if not self.halted:  # else the run's files are closed: what can no longer be kept is not handed out
                if isinstance(exc, AssertionError):
                    logger.exception("parslish broke one of its own rules; please report this")
                self._fail(task, exc)
            interrupts.give_to_script(exc)

    # ---------------------------------------------------------------------------------- giving up

    def cancel(self, task: Task) -> bool:
        """Cancel a task; False when it has ended, or a thread is running it."""
        attempt = task.attempt
        if attempt is None:
            return task.state in WAITING and self.give_up(task)
        stopped = self._executors[task.exec_label].cancel(attempt)
        if not stopped and task.state is not State.launched:
            return False
        return self._table.claim(attempt) and self.give_up(task)

    def give_up(self, task: Task) -> bool:
        """Cancel a task that nobody runs, or whose try has been claimed."""
        if not self._table.move(task, State.cancelled):
            return False
        if task.key is not None:
            self._memo.release(task.key, task)
        self._journal.failed(task, State.cancelled, CancelledError())
        Future.cancel(task.future)
        task.future.set_running_or_notify_cancel()
        return True

    def _expire(self, attempt: Try) -> None:
        """A try has had its walltime. The executor stops it where it can; its late reply is dropped."""
        task = attempt.task
        assert task is not None
        if not self._table.claim(attempt):
            return
        self._executors[task.exec_label].cancel(attempt)
        exc = AppTimeout(f"{task} ran longer than its walltime of {attempt.walltime} s")
        self._take(self._try_failed, task, attempt, Reply(attempt, exception=exc))

    def close(self) -> None:
        """End the walltime clock, and the waiting for other kernels."""
        self._deadlines.close()
        self._turns.close()
