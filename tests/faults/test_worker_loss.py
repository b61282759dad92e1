"""T11: workers that die, stop, or answer what cannot be read. Only the task concerned pays; the pool goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from parslish.errors import SerializationError, WorkerLost
from parslish.executors.base import Reply
from parslish.executors.processes import ProcessPoolExecutor
from parslish.task import Try
from tests.executors import jobs
from tests.executors.contract import PATIENCE_S, Recorder, make_try
from tests.executors.test_processes import await_file, await_gone, await_true, is_gone
from tests.faults import plan
from tests.faults.stores import SEED, SOAK

NOTICED_S = 0.5


@pytest.fixture
def executor() -> Iterator[ProcessPoolExecutor]:
    executor = ProcessPoolExecutor(max_workers=2)
    yield executor
    executor.shutdown()


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


def lost_with(exitcode: int) -> Callable[[Reply], bool]:
    return lambda reply: isinstance(reply.exception, WorkerLost) and reply.exception.exitcode == exitcode


def unsendable(words: str) -> Callable[[Reply], bool]:
    return lambda reply: isinstance(reply.exception, SerializationError) and words in str(reply.exception)


#: what a task does → what its reply must be
FAULTS: list[tuple[Callable[..., Any], tuple[Any, ...], Callable[[Reply], bool]]] = [
    (jobs.kill_self, (), lost_with(-signal.SIGKILL)),
    (jobs.exit_with, (3,), lost_with(3)),
    (jobs.exit_with, (0,), lost_with(0)),
    (jobs.segfault, (), lost_with(-signal.SIGSEGV)),
    (jobs.abort, (), lost_with(-signal.SIGABRT)),
    (jobs.die_in_thread, (), lost_with(-signal.SIGKILL)),
    (jobs.identity, (jobs.Fatal(),), lost_with(-signal.SIGKILL)),
    (jobs.exceed_memory, (), lambda reply: isinstance(reply.exception, MemoryError)),
    (jobs.unpicklable, (), unsendable("generator")),
    (jobs.opens_nowhere, (), unsendable("cannot be opened")),
    (jobs.raise_two_arguments, (), unsendable("TwoArguments")),
    (jobs.raise_no_text, (), unsendable("NoText")),
    (jobs.identity, (jobs.OpensNowhere(),), unsendable("cannot be opened")),
]


@pytest.mark.parametrize("seed", range(SEED, SEED + 2 * SOAK))
def test_losses_among_short_tasks_cost_only_the_tasks_concerned(
    executor: ProcessPoolExecutor, sink: Recorder, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    expected: dict[Try, Callable[[Reply], bool]] = {}
    for number in range(2 * len(FAULTS)):
        func, args, verdict = FAULTS[number % len(FAULTS)]
        expected[make_try(func, *args)] = verdict
    for value in range(1000):
        expected[make_try(jobs.identity, value)] = lambda reply: reply.value == reply.attempt.args[0]
    tries = list(expected)
    rng.shuffle(tries)
    for attempt in tries:
        executor.launch(attempt, sink)
    replies = sink.wait(len(tries))
    assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
    executor.shutdown()
    assert set(Counter(id(r.attempt) for r in sink.replies).values()) == {1}
    wrong = [(str(r.attempt), r.value, r.exception) for r in replies if not expected[r.attempt](r)]
    assert wrong == []
    plan.count("T11", 2 * len(FAULTS))


def test_a_killed_worker_is_noticed_within_half_a_second(
    executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
) -> None:
    delays = []
    for number in range(5):
        stamp = tmp_path / str(number)
        attempt = make_try(jobs.stamp_and_die, str(stamp))
        executor.launch(attempt, sink)
        assert isinstance(sink.reply_to(attempt).exception, WorkerLost)
        delays.append(sink.at[attempt] - float(stamp.read_text()))
    assert sorted(delays)[2] < NOTICED_S


def test_the_loss_names_task_pid_exit_code_and_peak_memory(
    executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
) -> None:
    size = 150_000_000
    attempt = make_try(jobs.grow_and_wait, size, str(tmp_path / "never"))
    executor.launch(attempt, sink)
    pid = int(sink.wait_started(attempt).rpartition(":")[2])
    assert executor._dispatcher is not None
    (worker,) = executor._dispatcher._crew.workers
    assert await_true(lambda: worker.cell.peak > size)
    os.kill(pid, signal.SIGKILL)
    lost = sink.reply_to(attempt).exception
    assert isinstance(lost, WorkerLost)
    assert (lost.task, lost.pid, lost.exitcode) == ("task of grow_and_wait", pid, -signal.SIGKILL)
    assert lost.peak_memory is not None
    assert size < lost.peak_memory < 5 * size
    assert "signal 9" in str(lost)


def test_a_worker_killed_while_idle_harms_nobody(executor: ProcessPoolExecutor) -> None:
    pid = executor.submit(jobs.pid, None).result(PATIENCE_S)
    os.kill(pid, signal.SIGKILL)
    assert await_gone(pid, PATIENCE_S)
    assert executor.submit(jobs.pid, None).result(PATIENCE_S) != pid


def test_a_worker_whose_child_lives_on_is_still_noticed(
    executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
) -> None:
    attempt = make_try(jobs.leave_a_child, str(tmp_path / "child"))
    executor.launch(attempt, sink)
    try:
        assert isinstance(sink.reply_to(attempt).exception, WorkerLost)
        assert not is_gone(int((tmp_path / "child").read_text()))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("job", [jobs.close_descriptors, jobs.close_descriptors_and_hold])
def test_a_task_that_closes_its_workers_descriptors_is_lost(
    executor: ProcessPoolExecutor, sink: Recorder, job: Callable[[], None]
) -> None:
    attempt = make_try(job)
    executor.launch(attempt, sink)
    assert isinstance(sink.reply_to(attempt).exception, WorkerLost)
    assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1


def test_a_task_that_forks_and_returns_twice_is_answered_once(executor: ProcessPoolExecutor, sink: Recorder) -> None:
    attempt = make_try(jobs.fork_and_return)
    executor.launch(attempt, sink)
    assert sink.reply_to(attempt).value > 0
    assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
    assert len(sink.replies) == 1


def test_a_stopped_worker_can_be_cancelled(executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path) -> None:
    attempt = make_try(jobs.stop_self, str(tmp_path / "pid"))
    executor.launch(attempt, sink)
    pid = int(await_file(tmp_path / "pid"))
    began = time.monotonic()
    assert executor.cancel(attempt)
    assert isinstance(sink.reply_to(attempt).exception, CancelledError)
    assert time.monotonic() - began < 1.0
    assert is_gone(pid)
    assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1


def test_a_stopped_worker_does_not_keep_shutdown_waiting(
    executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
) -> None:
    attempt = make_try(jobs.stop_self, str(tmp_path / "pid"))
    executor.launch(attempt, sink)
    pid = int(await_file(tmp_path / "pid"))
    began = time.monotonic()
    executor.shutdown()
    assert time.monotonic() - began < 2.0
    assert is_gone(pid)


def test_an_idle_worker_that_is_stopped_does_not_keep_shutdown_waiting(executor: ProcessPoolExecutor) -> None:
    pid = executor.submit(jobs.pid, None).result(PATIENCE_S)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    executor.shutdown()
    assert time.monotonic() - began < 3.0
    assert is_gone(pid)


def test_cancelling_what_a_stopped_worker_has_not_begun_does_not_wait_for_it(
    executor: ProcessPoolExecutor, sink: Recorder
) -> None:
    executor = ProcessPoolExecutor(max_workers=1)
    pid = executor.submit(jobs.pid, None).result(PATIENCE_S)
    os.kill(pid, signal.SIGSTOP)
    attempt = make_try(jobs.add, 1)
    executor.launch(attempt, sink)
    sink.wait_started(attempt)
    assert executor.cancel(attempt)
    assert isinstance(sink.reply_to(attempt).exception, CancelledError)
    os.kill(pid, signal.SIGCONT)
    assert executor.submit(jobs.add, None, 2).result(PATIENCE_S) == 2
    assert len(sink.replies) == 1
    executor.shutdown()


def test_the_traceback_of_what_cannot_be_sent_back_is_kept(executor: ProcessPoolExecutor, sink: Recorder) -> None:
    attempt = make_try(jobs.raise_two_arguments)
    executor.launch(attempt, sink)
    exception = sink.reply_to(attempt).exception
    assert isinstance(exception, SerializationError)
    assert "one and two" in str(exception)
    assert "raise TwoArguments" in str(exception.__cause__)


def test_results_that_were_sent_before_a_death_are_not_lost(
    executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    tries = [make_try(jobs.append, f"{i}\n", str(log)) for i in range(50)]
    for attempt in [*tries, make_try(jobs.kill_self)]:
        executor.launch(attempt, sink)
    sink.wait(51)
    runs = Counter(log.read_text().split())
    assert set(runs) == {str(i) for i in range(50)}
    assert all(sink.reply_to(t).exception is None for t in tries)
