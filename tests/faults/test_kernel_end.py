"""I2 and I3 at the end of a kernel, whether it is cleaned up or stopped: every future resolves, and none with a result
that is not kept."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, DependencyError, Executor, ProcessPoolExecutor, ThreadPoolExecutor, python_app
from parslish.errors import KernelClosed
from parslish.steps import Steps
from parslish.store.disk import OS_DISK
from tests.faults.chains import chain, more
from tests.faults.drivers import PATIENCE_S, recovered
from tests.faults.executor import InlineExecutor
from tests.faults.stores import seeded


@pytest.mark.parametrize("round_", range(8))
@pytest.mark.parametrize("make", [InlineExecutor, ThreadPoolExecutor, ProcessPoolExecutor])
def test_every_future_resolves_when_the_kernel_ends_while_others_submit(
    make: Callable[[], Executor], round_: int
) -> None:
    rng = seeded(f"end {make.__name__} {round_}")
    kernel = parslish.load(Config([make()], checkpoint_mode="task_exit", sync=rng.choice(["batch", "always"])))
    futures: list[Future[int]] = []
    enough = threading.Event()

    def submit(first: int) -> None:
        gate: Future[int] = Future()  # nobody opens it
        with contextlib.suppress(KernelClosed):
            for number in itertools.count(first):
                futures.append(more(number if number % 3 else chain(number, 2)))
                if number % 5 == 0:
                    futures.append(more(gate))
                if len(futures) > 50:
                    enough.set()

    threads = [threading.Thread(target=submit, args=(1_000_000 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    assert enough.wait(PATIENCE_S)
    time.sleep(rng.uniform(0, 0.01))  # the moment of the end, no waiting
    kernel.cleanup()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not concurrent.futures.wait(futures, PATIENCE_S).not_done
    assert not kernel.tasks
    assert all(f.cancelled() or isinstance(f.exception(), (DependencyError, type(None))) for f in futures)


@pytest.mark.parametrize("sync", ["batch", "always"])
def test_what_runs_in_a_thread_when_the_kernel_ends_still_gives_its_result(sync: str) -> None:
    began, release = threading.Event(), threading.Event()

    @python_app(cache=True)
    def slow() -> int:
        began.set()
        release.wait(PATIENCE_S)
        return 1

    with parslish.load(Config(checkpoint_mode="task_exit", sync=sync)):  # type: ignore[arg-type]
        future = slow()
        assert began.wait(PATIENCE_S)
        threading.Timer(0.05, release.set).start()
    assert future.result(0) == 1


class Unstorable(Exception):
    """What neither pickle nor dill can carry."""

    def __init__(self) -> None:
        super().__init__("unstorable")
        self.held = (each for each in ())


@pytest.mark.parametrize("mode", ["task_exit", "dfk_exit", None])
@pytest.mark.parametrize("remembered", [Unstorable, Exception])
def test_a_failure_that_is_remembered_but_cannot_be_stored_is_raised_as_it_is(
    remembered: type[Exception], mode: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    @python_app(cache=True, remember=[remembered])
    def fail() -> None:
        raise Unstorable

    with parslish.load(Config(checkpoint_mode=mode)) as kernel:  # type: ignore[arg-type]
        for _ in range(3):
            assert isinstance(fail().exception(PATIENCE_S), Unstorable)
        kernel.checkpoint()
        assert not kernel.tasks


# -------------------------------------------------------------------------------------- stopped


class SlowToPickle:
    """A result whose storing takes until it is let go."""

    begun, go_on = threading.Event(), threading.Event()

    def __reduce__(self) -> Any:
        self.begun.set()
        self.go_on.wait(PATIENCE_S)
        return SlowToPickle, ()


@pytest.mark.parametrize("sync", ["batch", "always"])
@pytest.mark.parametrize("mode", ["task_exit", "dfk_exit", "periodic", "manual"])
def test_a_result_that_comes_too_late_to_be_kept_is_not_handed_out(mode: str, sync: str) -> None:
    SlowToPickle.begun.clear()
    SlowToPickle.go_on.clear()
    app = python_app(lambda: SlowToPickle(), cache=True, version="1")
    kernel = parslish.load(Config(checkpoint_mode=mode, sync=sync))  # type: ignore[arg-type]
    future = app()
    assert SlowToPickle.begun.wait(PATIENCE_S)
    kernel.stop("stopped by the test")
    SlowToPickle.go_on.set()
    kernel.executors["threads"].shutdown()  # returns when the thread has ended, the result handed in
    assert not future.done()
    kernel.abandon()
    assert future.cancelled()
    kernel.cleanup()
    assert not list(Path("runinfo/000/checkpoint").glob("*.seg"))


def test_a_result_that_is_kept_as_the_run_stops_is_not_seen_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    syncing, go_on = threading.Event(), threading.Event()
    fsync = OS_DISK.fsync

    def slowly(fd: int) -> None:
        syncing.set()
        go_on.wait(PATIENCE_S)
        fsync(fd)

    monkeypatch.setattr(OS_DISK, "fsync", slowly)
    app = python_app(lambda: (1, 1), cache=True, version="1")
    kernel = parslish.load(Config(checkpoint_mode="task_exit", sync="always", record=False))
    future = app()
    assert syncing.wait(PATIENCE_S)
    stop = threading.Thread(target=kernel.stop, args=("stopped by the test",))
    stop.start()
    with pytest.raises(KernelClosed):  # it is under way, and waits for the fsync
        while True:
            app()
    go_on.set()
    stop.join()
    assert not future.done()
    kernel.abandon()
    assert future.cancelled() and recovered() == {1: 1}


def test_a_stopped_run_starts_nothing_more() -> None:
    ran: list[int] = []
    gate: Future[int] = Future()
    app = python_app(lambda x: ran.append(x))
    kernel = parslish.load(Config([InlineExecutor()]))
    waiting = app(gate)
    kernel.stop("stopped by the test")
    gate.set_result(1)
    assert not ran and not waiting.done()
    kernel.abandon()
    assert waiting.cancelled() and not kernel.tasks


def test_an_interrupt_within_a_step_reaches_the_script_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)  # at a prompt, where the run goes on
    gate: Future[int] = Future()

    def interrupted(x: int) -> int:
        raise KeyboardInterrupt

    with parslish.load(Config([InlineExecutor()])):
        hit, other = python_app(interrupted)(gate), python_app(lambda x: x)(gate)
        after = python_app(lambda x: x)(hit)
        with pytest.raises(KeyboardInterrupt):
            gate.set_result(1)
            threading.Event().wait(PATIENCE_S)
        assert isinstance(hit.exception(0), KeyboardInterrupt)
        assert other.result(0) == 1
        assert isinstance(after.exception(0), DependencyError)


def test_steps_that_an_interrupt_leaves_behind_are_taken_before_it_goes_on() -> None:
    steps, taken = Steps(), []

    def first() -> None:
        steps.soon(lambda: taken.append(1))
        steps.soon(lambda: taken.append(2))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steps.soon(first)
    assert taken == [1, 2]
