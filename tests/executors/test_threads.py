"""The executors of this process keep the contract, as far as a thread can."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
import weakref
from typing import Any

import pytest

import parslish
from parslish import Config, ConfigurationError, PoolExecutor, ThreadPoolExecutor, python_app
from parslish.executors.facade import ParslPoolExecutor
from parslish.task import Try
from tests.executors.contract import ExecutorContract, Recorder


class TestThreads(ExecutorContract):
    kind, arguments = ThreadPoolExecutor, {"max_threads": 2}


class TestPool(ExecutorContract):
    kind, arguments = PoolExecutor, {"pool": lambda: concurrent.futures.ThreadPoolExecutor(2)}


def test_an_idle_thread_holds_neither_arguments_nor_result() -> None:
    class Big: ...

    executor, sink = ThreadPoolExecutor(max_threads=1), Recorder()
    executor.start()
    big = Big()
    gone = weakref.ref(big)
    executor.launch(Try(None, 1, lambda x: x, (big,), {}), sink)
    sink.wait(1)
    sink.replies.clear()
    sink.starts.clear()
    sink.order.clear()
    sink.at.clear()
    del big
    for _ in range(500):  # the thread lets go right after it delivered
        gc.collect()
        if gone() is None:
            break
        threading.Event().wait(0.01)
    assert gone() is None
    executor.shutdown()


@pytest.mark.parametrize("number", [0, -1, "two", None])
def test_a_wrong_number_of_threads_is_refused(number: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_threads"):
        ThreadPoolExecutor(max_threads=number)


def test_a_pool_that_was_given_is_not_shut_down() -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        with parslish.load(Config(executors=[PoolExecutor(pool)])):
            assert python_app(abs)(-3).result() == 3
        assert pool.submit(abs, -4).result() == 4


def test_something_that_is_no_pool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"pool=5"):
        PoolExecutor(5)  # type: ignore[arg-type]


def test_a_users_executor_needs_only_submit() -> None:
    class Inline(parslish.Executor):
        label = "inline"

        def submit(self, func: Any, resources: Any, *args: Any, **kwargs: Any) -> Any:
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            try:
                future.set_result(func(*args, **kwargs))
            except Exception as exc:
                future.set_exception(exc)
            return future

    with parslish.load(Config(executors=[Inline()])):
        double = python_app(lambda x: 2 * x)
        assert double(double(1)).result() == 4
        future = python_app(lambda x: 1 / x)(0)
        assert isinstance(future.exception(), ZeroDivisionError)


class TestKernelAsPool:
    """`ParslPoolExecutor`: a kernel for code that wants a `concurrent.futures.Executor`."""

    def test_submit_and_map(self) -> None:
        with ParslPoolExecutor(config=Config()) as pool:
            assert pool.submit(pow, 2, 3).result() == 8
            assert list(pool.map(abs, [-1, -2])) == [1, 2]
            assert pool.app_count == 2
        with pytest.raises(RuntimeError):
            pool.submit(abs, 1)

    def test_a_kernel_that_was_given_stays(self) -> None:
        with parslish.load() as kernel:
            with ParslPoolExecutor(dfk=kernel) as pool:
                future = pool.submit(abs, -1)
            assert future.result() == 1
            assert python_app(abs)(-2).result() == 2

    def test_config_and_kernel_at_once_are_refused(self) -> None:
        with pytest.raises(ValueError, match="either"):
            ParslPoolExecutor()


def test_a_standard_pool_among_the_executors_is_taken_as_it_is() -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        with parslish.DataFlowKernel(executors=[pool]) as kernel:
            assert python_app(abs, data_flow_kernel=kernel)(-3).result() == 3
        assert pool.submit(abs, -4).result() == 4
