"""Executors as Parsl scripts make and call them, and the kernel as an executor."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    ConfigurationError,
    Executor,
    InvalidResourceSpecification,
    ParslPoolExecutor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    python_app,
)
from tests.faults.executor import InlineExecutor
from tests.parsl.helpers import PATIENCE_S, Counted

# -- threads


def test_a_thread_pool_takes_the_arguments_that_scripts_give_it() -> None:
    pool = ThreadPoolExecutor(
        label="mine", max_threads=3, thread_name_prefix="prefix", storage_access=[], working_dir="work"
    )
    assert isinstance(pool, Executor)
    assert (pool.label, pool.max_threads, pool.storage_access, pool.working_dir) == ("mine", 3, [], "work")
    assert (ThreadPoolExecutor().label, ThreadPoolExecutor().max_threads) == ("threads", 2)


def test_a_thread_pool_runs_max_threads_tasks_at_once() -> None:
    barrier = threading.Barrier(3)
    with parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=3, thread_name_prefix="mine")])):

        @python_app
        def meet() -> str:
            barrier.wait(PATIENCE_S)
            return threading.current_thread().name

        names = {f.result(PATIENCE_S) for f in [meet() for _ in range(3)]}
    assert len(names) == 3 and all(name.startswith("mine") for name in names)


@pytest.mark.parametrize("make", [ThreadPoolExecutor, lambda: ProcessPoolExecutor(max_workers=1)])
def test_an_executor_can_be_started_again_after_shutdown(make: Any) -> None:
    pool = make()
    for _ in range(3):
        pool.start()
        assert pool.submit(pow, {}, 2, 5).result(PATIENCE_S) == 32
        pool.shutdown()
    assert not [t for t in threading.enumerate() if t.name.startswith(pool.label)]


@pytest.mark.parametrize("specification", [None, {}])
@pytest.mark.parametrize("make", [ThreadPoolExecutor, lambda: ProcessPoolExecutor(max_workers=1)])
def test_submit_of_an_executor_takes_a_resource_specification_second(make: Any, specification: Any) -> None:
    pool = make()
    pool.start()
    try:
        assert pool.submit(int, specification, "ff", base=16).result(PATIENCE_S) == 255
        assert isinstance(pool.submit(int, specification, "x").exception(PATIENCE_S), ValueError)
    finally:
        pool.shutdown()


def test_threads_have_no_resources_to_give() -> None:
    with parslish.load(), pytest.raises(InvalidResourceSpecification):
        python_app(lambda: 1)(parsl_resource_specification={"cores": 1}).result(PATIENCE_S)


@pytest.mark.parametrize("wrong", [0, -1, "two", 1.5])
def test_a_wrong_number_of_threads_is_a_configuration_error(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_threads"):
        ThreadPoolExecutor(max_threads=wrong)


# -- a user's own executor


def test_a_users_executor_needs_submit_only() -> None:
    class Smallest(Executor):
        label = "smallest"

        def submit(self, func: Any, resource_specification: Any, *args: Any, **kwargs: Any) -> Any:
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            future.set_result(func(*args, **kwargs))
            return future

    with parslish.load(Config(executors=[Smallest()])):
        assert python_app(lambda x, y=0: x + y)(1, y=2).result(PATIENCE_S) == 3


def test_an_executor_whose_submit_raises_fails_the_task() -> None:
    class Broken(InlineExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            raise OSError("no room")

    with parslish.load(Config(executors=[Broken()])):
        assert isinstance(python_app(lambda: 1)().exception(PATIENCE_S), OSError)


def test_an_executor_is_started_and_shut_down_once_a_kernel() -> None:
    executor = InlineExecutor()
    config = Config(executors=[executor])
    for times in (1, 2):
        with parslish.load(config):
            assert python_app(lambda: 1)().result() == 1
        assert (executor.starts, executor.stops) == (times, times)


def test_an_executor_that_does_not_start_leaves_nothing_behind() -> None:
    class Broken(InlineExecutor):
        def start(self) -> None:
            raise OSError("no nodes today")

    parslish.load().cleanup()  # the first kernel starts the thread that waits for signals, which stays
    before = threading.enumerate()
    good = InlineExecutor("good")
    with pytest.raises(OSError, match="no nodes today"):
        parslish.load(Config(executors=[good, Broken("broken")]))
    assert good.starts == good.stops == 1
    with pytest.raises(parslish.NoDataFlowKernelError):
        parslish.dfk()
    assert threading.enumerate() == before


# -- the kernel as an executor


def test_a_kernel_as_a_standard_executor() -> None:
    with ParslPoolExecutor(config=Config()) as pool:
        assert isinstance(pool, concurrent.futures.Executor)
        assert pool.submit(pow, 2, 5).result(PATIENCE_S) == 32
        assert list(pool.map(pow, [1, 2, 3], [2, 2, 2], timeout=PATIENCE_S)) == [1, 4, 9]
        futures = [pool.submit(str, i) for i in range(10)]
        assert {f.result() for f in concurrent.futures.as_completed(futures, PATIENCE_S)} == set("0123456789")
    with pytest.raises(RuntimeError):
        pool.submit(pow, 2, 5)


def test_a_kernel_that_was_given_stays_after_the_executor() -> None:
    with parslish.load() as kernel:
        with ParslPoolExecutor(dfk=kernel) as pool:
            assert pool.submit(len, [1]).result(PATIENCE_S) == 1
            assert pool.submit(python_app(lambda: 5)).result(PATIENCE_S) == 5
        assert not kernel.cleanup_called


@pytest.mark.parametrize("neither_or_both", [{}, {"config": Config(), "dfk": object()}])
def test_a_config_or_a_kernel_is_needed_not_both(neither_or_both: Any) -> None:
    with pytest.raises(ValueError, match=r"config.*dfk"):
        ParslPoolExecutor(**neither_or_both)


# -- loggers


def test_set_file_logger_and_set_stream_logger_write_until_they_are_ended(capsys: pytest.CaptureFixture[str]) -> None:
    ends = [parslish.set_file_logger("mine.log"), parslish.set_stream_logger()]
    logging.getLogger("parslish").info("a line of the log")
    for end in ends:
        end()
    logging.getLogger("parslish").info("a later line")
    assert Path("mine.log").read_text().count("a line of the log") == 1
    assert "a later line" not in Path("mine.log").read_text()
    assert "a line of the log" in capsys.readouterr().err


def test_each_task_runs_once_in_all() -> None:
    count = Counted()
    with parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=4)])):
        futures = [python_app(count)(i) for i in range(500)]
        concurrent.futures.wait(futures, PATIENCE_S)
    assert sorted(count.calls) == list(range(500))
