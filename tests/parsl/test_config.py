"""Config as Parsl scripts make and change it, and the ways to leave its block (behaviour 10)."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    States,
    ThreadPoolExecutor,
    join_app,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S, Gate, double

# -- 10: exit_mode


def test_10_cleanup_is_the_default_and_ends_the_kernel_at_the_block() -> None:
    gate = Gate()
    with parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=1)])) as dfk:
        running = python_app(gate.wait)()
        gate.await_arrival()
        waiting = double(running)
        gate.open()
    assert dfk.cleanup_called
    assert running.done() and waiting.done()


def test_10_skip_leaves_the_kernel_as_it_is() -> None:
    with parslish.load(Config(exit_mode="skip")) as dfk:
        pass
    assert not dfk.cleanup_called
    assert parslish.dfk() is dfk
    assert double(1).result() == 2
    dfk.cleanup()


def test_10_wait_waits_for_all_tasks_and_then_cleans_up() -> None:
    with parslish.load(Config(exit_mode="wait", executors=[ThreadPoolExecutor(max_threads=1)])) as dfk:
        last = double(0)
        for _ in range(200):
            last = double(last)
    assert dfk.cleanup_called
    assert last.result(timeout=0) == 0
    assert dfk.task_state_counts[States.exec_done] == 201


def test_10_wait_does_not_wait_when_leaving_by_an_exception() -> None:
    never: Future[int] = Future()
    with pytest.raises(RuntimeError, match="leave"), parslish.load(Config(exit_mode="wait")) as dfk:
        stuck = double(never)
        raise RuntimeError("leave")
    assert dfk.cleanup_called
    assert stuck.done(), "a future never stays open (and is cancelled here)"
    assert stuck.cancelled()


@pytest.mark.parametrize("mode", ["cleanup", "skip", "wait"])
def test_10_an_exception_in_the_block_comes_out_of_it(mode: str) -> None:
    with pytest.raises(KeyError, match="mine"), parslish.load(Config(exit_mode=mode)) as dfk:  # type: ignore[arg-type]
        raise KeyError("mine")
    dfk.cleanup()


@pytest.mark.parametrize(
    "wrong",
    [
        {"exit_mode": "clean"},
        {"exit_mode": 1},
        {"retries": "2"},
        {"run_dir": 7},
        {"retry_handler": 3},
        {"no_such_option": 1},
        {"checkpoint_mode": "at_exit"},
        {"executors": 5},
    ],
)
def test_10_a_wrong_value_or_an_unknown_keyword_is_a_type_error_that_names_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        Config(**wrong)
    with pytest.raises(TypeError, match=next(iter(wrong))):
        parslish.load(wrong)


# -- Config


def test_config_fields_may_be_assigned_after_construction() -> None:
    config = Config()
    assert config.run_dir == "runinfo"
    config.run_dir = "there"
    config.retries = 2
    config.retry_handler = lambda exc, task: 0.5
    config.exit_mode = "wait"
    config.dependency_resolver = parslish.SHALLOW_DEPENDENCY_RESOLVER
    config.std_autopath = lambda task, kind: "x"
    config.initialize_logging = False
    config.garbage_collect = False
    config.internal_tasks_max_threads = 3
    config.checkpoint_mode = "task_exit"
    with parslish.load(config) as dfk:
        assert double(1).result() == 2
        assert dfk.config.retries == 2
    assert Path("there/000/checkpoint").is_dir()
    assert not Path("there/000/parslish.log").exists()


def test_an_assignment_is_checked_like_an_argument() -> None:
    config = Config()
    with pytest.raises(TypeError, match="exit_mode"):
        config.exit_mode = "clean"  # type: ignore[assignment]
    assert config.exit_mode == "cleanup"


def test_internal_threads_bound_the_bodies_of_join_apps() -> None:
    gate = Gate()
    with parslish.load(Config(internal_tasks_max_threads=2)):

        @join_app
        def body() -> Any:
            gate.wait()
            return double(1)

        futures = [body() for _ in range(3)]
        gate.await_arrival()
        gate.await_arrival()
        launched = [f.task_status() for f in futures]
        assert launched.count("running") == 2
        gate.open()
        assert [f.result(PATIENCE_S) for f in futures] == [2, 2, 2]
