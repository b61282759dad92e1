"""T10, and the promise of each checkpoint mode at every end that a script may come to."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

import parslish
from tests.faults.drivers import Driver, recovered, run
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
