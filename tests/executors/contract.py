"""The contract of `parslish.executors.base`, as one test class; a subclass names its executor.

class TestMine(ExecutorContract):
    kind, arguments = MyExecutor, {"label": "mine"}
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, ClassVar

import pytest

from parslish.errors import InvalidResourceSpecification
from parslish.executors.base import HOST, Executor, Reply, Sink
from parslish.task import Try
from tests.executors import jobs

PATIENCE_S = 30.0


class Recorder(Sink):
    """A sink that remembers what it was told, and can be waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.replies: list[Reply] = []
        self.starts: list[tuple[Try, str]] = []
        self.order: list[tuple[str, Try]] = []
        self.at: dict[Try, float] = {}

    def started(self, attempt: Try, worker: str) -> bool:
        with self._changed:
            self.starts.append((attempt, worker))
            self.order.append(("started", attempt))
            self._changed.notify_all()
        return True

    def deliver(self, reply: Reply) -> None:
        with self._changed:
            self.replies.append(reply)
            self.order.append(("delivered", reply.attempt))
            self.at[reply.attempt] = time.time()
            self._changed.notify_all()

    def wait(self, count: int) -> list[Reply]:
        """The replies, when there are `count` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.replies) >= count, PATIENCE_S), (
                f"{len(self.replies)} of {count} replies came"
            )
            return list(self.replies)

    def wait_started(self, attempt: Try) -> str:
        with self._changed:
            assert self._changed.wait_for(lambda: any(a is attempt for a, _ in self.starts), PATIENCE_S)
            return next(worker for a, worker in self.starts if a is attempt)

    def reply_to(self, attempt: Try) -> Reply:
        """Its reply, when it is there."""
        with self._changed:
            assert self._changed.wait_for(lambda: attempt in self.at, PATIENCE_S), f"no reply to {attempt}"
            return next(reply for reply in self.replies if reply.attempt is attempt)


def make_try(func: Any, *args: Any, walltime: float | None = None, encode: bool = False, **kwargs: Any) -> Try:
    """A try of a task that says what it calls."""
    task: Any = f"task of {getattr(func, '__name__', func)}"
    return Try(task, 1, func, args, kwargs, walltime=walltime, encode=encode)


class ExecutorContract:
    kind: ClassVar[Any]
    arguments: ClassVar[dict[str, Any]] = {}
    workers: ClassVar[int] = 2  #: how many tasks run at a time

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        executor = self.kind(**self.arguments)
        executor.start()
        yield executor
        executor.shutdown()

    @pytest.fixture
    def sink(self) -> Recorder:
        return Recorder()

    # ------------------------------------------------------------------------- submit

    def test_submit_returns_a_future_of_the_value(self, executor: Executor) -> None:
        assert executor.submit(jobs.add, None, 1, b=2, c=3).result(PATIENCE_S) == 6

    def test_an_exception_is_the_futures(self, executor: Executor) -> None:
        with pytest.raises(ValueError, match="because"):
            executor.submit(jobs.fail, None, "because").result(PATIENCE_S)

    def test_an_unknown_resource_is_refused(self, executor: Executor) -> None:
        with pytest.raises(InvalidResourceSpecification, match="flux_capacitors"):
            executor.submit(jobs.add, {"flux_capacitors": 1}, 1).result(PATIENCE_S)
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
        assert executor.submit(jobs.add, {}, 1).result(PATIENCE_S) == 1

    # ------------------------------------------------------------------------- launch

    def test_a_try_is_told_its_start_then_its_end(self, executor: Executor, sink: Recorder) -> None:
        attempt = make_try(jobs.add, 1, b=1)
        executor.launch(attempt, sink)
        (reply,) = sink.wait(1)
        assert sink.order == [("started", attempt), ("delivered", attempt)]
        assert (reply.value, reply.exception) == (2, None)
        assert sink.starts[0][1].startswith(HOST)

    def test_a_reply_says_what_the_try_cost(self, executor: Executor, sink: Recorder) -> None:
        before = time.time()
        executor.launch(make_try(time.sleep, 0.05), sink)
        (reply,) = sink.wait(1)
        assert reply.exception is None
        assert before - 1 <= reply.started <= time.time()
        assert 0.05 <= reply.duration <= PATIENCE_S
        assert reply.worker.startswith(HOST)

    def test_an_exception_comes_back_with_its_type_and_message(self, executor: Executor, sink: Recorder) -> None:
        executor.launch(make_try(jobs.fail, "because"), sink)
        (reply,) = sink.wait(1)
        assert isinstance(reply.exception, ValueError)
        assert str(reply.exception) == "because"

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_what_would_end_a_program_is_only_a_tasks_end(
        self, executor: Executor, sink: Recorder, kind: type[BaseException]
    ) -> None:
        executor.launch(make_try(jobs.raise_, kind), sink)
        assert type(sink.wait(1)[0].exception) is kind
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1

    def test_each_of_many_tries_is_answered_exactly_once(self, executor: Executor, sink: Recorder) -> None:
        tries = [make_try(jobs.identity, i) for i in range(2000)]
        for attempt in tries:
            executor.launch(attempt, sink)
        replies = sink.wait(len(tries))
        executor.shutdown()
        assert len(sink.replies) == len(tries)
        assert {id(r.attempt): r.value for r in replies} == {id(t): t.args[0] for t in tries}

    def test_a_reply_may_launch_more(self, executor: Executor) -> None:
        done = threading.Event()

        class Chain(Recorder):
            def deliver(self, reply: Reply) -> None:
                super().deliver(reply)
                if reply.value < 200:
                    executor.launch(make_try(jobs.add, reply.value, 1), self)
                else:
                    done.set()

        executor.launch(make_try(jobs.add, 0, 1), Chain())
        assert done.wait(PATIENCE_S)

    def test_a_nested_executor_works(self, executor: Executor) -> None:
        future = executor.submit(jobs.nested, None, self.kind, self.arguments, 41)
        assert future.result(PATIENCE_S) == 42

    # ------------------------------------------------------------------------- cancel

    def test_a_cancelled_running_try_is_answered_once(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        attempt = make_try(jobs.wait_for, str(gate))
        executor.launch(attempt, sink)
        sink.wait_started(attempt)
        promised = executor.cancel(attempt)
        if not promised:
            gate.touch()
        reply = sink.reply_to(attempt)
        assert isinstance(reply.exception, CancelledError) == promised
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
        assert len(sink.replies) == 1

    def test_a_cancelled_waiting_try_is_answered_once(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        blockers = [make_try(jobs.wait_for, str(gate)) for _ in range(self.workers)]
        waiting = make_try(jobs.append, "ran", str(tmp_path / "log"))
        for attempt in [*blockers, waiting]:
            executor.launch(attempt, sink)
        promised = executor.cancel(waiting)
        if promised:
            assert isinstance(sink.reply_to(waiting).exception, CancelledError)
        gate.touch()
        sink.wait(self.workers + 1)
        executor.shutdown()
        assert len(sink.replies) == self.workers + 1
        assert (tmp_path / "log").exists() != promised

    def test_an_ended_try_cannot_be_cancelled(self, executor: Executor, sink: Recorder) -> None:
        attempt = make_try(jobs.add, 1)
        executor.launch(attempt, sink)
        sink.wait(1)
        assert executor.cancel(attempt) is False
        assert len(sink.replies) == 1

    # ------------------------------------------------------------------------- shutdown

    def test_shutdown_leaves_no_try_unanswered(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        tries = [make_try(jobs.wait_for, str(gate)) for _ in range(3 * self.workers)]
        for attempt in tries:
            executor.launch(attempt, sink)
        sink.wait_started(tries[0])
        executor.shutdown(block=False)
        gate.touch()
        executor.shutdown(block=True)
        counts = Counter(id(reply.attempt) for reply in sink.wait(len(tries)))
        assert counts == {id(attempt): 1 for attempt in tries}
        assert isinstance(sink.reply_to(tries[-1]).exception, CancelledError)

    def test_an_executor_starts_again_after_shutdown(self, executor: Executor) -> None:
        for value in range(3):
            assert executor.submit(jobs.identity, None, value).result(PATIENCE_S) == value
            executor.shutdown()
            executor.start()

    def test_shutdown_twice_or_without_work_is_harmless(self) -> None:
        executor = self.kind(**self.arguments)
        executor.start()
        executor.shutdown()
        executor.shutdown()

    def test_shutdown_leaves_no_thread(self) -> None:
        before = set(threading.enumerate())
        executor = self.kind(**self.arguments)
        executor.start()
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
        executor.shutdown()
        assert set(threading.enumerate()) <= before

    # ------------------------------------------------------------------------- fork

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_forked_child_can_have_its_own(self, executor: Executor) -> None:
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
        child = os.fork()
        if not child:
            code = 1
            try:
                code = jobs.nested(self.kind, self.arguments, 6)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert executor.submit(jobs.add, None, 2).result(PATIENCE_S) == 2
