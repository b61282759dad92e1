"""T10, and the promise of each checkpoint mode at every end that a script may come to."""

from __future__ import annotations

import signal
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, DependencyError, python_app
from parslish.errors import KernelClosed
from parslish.steps import Steps
from parslish.store.disk import OS_DISK
from tests.faults.drivers import PATIENCE_S, Driver, recovered, run
from tests.faults.executor import InlineExecutor
from tests.faults.scripts.ending import COUNT

GRACE_S = 2.0  # from the signal to the end of the process
SLOW_S = 20.0  # the same on a slow disk
MODES = ["task_exit", "dfk_exit", "periodic", "manual"]
HOW_TO_RESUME = "run the same script again to go on from there"


def kept_by(mode: str) -> set[int]:
    """What a run that has seen all its results must leave."""
    return set(range(COUNT // 2 if mode == "manual" else COUNT))


def executed() -> list[int]:
    path = Path("executed")
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def assert_next_run_goes_on(mode: str, executor: str) -> None:
    """All that was kept is loaded, and the rest, no more, is computed."""
    kept, before = set(recovered()), len(executed())
    driver = run("ending.py", "leave_block", mode, executor)
    assert sorted(driver.facts("seen")) == list(range(COUNT))
    assert sorted(executed()[before:]) == sorted(set(range(COUNT)) - kept)


def stopped(driver: Driver, *numbers: signal.Signals, grace_s: float = GRACE_S) -> tuple[int, str]:
    """Send the signals, and see that the driver and all that it started end in time."""
    began = time.monotonic()
    for number in numbers:
        driver.send(number)
    code, err = driver.end()
    assert time.monotonic() - began < grace_s, err
    assert driver.survivors() == []
    assert not any(line.startswith("wrong") for line in driver.lines)
    assert "InternalError" not in err
    return code, err


# -------------------------------------------------------------------------------------- ends without a signal

ENDS = {"leave_block": 0, "fall_off": 0, "sys_exit": 3, "raise_in_block": 1, "raise_outside": 1}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ENDS)
def test_each_mode_keeps_its_promise_at_each_end(end: str, mode: str) -> None:
    driver = Driver("ending.py", end, mode, "threads")
    code, err = driver.end()
    assert code == ENDS[end], err
    assert ("the script's own" in err) == (code == 1)
    assert sorted(driver.facts("seen")) == list(range(COUNT))
    assert recovered().keys() == kept_by(mode)


#: The standard library's pool starts a thread with a task, which these versions forbid once a script has ended.
NO_LATE_THREADS = pytest.mark.skipif((3, 12) <= sys.version_info < (3, 12, 3), reason="gh-113964")


@pytest.mark.parametrize("executor", ["threads", "processes", pytest.param("pool", marks=NO_LATE_THREADS)])
def test_a_script_that_falls_off_its_end_has_its_tasks_waited_for(executor: str) -> None:
    run("ending.py", "fall_off_unawaited", "dfk_exit", executor)
    assert recovered().keys() == set(range(COUNT))


def test_a_periodic_checkpoint_outlives_a_sigkill() -> None:
    driver = Driver("ending.py", "wait_for_signal", "periodic", "threads", "0.05")
    driver.await_line("ready")
    deadline = time.monotonic() + 20
    while recovered().keys() < set(range(COUNT)) and time.monotonic() < deadline:
        time.sleep(0.02)
    driver.send(signal.SIGKILL)
    driver.end()
    assert recovered().keys() == set(range(COUNT))


# -------------------------------------------------------------------------------------- SIGTERM


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("mode", MODES)
def test_sigterm_with_results_pending_keeps_what_the_mode_promises(mode: str, executor: str) -> None:
    driver = Driver("ending.py", "wait_for_signal", mode, executor)
    driver.await_line("ready")
    code, err = stopped(driver, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM, err
    assert err.count(HOW_TO_RESUME) == 1 and "stopped by SIGTERM" in err and "Traceback" not in err
    kept = recovered()
    assert kept_by(mode) <= kept.keys() and f" {len(kept)} results " in err
    assert_next_run_goes_on(mode, executor)


@pytest.mark.parametrize("scene", ["in_library", "in_event_loop"])
def test_sigterm_is_heeded_wherever_the_main_thread_is(scene: str) -> None:
    driver = Driver("ending.py", scene, "dfk_exit", "threads")
    driver.await_line("ready")
    code, err = stopped(driver, signal.SIGTERM)
    assert code == 143 and err.count(HOW_TO_RESUME) == 1
    assert recovered().keys() >= set(range(COUNT))


def test_sigterm_without_results_says_so() -> None:
    driver = Driver("ending.py", "submit_only", "task_exit", "threads")
    driver.await_line("ready")
    code, err = stopped(driver, signal.SIGTERM)
    assert code == 143 and "kept no results" in err


def test_a_second_sigterm_while_writing_changes_nothing() -> None:
    driver = Driver("ending.py", "slow_disk", "dfk_exit", "threads")
    driver.await_line("ready")
    driver.send(signal.SIGTERM)
    driver.await_line("writing")
    code, err = stopped(driver, signal.SIGTERM, signal.SIGTERM, grace_s=SLOW_S)
    assert code == 143 and err.count(HOW_TO_RESUME) == 1
    assert recovered().keys() >= set(range(COUNT))


@pytest.mark.parametrize("mode", ["task_exit", "dfk_exit"])
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_sigterm_while_a_large_result_is_pickled(executor: str, mode: str) -> None:
    driver = Driver("ending.py", "return_large", mode, executor)
    driver.await_line("large")
    code, err = stopped(driver, signal.SIGTERM)
    assert code == 143, err
    kept = recovered()
    assert kept.keys() >= set(range(COUNT))
    assert all(value == list(range(3_000_000)) for number, value in kept.items() if number >= 1_000)


# -------------------------------------------------------------------------------------- SIGINT


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("scene", ["wait_for_signal", "wait_in_block", "submit_for_ever"])
def test_sigint_reaches_the_script_when_all_is_kept(scene: str, executor: str) -> None:
    driver = Driver("ending.py", scene, "dfk_exit", executor)
    driver.await_line("ready")
    code, err = stopped(driver, signal.SIGINT)
    # Python ends itself by the signal, which a shell shows as 130.
    assert code == -signal.SIGINT, err
    assert "KeyboardInterrupt" in err and err.count(HOW_TO_RESUME) == 1
    assert ("finally" in driver.lines) == (scene == "wait_in_block")
    assert recovered().keys() >= set(range(COUNT))
    assert_next_run_goes_on("dfk_exit", executor)


def test_a_second_sigint_while_writing_is_raised_at_once_and_loses_nothing() -> None:
    driver = Driver("ending.py", "slow_disk", "dfk_exit", "threads")
    driver.await_line("ready")
    driver.send(signal.SIGINT)
    driver.await_line("writing")
    code, err = stopped(driver, signal.SIGINT, grace_s=SLOW_S)
    assert code == -signal.SIGINT, err
    assert "writing" in driver.lines[driver.lines.index("caught") :], "it is to raise at once"
    assert recovered().keys() >= set(range(COUNT))


def test_a_script_that_catches_sigint_gets_its_futures_and_may_load_anew() -> None:
    driver = Driver("ending.py", "survive_interrupt", "dfk_exit", "processes")
    driver.await_line("ready")
    driver.send(signal.SIGINT)
    driver.await_line("caught")
    driver.await_line("refused")
    assert driver.lines.count("cancelled") == 2, "I2: a future does not resolve"
    driver.await_line("ready")
    code, err = stopped(driver, signal.SIGTERM)
    assert code == 143 and err.count("stopped by SIGINT") == 1 and err.count("stopped by SIGTERM") == 1
    assert recovered().keys() >= set(range(COUNT))


def test_sigterm_ends_a_script_that_hangs_after_sigint() -> None:
    driver = Driver("ending.py", "hang_after_interrupt", "dfk_exit", "threads")
    driver.await_line("ready")
    driver.send(signal.SIGINT)
    driver.await_line("finally")
    code, _ = stopped(driver, signal.SIGTERM)
    assert code == 143
    assert recovered().keys() >= set(range(COUNT))


def test_a_forked_child_ends_by_sigterm() -> None:
    driver = run("ending.py", "fork_a_child", "task_exit", "threads")
    assert driver.facts("child") == [-signal.SIGTERM]


# -------------------------------------------------------------------------------------- in this process


def test_handlers_are_in_place_only_while_a_kernel_lives() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with parslish.load():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_handler_of_the_scripts_own_stays() -> None:
    def own(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, own)
    try:
        with parslish.load():
            assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


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
